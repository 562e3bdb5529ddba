"""Lines of JSON, as control and the processes that serve others on its behalf write them to each other."""

from __future__ import annotations

import asyncio
import json
from typing import Any

Message = dict[str, Any]
LONGEST_LINE = 1 << 20


def to_line(message: Message) -> bytes:
    """A message as it is written; what is not a finite number stays one."""
    return json.dumps(message).encode() + b"\n"


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """The next message; None at the end."""
    try:
        line = await reader.readline()
    except (ConnectionError, ValueError):
        return None
    if not line.endswith(b"\n"):
        return None
    message: Message = json.loads(line)
    return message
