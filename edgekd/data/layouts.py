"""Recognising the layout of a folder: a category of a known dataset, or a plain folder of good images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from edgekd.data.category import GOOD, Category, TestImage
from edgekd.data.images import list_images
from edgekd.data.masks import read_mask
from edgekd.data.part_names import Kind, kind_of_name, kinds_of_names
from edgekd.data.split_folders import (
    MVTEC_AD,
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

SPLIT_FOLDERS = frozenset({"test", "ground_truth", "masks"})  # In a plain folder of good images there is none.
NAMES_SHOWN = 5  # In an error, of folders that may be many.


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
        EdgekdError: There is no image, or the folder may also hold defective images, by the names of its folders and
            files (`edgekd.data.part_names`).
    """
    if is_visa(data):
        return read_visa(data).train_good
    names = recognise_names(data)
    if names is not None and train_good_folder(data, names).is_dir():
        return list_images(train_good_folder(data, names))
    if data.is_dir():
        _refuse_several_categories(data)
    images = list_images(data)
    _refuse_unknown_images(data, images)
    return images


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


def _refuse_unknown_images(data: Path, images: list[Path]) -> None:
    """Refuses a folder below which defective images may lie: a detector trained on them would call them good."""
    folders = {folder.name.lower() for folder in folders_in(data)}
    if folders & SPLIT_FOLDERS:
        names = recognise_names(data) or MVTEC_AD
        likely = [folder for folder in _good_folders(data, images) if folder.relative_to(data).parts[0] == "train"]
        raise EdgekdError(
            f"{data} has no train/{names.good}: expected it beside test, or a plain folder of good images"
            + (f"; name the folder of good images, {likely[0]}" if len(likely) == 1 else "")
        )
    for folder, inside in _contents(data, images).items():
        kinds = {name: kind_of_name(name) for name in inside if name}
        good = [name for name, kind in kinds.items() if kind == "good"]
        others = [name or "other images" for name in inside if name not in good]
        if (good and others) or "defective" in kinds.values():
            held = " beside ".join(", ".join(names[:NAMES_SHOWN]) for names in (good, others) if names)
            raise EdgekdError(f"{folder} holds {held}: {_advice(_good_folders(data, images))}")
    _refuse_mixed_file_names(data, images)


def _refuse_mixed_file_names(data: Path, images: list[Path]) -> None:
    """Refuses files of which some are named as good or defective ones, such as ok_001.png and ng_001.png."""
    kinds = kinds_of_names([image.stem for image in images])
    counts, examples = Counter(kinds), dict(zip(kinds, images, strict=True))
    if len(counts) > 1:
        titles: dict[Kind | None, str] = {
            "good": "named as good",
            "defective": "named as defective",
            None: "named as neither",
        }
        found = ", ".join(
            f"{counts[kind]} {title}, such as {examples[kind].name}" for kind, title in titles.items() if counts[kind]
        )
        raise EdgekdError(f"{data} holds images of {len(counts)} kinds ({found}): {_advice([])}, which holds no others")


def _contents(data: Path, images: list[Path]) -> dict[Path, list[str]]:
    """The folders above images, and which folders each holds that lead to images; "" for images of its own."""
    inside: dict[Path, dict[str, None]] = {}
    for image in images:
        parts = image.relative_to(data).parts
        for depth, name in enumerate(parts):
            inside.setdefault(data.joinpath(*parts[:depth]), {})[name if depth + 1 < len(parts) else ""] = None
    return {folder: list(names) for folder, names in inside.items()}


def _good_folders(data: Path, images: list[Path]) -> list[Path]:
    """The outermost folders that are named as folders of good images, and are in none of defective ones."""
    found: dict[Path, None] = {}
    for image in images:
        folder = data
        for name in image.relative_to(data).parts[:-1]:
            folder, kind = folder / name, kind_of_name(name)
            if kind == "good":
                found[folder] = None
            if kind is not None:
                break
    return list(found)


def _advice(good: list[Path]) -> str:
    if len(good) == 1:
        return f"name the folder of good images, {good[0]}"
    if good:
        likely = ", ".join(map(str, good[:NAMES_SHOWN]))
        return f"name a folder of good images alone; those of {likely} can be copied into one"
    return "name the folder of good images"


def _refuse_several_categories(data: Path) -> None:
    categories = [folder.name for folder in folders_in(data) if recognise_layout(folder) is not None]
    if categories or (data / SPLIT_FILE).is_file():
        named = f": name one of them, {', '.join(categories)}" if categories else ", but none is there: unpack them"
        raise EdgekdError(f"{data} holds several categories{named}")
