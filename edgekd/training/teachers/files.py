"""Where the files of teachers are: those that ship with edgekd, those in packages, those in the user's store.

Nothing here needs torch, so that listing teachers is quick.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

from edgekd.training.teachers.catalogue import CatalogueEntry

SHIPPED = Path(__file__).parent / "weights"


def shipped_teachers() -> list[str]:
    """The names of the teachers that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def store_folder() -> Path:
    """Where imported teachers are kept: $EDGEKD_TEACHERS, or the user's data folder."""
    if folder := os.environ.get("EDGEKD_TEACHERS"):
        return Path(folder)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "edgekd" / "teachers"


def stored_file(name: str) -> Path:
    """Where a teacher is, or would be, in the store."""
    return store_folder() / f"{name}.safetensors"


def is_stored(name: str) -> bool:
    """Whether a teacher was imported."""
    return stored_file(name).is_file() and stored_file(name).with_suffix(".json").is_file()


def is_here(entry: CatalogueEntry) -> bool:
    """Whether a teacher can be used without fetching anything."""
    if entry.name in shipped_teachers() or is_stored(entry.name):
        return True
    if entry.package is None:
        return False
    try:
        version(entry.package)
    except ModuleNotFoundError:
        return False
    return True
