"""A case of fuzzing: files and values that a target is run with, kept in a folder so that it can be run again."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis.strategies import SearchStrategy

VALUES_FILE = "case.json"
FILES_FOLDER = "files"


class WrongAnswerError(AssertionError):
    """What a target took for good is not what its file holds."""


@dataclass(frozen=True)
class Case:
    """What a target is run with.

    Attributes:
        files: Contents by path, relative to the folder that the target runs in.
        values: What JSON can hold; strings may hold lone surrogates.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """A reader of foreign input.

    Attributes:
        name: For the command line.
        code: The modules that it tries, for the report.
        cases: Draws cases, given the folder of seeds that `seeds.make_seeds` made.
        run: Takes the values of a case and the folder that holds its files. It may raise EdgekdError; anything else is
            a finding, and so is a WrongAnswerError.
        smoke: Cases of the short run within the tests.
    """

    name: str
    code: str
    cases: Callable[[Path], SearchStrategy[Case]]
    run: Callable[[Mapping[str, Any], Path], None]
    smoke: int = 20


def write_case(case: Case, folder: Path) -> Path:
    """Writes a case so that `read_values` and the folder that is returned run it again.

    Returns:
        The folder of its files.
    """
    files = folder / FILES_FOLDER
    files.mkdir(parents=True, exist_ok=True)
    for name, content in case.files.items():
        path = os.fsencode(files) + b"/" + os.fsencode(name)  # Names need not be UTF-8.
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    (folder / VALUES_FILE).write_text(json.dumps(case.values, default=_encoded), encoding="ascii")
    return files


def read_values(folder: Path) -> dict[str, Any]:
    """The values of a case that was kept."""
    content: dict[str, Any] = json.loads((folder / VALUES_FILE).read_text(encoding="ascii"), object_hook=_decoded)
    return content


def _encoded(value: object) -> dict[str, str]:
    assert isinstance(value, bytes)
    return {"base64": base64.b64encode(value).decode("ascii")}


def _decoded(entry: dict[str, Any]) -> Any:
    return base64.b64decode(entry["base64"]) if set(entry) == {"base64"} else entry
