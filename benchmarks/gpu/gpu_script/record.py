"""A part's result file: rewritten as a whole after every figure, so that whatever ends the part, the file is good."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from edgekd.artifact import read_json, write_json

RUNNING, DONE, FAILED, SKIPPED, OUT_OF_TIME = "running", "done", "failed", "skipped", "out of time"


class Record:
    """The JSON file of one part.

    Args:
        path: Of the file; what it holds already is kept.
        facts: Put into a new file.

    Attributes:
        content: `part`, `status`, `reason`, `problems`, `seconds`, and the part's own fields.
    """

    def __init__(self, path: Path, **facts: Any) -> None:
        self.path = path
        self._start = time.monotonic()
        self.content: dict[str, Any] = dict(read_json(path)) if path.is_file() else {}
        if not self.content:
            self.content = {"part": path.stem, "status": RUNNING, "reason": None, "problems": []}
        self.content.update(facts)
        self.write()

    def reload(self) -> None:
        """Takes in what another process has written to the file since."""
        self.content = dict(read_json(self.path))

    def put(self, *keys: str, value: Any) -> None:
        """Sets a field, given by its names from the outside in, and writes the file."""
        place = self.content
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = value
        self.write()

    def add(self, key: str, value: Any) -> None:
        """Appends to a list and writes the file."""
        self.content.setdefault(key, []).append(value)
        self.write()

    def problem(self, line: str) -> None:
        """Notes what went wrong; a part with problems is not green."""
        self.add("problems", line)

    def end(self, status: str, reason: str | None = None) -> None:
        """Notes how the part ended."""
        self.content.update(status=status, reason=reason, seconds=round(time.monotonic() - self._start, 1))
        self.write()

    @property
    def green(self) -> bool:
        """Whether nothing went wrong."""
        return self.content["status"] in (DONE, SKIPPED) and not self.content["problems"]

    def write(self) -> None:
        write_json(self.path, finite(self.content))


def finite(content: Any) -> Any:
    """The same with None for numbers that are not finite, which JSON cannot hold."""
    if isinstance(content, dict):
        return {str(key): finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
