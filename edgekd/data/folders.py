"""The files below a folder, each once, and why some of them are no images of parts."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from edgekd.run_folder import HEAT_MAP_SUFFIX, IMAGES_FOLDER, VERDICTS_FILE

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp"}
    | {".pbm", ".pgm", ".ppm", ".pnm"}
)
# Folders of thumbnails and deleted files, which network storage, Windows and macOS make beside images; in lower case.
SYSTEM_FOLDERS = frozenset(
    {"@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin", "__macosx", "lost+found"}
    | {"system volume information", "thumbs", "thumbnails", "__pycache__"}
)
# What stands beside the heat maps of an inspection, earlier versions' tables among them.
VERDICTS = frozenset({VERDICTS_FILE, "verdicts.parquet", "verdicts"})
HIDDEN, SYSTEM, RESULTS = "hidden", "in thumbnail and system folders", "results of inspections"
LISTED_LINK, DEAD_LINK = "linked to a folder that is listed already", "linked to nothing"


class Listing(NamedTuple):
    """The files below a folder.

    Attributes:
        images: Those that are images by their names, sorted by path.
        others: Why each other one is none: "hidden", "not an image (.txt)", "results of inspections" and so on.
        unreadable: Folders that cannot be read, sorted by path, each with the reason.
    """

    images: list[Path]
    others: dict[Path, str]
    unreadable: dict[Path, str]


def list_folder(root: Path) -> Listing:
    """Lists the files below a folder. Linked folders are followed, and no folder is listed twice.

    Heat maps and originals that an inspection wrote are its results, wherever it wrote them.

    Args:
        root: The folder; what is below it may be hidden, it may not.
    """
    images: list[Path] = []
    others: dict[Path, str] = {}
    unreadable: dict[Path, str] = {}

    def note_unreadable(error: OSError) -> None:
        folder = Path(error.filename)
        if _reason_of_folder(folder.relative_to(root), False) is None:
            unreadable[folder] = error.strerror or str(error)

    seen: set[tuple[int, int]] = set()
    results: set[Path] = set()
    links = deque([root])
    while links:
        top = links.popleft()
        for place, folders, files in os.walk(top, onerror=note_unreadable):
            above = Path(place)
            if _is_seen(above, seen, note_unreadable):
                others[above] = LISTED_LINK
                folders.clear()
                continue
            if IMAGES_FOLDER in folders and not VERDICTS.isdisjoint([*folders, *files]):
                results.add(above / IMAGES_FOLDER)
            reason = _reason_of_folder(above.relative_to(root), not results.isdisjoint([above, *above.parents]))
            # Folders come before links to them, so that files have their own names wherever they can.
            linked = sorted(name for name in folders if (above / name).is_symlink())
            folders[:] = sorted(set(folders).difference(linked))
            links.extend(above / name for name in linked if reason is None)
            for name in files:
                path = above / name
                if (why := reason or _reason_of_file(path)) is None:
                    images.append(path)
                else:
                    others[path] = why
    return Listing(sorted(images), others, dict(sorted(unreadable.items())))


def is_left_out(folder: str) -> bool:
    """Whether a folder of that name holds no images of parts: it is hidden, or one of `SYSTEM_FOLDERS`."""
    return folder.startswith(".") or folder.lower() in SYSTEM_FOLDERS


def is_image(path: Path) -> bool:
    """Whether a file is an image by its name."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _is_seen(folder: Path, seen: set[tuple[int, int]], on_error: Callable[[OSError], None]) -> bool:
    """Whether a folder was listed under another name; from now on it was."""
    try:
        status = folder.stat()
    except OSError as error:
        on_error(error)
        return False
    identity = status.st_dev, status.st_ino
    if identity in seen:
        return True
    seen.add(identity)
    return False


def _reason_of_folder(inside: Path, is_result: bool) -> str | None:
    """Why no file of a folder is an image of a part; None where they may be."""
    if any(part.startswith(".") for part in inside.parts):
        return HIDDEN
    if any(is_left_out(part) for part in inside.parts):
        return SYSTEM
    return RESULTS if is_result else None


def _reason_of_file(path: Path) -> str | None:
    if path.name.startswith("."):
        return HIDDEN
    if path.name.endswith(HEAT_MAP_SUFFIX):
        return RESULTS
    if is_image(path):
        return None
    if path.is_symlink() and not path.exists():
        return DEAD_LINK
    return f"not an image ({path.suffix.lower() or 'no suffix'})"
