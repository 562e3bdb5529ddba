"""The files below a folder that training ignores, counted by the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from edgekd.data.images import is_image


def count_ignored(data: Path, used: Iterable[Path]) -> dict[str, int]:
    """Counts the files below a folder that are not among its good training images.

    Args:
        data: A plain folder of good images, or a category.
        used: The good images, as `edgekd.data.layouts.find_good_images` lists them.

    Returns:
        Files by reason, the most frequent reason first: "in test" and other folders that hold no training images, "not
        an image (.txt)", "hidden", and "kept for testing by the dataset's split" for images beside those used.
    """
    paths = {path.relative_to(data) for path in used}
    folders = {folder for path in paths for folder in path.parents}
    found = (path.relative_to(data) for path in data.rglob("*") if path.is_file())
    reasons = Counter(_reason(path, folders) for path in found if path not in paths)
    return dict(sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0])))


def _reason(path: Path, folders_used: set[Path]) -> str:
    if any(part.startswith(".") for part in path.parts):
        return "hidden"
    if not is_image(path):
        return f"not an image ({path.suffix.lower() or 'no suffix'})"
    outermost = next((folder for folder in reversed(path.parents) if folder not in folders_used), None)
    return "kept for testing by the dataset's split" if outermost is None else f"in {outermost.as_posix()}"
