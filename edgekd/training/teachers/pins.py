"""The hashes of published files that carry none: the first that is seen is kept, and another one is refused later."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path

from edgekd.artifact import read_json, write_json
from edgekd.errors import ArtifactError
from edgekd.training.teachers.catalogue import CatalogueEntry
from edgekd.training.teachers.files import store_folder

logger = logging.getLogger(__name__)


def pins_file() -> Path:
    """Where the hashes are kept: in the user's store."""
    return store_folder() / "pins.json"


def require_pinned(entry: CatalogueEntry, digest: str) -> None:
    """Refuses a file that is not the one that was downloaded the first time.

    Args:
        entry: Of the catalogue.
        digest: SHA-256 of the file.

    Raises:
        ArtifactError: It is another one.
    """
    known = _pins().get(entry.name)
    if known is not None and known.get("sha256") != digest:
        raise ArtifactError(
            f"{entry.url} is another file than on {known.get('date')}: its SHA-256 is {digest}, and was "
            f"{known.get('sha256')}; if the publisher replaced it, remove {entry.name} from {pins_file()}"
        )


def pin(entry: CatalogueEntry, digest: str) -> None:
    """Keeps the hash of a file that was checked otherwise, if it is the first, and shows it.

    Args:
        entry: Of the catalogue.
        digest: SHA-256 of the file.
    """
    pins = _pins()
    if entry.name in pins:
        return
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    write_json(pins_file(), pins | {entry.name: {"sha256": digest, "url": entry.url, "date": today}})
    logger.warning(
        "the publisher gives no hash of %s: compare its SHA-256 with that of others, %s; another file is refused from "
        "now on",
        entry.name,
        digest,
    )


def _pins() -> dict[str, dict[str, str]]:
    """The hashes by teacher.

    Raises:
        ArtifactError: The file of them is damaged.
    """
    if not pins_file().is_file():
        return {}
    content = read_json(pins_file())
    if not isinstance(content, dict) or not all(isinstance(value, dict) for value in content.values()):
        raise ArtifactError(f"{pins_file()} is damaged: remove it, and check what is downloaded next")
    return content
