"""A system's own switches as the command line gives them: NAME=VALUE."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgekd.errors import EdgekdError, unknown_name

if TYPE_CHECKING:
    from edgekd.models.registry import System

WORDS = {"on": True, "true": True, "off": False, "false": False}


def read_switches(texts: Sequence[str], system: System) -> dict[str, Any]:
    """Reads switches, each of the type that the system's own value has.

    Args:
        texts: NAME=VALUE, such as "cbam=off" or "middle_width=512".
        system: Whose they are.

    Raises:
        EdgekdError: One has no value, a name that the system does not know, or a value of another type.
    """
    known = system.settings()
    switches = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise EdgekdError(f"--switch {text} has no value: write NAME=VALUE, such as {name}=off")
        if name not in known:
            raise unknown_name(f"switch of {system.name}", name, known)
        switches[name] = _value(name, value, known[name])
    return switches


def _value(name: str, text: str, default: Any) -> Any:
    if isinstance(default, bool):
        if text not in WORDS:
            raise EdgekdError(f"--switch {name}={text}: use on or off")
        return WORDS[text]
    if isinstance(default, str):
        return text
    try:
        number = type(default)(text)
    except ValueError as error:
        raise EdgekdError(f"--switch {name}={text}: a number such as {default} is needed") from error
    least = 1 if isinstance(default, int) else 0
    if not least <= number < math.inf:
        raise EdgekdError(f"--switch {name}={text}: a number from {least} upward is needed, such as {default}")
    return number
