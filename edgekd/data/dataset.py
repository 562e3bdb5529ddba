"""A dataset: a folder of categories, or one category of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from edgekd.data.layouts import read_category, recognise_layout
from edgekd.data.split_folders import folders_in
from edgekd.errors import EdgekdError, unknown_name

PARTS = ("train", "test", "ground_truth", "Data")  # A folder that has one of them is meant to be a category.

logger = logging.getLogger(__name__)


def find_categories(data: Path, names: Sequence[str] | None = None) -> list[Path]:
    """The folders of a dataset's categories, each of them read once: what is missing shows before anything is trained.

    Args:
        data: A dataset, or one category of it.
        names: Of the categories that are wanted; None for all.

    Returns:
        In the order of the dataset.

    Raises:
        EdgekdError: There is no category, none of a name, or one is incomplete or has no good images to train on.
    """
    if not data.is_dir():
        raise EdgekdError(f"no such folder: {data}")
    if recognise_layout(data) is not None:
        found = {data.resolve().name: data}
    else:
        found = {folder.name: folder for folder in folders_in(data) if _is_meant(folder)}
    if not found:
        raise EdgekdError(f"{data} holds no category in a layout that edgekd reads (docs/datasets.md)")
    for name in names or ():
        if name not in found:
            raise unknown_name("category", name, found)
    chosen = [folder for name, folder in found.items() if names is None or name in names]
    categories = [read_category(folder) for folder in chosen]
    for category in categories:
        if not category.train_good:
            raise EdgekdError(f"{category.root} has no good images to train on")
        if not category.has_masks and any(other.has_masks for other in categories):
            logger.info(
                "%s has no masks, others have: no pixel metrics for it, nor in the means over categories", category.root
            )
    return chosen


def _is_meant(folder: Path) -> bool:
    """Whether a folder is meant to be a category, even if it lacks something: that is an error, not passed over."""
    return recognise_layout(folder) is not None or any((folder / part).is_dir() for part in PARTS)
