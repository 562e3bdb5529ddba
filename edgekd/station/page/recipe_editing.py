"""Changing a draft from the page: field by field, held against the model before anything is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from edgekd.artifact import write_beside
from edgekd.errors import EdgekdError
from edgekd.station.recipe_store import RECIPE_FILE, read_recipe, released_list
from edgekd.station.recipes import Recipe
from edgekd.typed import checked
from edgekd.verdicts.text import printable

EDITABLE = ("job", "product", "detector", "cameras", "deadline_ms", "self_tests", "stop", "keep", "preload")
# What was measured, or names a file: it is made with the recipe, and a change here would break its proof.
MEASURED = ("detector.artifact", "self_tests.references")
DEEPEST = 4  # Of the fields of a recipe.
LARGEST = 1e15  # Of a number.
RECIPE = TypeAdapter(Recipe)


def edit_draft(
    folder: Path, fields: Mapping[str, Any], shown: Mapping[str, Any] | None = None
) -> list[tuple[str, Any, Any]]:
    """Changes fields of a draft and keeps the comments of its file.

    Args:
        folder: `ID/REVISION`.
        fields: By their names, those of a table in an object of their own; None takes a field's default back, and
            removes a camera.
        shown: What whoever changes them saw there, likewise.

    Returns:
        Name, old and new value of each field that is another one now, such as ("detector.threshold", None, 0.43).

    Raises:
        EdgekdError: It is not a draft, or a field is not known, may not be changed here, is wrong, or is another one by
            now than was shown.
    """
    import tomlkit

    if released_list(folder) is not None:
        raise EdgekdError("a released recipe never changes: make a new revision of it and edit that")
    _require_plain(fields)
    for name in fields:
        if name not in EDITABLE:
            raise EdgekdError(f"{name} cannot be changed: {', '.join(EDITABLE)} can")
    before = read_recipe(folder)
    current = dict(_flat(before.model_dump(mode="json")))
    for name, value in _flat(shown or {}):
        if current.get(name) != value:
            raise _by_now(name, current.get(name))
    path = folder / RECIPE_FILE
    content = tomlkit.parse(path.read_text(encoding="utf-8"))
    _merge(content, fields)
    after = checked(RECIPE, _as_tuples(content.unwrap()), f"{before.id}/{before.revision}", "correct it")
    changed = differences(before.model_dump(mode="json"), after.model_dump(mode="json"))
    measured = next((name for name, *_ in changed if name.startswith(MEASURED)), None)
    if measured is not None:
        raise EdgekdError(f"{measured} cannot be changed here: it is made with the recipe")
    with write_beside(path) as part:
        part.write_text(tomlkit.dumps(content), encoding="utf-8")
    return changed


def require_as_shown(folder: Path, shown: Mapping[str, Any]) -> None:
    """Refuses to go on with a draft that is another one by now than was shown.

    Args:
        folder: `ID/REVISION`.
        shown: All of its fields; {} for whatever it is.

    Raises:
        EdgekdError: It is, or it cannot be read.
    """
    if shown:
        for name, _, value in differences(shown, read_recipe(folder).model_dump(mode="json")):
            raise _by_now(name, value)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The fields in which two objects differ, those of objects inside by names such as "detector.threshold".

    Args:
        old: From JSON.
        new: Likewise.

    Returns:
        Name, old and new value; None where there is none.
    """
    before, after = dict(_flat(old)), dict(_flat(new))
    names = [*before, *(name for name in after if name not in before)]
    pairs = ((name, before.get(name), after.get(name)) for name in names)
    return [(name, one, other) for name, one, other in pairs if one != other]


def in_words(changed: list[tuple[str, Any, Any]]) -> tuple[str, str]:
    """The values before and after, for the audit trail.

    Args:
        changed: As `edit_draft` gives it.
    """
    old, new = (
        ", ".join(f"{each[0]} {json.dumps(each[place], ensure_ascii=False)}" for each in changed) for place in (1, 2)
    )
    return old, new


def _by_now(name: str, value: Any) -> EdgekdError:
    """Of two people who change or sign a draft, the later one has to know what the other made of it."""
    return EdgekdError(f"{printable(name)} is {json.dumps(value, ensure_ascii=False)} by now: look at it again")


def _require_plain(fields: Mapping[str, Any]) -> None:
    """Refuses what no recipe holds, before it is written or named in a message."""
    level: list[Any] = [fields]
    for _ in range(DEEPEST + 1):
        for value in level:
            texts = [value] if isinstance(value, str) else list(value) if isinstance(value, Mapping) else ()
            if not all(isinstance(text, str) and text.isprintable() for text in texts):
                raise EdgekdError("fields must hold text that can be printed, in one line")
            if isinstance(value, (int, float)) and not abs(value) < LARGEST:
                raise EdgekdError(f"fields must hold finite numbers below {LARGEST:g}")
        level = [one for value in level if isinstance(value, (Mapping, list)) for one in _inside(value)]
    if level:
        raise EdgekdError("fields are nested too deeply")


def _inside(value: Mapping[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, Mapping) else value


def _merge(table: Any, fields: Mapping[str, Any]) -> None:
    import tomlkit

    for name, value in fields.items():
        if value is None:
            table.pop(name, None)
        elif isinstance(value, Mapping):
            if not isinstance(table.get(name), Mapping):
                table[name] = tomlkit.table()
            _merge(table[name], value)
        else:
            table[name] = value


def _as_tuples(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _as_tuples(value) for name, value in content.items()}
    return tuple(map(_as_tuples, content)) if isinstance(content, list) else content


def _flat(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
