"""A system's own settings, such as HKT's cbam: read from NAME=VALUE, and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgekd.errors import EdgekdError, unknown_name

if TYPE_CHECKING:
    from edgekd.models.registry import System

WORDS = {"on": True, "true": True, "off": False, "false": False}


def parse_settings(system: str, texts: Sequence[str]) -> dict[str, Any]:
    """Parses settings, each as the type of the system's default.

    Args:
        system: Its name.
        texts: NAME=VALUE, such as "cbam=off" or "middle_width=512".

    Returns:
        Values by name, checked as by `checked_settings`.

    Raises:
        EdgekdError: The system is unknown; or a setting has no value, a name that the system does not know, or a
            value that it does not take.
    """
    from edgekd.models.registry import find_system

    found = find_system(system)
    settings = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise EdgekdError(f"setting '{text}' has no value: write NAME=VALUE, such as {name}=off")
        settings[name] = _parsed(value, _default(found, name))
    return checked_settings(found, settings)


def checked_settings(system: System, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Checks settings against those that a system has.

    Args:
        system: That is trained.
        settings: Values by name.

    Returns:
        The same; an integer where the system takes any number becomes a float.

    Raises:
        EdgekdError: The system has no setting of a name, or does not take its value.
    """
    return {name: _checked(system, name, value) for name, value in settings.items()}


def _default(system: System, name: str) -> Any:
    known = system.settings()
    if name not in known:
        raise unknown_name(f"setting of {system.name}", name, known)
    return known[name]


def _parsed(text: str, default: Any) -> Any:
    """The value of a text; the text itself where it is none of the default's type."""
    if isinstance(default, bool):
        return WORDS.get(text, text)
    try:
        return type(default)(text)
    except ValueError:
        return text


def _checked(system: System, name: str, value: Any) -> Any:
    default, choices = _default(system, name), system.setting_choices().get(name)
    if isinstance(default, bool):
        legal, expected = isinstance(value, bool), "on or off"
    elif choices is not None:
        legal, expected = value in choices, f"{', '.join(choices[:-1])} or {choices[-1]}"
    elif isinstance(default, int):
        legal, expected = _is_number(value, int) and value >= 1, f"an integer of at least 1, such as {default}"
    else:
        legal = _is_number(value, (int, float)) and 0 <= value < math.inf
        expected = f"a number of at least 0, such as {default:g}"
        value = float(value) if legal else value
    if not legal:
        raise EdgekdError(f"setting {name} of {system.name} must be {expected}, got '{value}'")
    return value


def _is_number(value: Any, types: type | tuple[type, ...]) -> bool:
    return isinstance(value, types) and not isinstance(value, bool)
