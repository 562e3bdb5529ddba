"""The files below a folder that are ignored, counted by the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgekd.data.folders import list_folder


def count_ignored(data: Path, used: Iterable[Path]) -> dict[str, int]:
    """Counts the files below a folder that are not among the images used.

    Args:
        data: A plain folder of images, or a category.
        used: The images, as `edgekd.data.layouts.find_good_images` or `edgekd.data.images.list_images` lists them.

    Returns:
        Files by reason, the most frequent reason first: "in test" and other folders that hold no training images,
        "kept for testing by the dataset's split" for images beside those used, and the reasons of
        `edgekd.data.folders.Listing`.
    """
    listing = list_folder(data)
    paths = {path.relative_to(data) for path in used}
    folders = {folder for path in paths for folder in path.parents}
    unused = (path.relative_to(data) for path in listing.images)
    reasons = Counter(listing.others.values())
    reasons.update(_reason(path, folders) for path in unused if path not in paths)
    return most_frequent_first(reasons)


def most_frequent_first(reasons: Counter[str]) -> dict[str, int]:
    """Files by reason, the most frequent reason first.

    Args:
        reasons: Files by reason.
    """
    return dict(sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0])))


def describe_ignored(counts: Mapping[str, int]) -> str:
    """Says in words what was ignored, such as "ignored 3 files: 2 hidden, 1 not an image (.txt)"; "" for nothing."""
    total = sum(counts.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    return f"ignored {total} {'file' if total == 1 else 'files'}: {reasons}" if total else ""


def _reason(path: Path, folders_used: set[Path]) -> str:
    """Why an image is not used."""
    outermost = next((folder for folder in reversed(path.parents) if folder not in folders_used), None)
    return "kept for testing by the dataset's split" if outermost is None else f"in {outermost.as_posix()}"
