"""Reading TOML that people write: bounded in size, and held against a model."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter

from edgekd.errors import ArtifactError
from edgekd.json_files import read_regular
from edgekd.typed import checked

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_BYTES = 1 << 20
Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: Path, model: type[Model], remedy: str) -> Model:
    """Reads a TOML file.

    Args:
        path: The file; UTF-8.
        model: What it must hold.
        remedy: What to do where it is wrong, such as "correct it".

    Raises:
        ArtifactError: It is missing, not a regular file, too large, not TOML, or a field is missing, wrong or not
            known; it is named.
    """
    try:
        content = tomllib.loads(read_regular(path, MOST_BYTES).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not valid TOML: {str(error) or 'it is nested too deeply'}") from error
    return checked(TypeAdapter(model), _plain(content), path, remedy)


def _plain(content: Any) -> Any:
    """Lists as tuples, since what was read does not change, and times as text."""
    if isinstance(content, dict):
        return {name: _plain(value) for name, value in content.items()}
    if isinstance(content, (datetime.date, datetime.time)):
        return content.isoformat()
    return tuple(map(_plain, content)) if isinstance(content, list) else content
