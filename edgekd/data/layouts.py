"""Recognising the layout of a folder: a category of a known dataset, or a plain folder of good images."""

from __future__ import annotations

from pathlib import Path

from edgekd.data.category import GOOD, Category, TestImage
from edgekd.data.images import list_images
from edgekd.data.masks import read_mask
from edgekd.data.split_folders import (
    BTAD,
    MVTEC_AD,
    RETINAL_OCT,
    folders_in,
    read_split_folders,
    recognise_names,
    train_good_folder,
    validation_good_folder,
)
from edgekd.data.visa import SPLIT_FILE, is_visa, read_visa
from edgekd.errors import EdgekdError

__all__ = [
    "GOOD",
    "Category",
    "TestImage",
    "find_good_images",
    "find_validation_images",
    "read_category",
    "read_mask",
    "recognise_layout",
]

GOOD_FOLDERS = (MVTEC_AD.good, BTAD.good, RETINAL_OCT.good, "Normal")


def recognise_layout(data: Path) -> str | None:
    """The layout of a category.

    Args:
        data: Its folder.

    Returns:
        "mvtec_ad", "mvtec_loco", "btad", "visa" or "retinal_oct"; None for a plain folder.
    """
    if is_visa(data):
        return "visa"
    names = recognise_names(data)
    return None if names is None else names.layout


def find_good_images(data: Path) -> list[Path]:
    """The good images to train on.

    Args:
        data: A plain folder of good images, or a category in the layout of a known dataset.

    Returns:
        Every image below the folder, or those that the dataset gives to train on; sorted by path.

    Raises:
        EdgekdError: There is no image, or the folder may also hold defective images.
    """
    if is_visa(data):
        return read_visa(data).train_good
    names = recognise_names(data)
    if names is not None and train_good_folder(data, names).is_dir():
        return list_images(train_good_folder(data, names))
    _refuse_unknown_images(data)
    return list_images(data)


def find_validation_images(data: Path) -> list[Path]:
    """The good images that a dataset itself holds out, as MVTec LOCO AD does; sorted by path.

    Args:
        data: A plain folder of good images, or a category in the layout of a known dataset.

    Returns:
        Every image in validation/good beside train/good; none where there is no such folder.

    Raises:
        EdgekdError: There is no image in it.
    """
    names = None if is_visa(data) else recognise_names(data)
    if names is None or not train_good_folder(data, names).is_dir():
        return []
    folder = validation_good_folder(data, names)
    return list_images(folder) if folder.is_dir() else []


def read_category(data: Path) -> Category:
    """Reads what there is to train on and to evaluate on in a category, in whichever layout it has.

    Args:
        data: The category's folder.

    Returns:
        The category; its images are listed, not read.

    Raises:
        EdgekdError: There is no such folder, good or defective test images are missing, or masks for some of the
            defective ones.
    """
    if not data.is_dir():
        raise EdgekdError(f"no such folder: {data}")
    if is_visa(data):
        return read_visa(data)
    names = recognise_names(data)
    if names is None:
        _refuse_several_categories(data)
    return read_split_folders(data, names or MVTEC_AD)


def _refuse_unknown_images(data: Path) -> None:
    """Refuses a folder below which defective images may lie: a detector trained on them would call them good."""
    if not data.is_dir():
        return
    _refuse_several_categories(data)
    folders = {folder.name for folder in folders_in(data)}
    if folders & {"test", "ground_truth", "Masks"}:
        names = recognise_names(data) or MVTEC_AD
        raise EdgekdError(
            f"{data} has no train/{names.good}: expected it beside test, or a plain folder of good images"
        )
    for good in GOOD_FOLDERS:
        if good in folders and len(folders) > 1:
            others = ", ".join(sorted(folders - {good}))
            raise EdgekdError(f"{data} holds {good} beside {others}: name the folder of good images, {data / good}")


def _refuse_several_categories(data: Path) -> None:
    categories = [folder.name for folder in folders_in(data) if recognise_layout(folder) is not None]
    if categories or (data / SPLIT_FILE).is_file():
        named = f": name one of them, {', '.join(categories)}" if categories else ", but none is there: unpack them"
        raise EdgekdError(f"{data} holds several categories{named}")
