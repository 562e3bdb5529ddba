"""Changes of recipes in the audit trail of the station that uses them, beside it while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekd.errors import EdgekdError, MachineError
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.recipe_store import recipes_in_use
from edgekd.station.record.opening import note_change

ADDRESS = "command line"


@dataclass
class Change:
    """What a change makes of a recipe; filled while it is made.

    Attributes:
        folder: `ID/REVISION` that it is noted of.
        old: What was before.
        new: What is since.
    """

    folder: Path
    old: str = ""
    new: str = ""


@contextlib.contextmanager
def on_record(data: Path | None, who: str, action: str, folder: Path, why: str) -> Iterator[Change]:
    """Puts the change that the block makes into an audit trail, once it is made.

    Args:
        data: The station's data folder; None for no trail.
        who: Who makes it.
        action: What, such as "release recipe".
        folder: `ID/REVISION`; the block may name another one that it made.
        why: The reason.

    Raises:
        EdgekdError: There is no record; then nothing is changed.
        MachineError: It cannot be written, and the recipe is changed.
    """
    if data is not None and not (data / VERDICTS_FILE).is_file():
        raise EdgekdError(f"{data} holds no record of a station: name 'data' of its configuration, once it has run")
    change = Change(folder)
    yield change
    if data is None:
        return
    try:
        note_change(data, who, "", ADDRESS, action, name_of(change.folder), change.old, change.new, why)
    except EdgekdError as error:
        raise MachineError(f"{change.folder} is changed, but not in the audit trail: {error}") from error


def name_of(folder: Path) -> str:
    """ID/REVISION.

    Args:
        folder: Of the revision.
    """
    return "/".join(folder.absolute().parts[-2:])


def in_use(folder: Path) -> str:
    """The revisions of a recipe that are in use, in words.

    Args:
        folder: Of any of its revisions.
    """
    folder = folder.absolute()
    return ", ".join(
        f"{each.id}/{each.revision}" for each in recipes_in_use(folder.parent.parent) if each.id == folder.parent.name
    )
