"""Reading JSON that anybody may have written: bounded in size and depth, of finite numbers, each name once.

What is read here came by mail, by a memory stick or from an editor. Whatever stands in its place, a folder, a FIFO, a
gigabyte or another program's file, costs one line and neither memory nor a wait.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections import Counter
from pathlib import Path
from typing import Any

from edgekd.errors import ArtifactError, shown

MOST_BYTES = 32 << 20  # Of any file: a recipe that lists a quarter of a million images is smaller.
MOST_VALUES = 600_000  # Of any file: in memory one takes about a hundred bytes, and a microsecond or two to read.
MOST_DEPTH = 64  # Of lists and objects inside each other; what edgekd writes has less than ten.
LARGEST_INTEGER = 2**64  # Seeds go as far; beyond it arithmetic elsewhere overflows.


def read_json(path: Path, most_bytes: int = MOST_BYTES, most_values: int = MOST_VALUES) -> Any:
    """Reads a JSON file.

    Args:
        path: The file; UTF-8, with or without a byte order mark.
        most_bytes, most_values: Larger files are refused, before they are parsed.

    Raises:
        ArtifactError: It is missing, not a regular file or too large; or it is not JSON, or JSON that holds NaN, an
            infinite or a huge number, a name twice in an object, text that is not Unicode, or more than 64 levels.
    """
    content = read_regular(path, most_bytes)
    if content.count(b",") + content.count(b"[") + content.count(b"{") > most_values:
        raise ArtifactError(f"{path} holds more than {most_values} values: edgekd wrote no such file, make it again")
    try:
        found = json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_bounded,
        )
        _check(found)
    except RecursionError as error:
        raise ArtifactError(f"{path} is not valid JSON: it is nested too deeply") from error
    except ValueError as error:
        raise ArtifactError(f"{path} is not valid JSON: {error}") from error
    return found


def read_object(path: Path, most_bytes: int = MOST_BYTES, most_values: int = MOST_VALUES) -> dict[str, Any]:
    """Reads a JSON file that holds an object; see `read_json`.

    Args:
        path: The file.
        most_bytes, most_values: Larger files are refused.

    Raises:
        ArtifactError: As `read_json`; or it holds something else than an object.
    """
    content = read_json(path, most_bytes, most_values)
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} holds {kind_of(content)} in place of an object: delete it, or make it again")
    return content


def kind_of(value: object) -> str:
    """What a value is in JSON's words: "a list", "an object", "text", "a number", "true", "null"."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, str):
        return "text"
    return "a number" if isinstance(value, (int, float)) and not isinstance(value, bool) else json.dumps(value)


def read_regular(path: Path, most_bytes: int) -> bytes:
    """Reads a file that must be a regular one, and not larger than it can be.

    Args:
        path: The file.
        most_bytes: A larger one is refused.

    Raises:
        ArtifactError: It is missing, not a regular file or too large.
    """
    try:
        _require_regular(path, path.stat())  # Before it is opened: opening a device may already do something.
        with open(path, "rb", opener=_without_waiting) as file:
            _require_regular(path, os.fstat(file.fileno()))
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:  # A name that no file can have.
        raise ArtifactError(f"cannot read {str(path)!r}: {error}") from error
    if len(content) > most_bytes:
        raise ArtifactError(f"{path} is larger than {most_bytes >> 20} MiB: edgekd wrote no such file, make it again")
    return content


def _require_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ArtifactError(f"cannot read {path}: it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise ArtifactError(f"cannot read {path}: it is not a regular file")


def _without_waiting(path: str, flags: int) -> int:
    """Opens a file; a FIFO that took its place since it was looked at would otherwise wait for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = Counter(name for name, _ in pairs)
        twice = next(name for name, count in seen.items() if count > 1)
        raise ValueError(f"an object holds '{shown(twice)}' twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}, which is not a finite number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"it holds {shown(text)}, which is not a finite number")
    return number


def _bounded(text: str) -> int:
    if len(text.lstrip("-")) > len(str(LARGEST_INTEGER)) or abs(int(text)) >= LARGEST_INTEGER:
        raise ValueError(f"it holds {shown(text)}, which is too large for an integer")
    return int(text)


def _check(content: object) -> None:
    """Refuses what is nested too deeply to be handed on, and text that cannot be a file's name.

    Level by level rather than by recursion, which a file could exhaust.
    """
    level, depth = [content], 0
    while level:
        if depth > MOST_DEPTH:
            raise ValueError(f"it is nested more than {MOST_DEPTH} levels deep")
        inside: list[object] = []
        for value in level:
            if isinstance(value, dict):
                inside += [*value, *value.values()]
            elif isinstance(value, list):
                inside += value
            elif isinstance(value, str):
                _require_unicode(value)
        level, depth = inside, depth + 1


def _require_unicode(text: str) -> None:
    """Names that are not UTF-8 on their disk stand in JSON as Python has them, as half a surrogate pair a byte."""
    if not text.isascii():
        try:
            text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise ValueError(f"it holds text that is not Unicode: {shown(text)}") from None
