"""Dataset layouts: a plain folder of good pictures, or a category in the layout of MVTec AD.

A category of MVTec AD is:

    <category>/train/good/*
    <category>/test/good/*  and  <category>/test/<defect>/*
    <category>/ground_truth/<defect>/<stem>_mask.png
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.pictures import list_pictures, read_picture
from edgekd.errors import EdgekdError

GOOD = "good"
EXPECTED = "expected <category>/test/good and <category>/test/<defect>, each with pictures (the layout of MVTec AD)"


@dataclass(frozen=True)
class TestPicture:
    """A picture of the test set and what is known of it.

    Attributes:
        path: The picture.
        defect: The name of its class; "good" for a good one.
        mask: The picture of its defective pixels; None for a good one and where there is no ground truth.
    """

    __test__ = False  # Tells pytest that the name is no test's.

    path: Path
    defect: str
    mask: Path | None

    @property
    def defective(self) -> bool:
        """Whether the picture shows a defect."""
        return self.defect != GOOD


@dataclass(frozen=True)
class Category:
    """One category of a dataset: one kind of part, one detector.

    Attributes:
        name: The folder's name.
        root: The folder.
        train_good: Good pictures to train on; empty where the category has no train/good.
        test: Good and defective pictures to evaluate on, the good ones first.
    """

    name: str
    root: Path
    train_good: list[Path]
    test: list[TestPicture]

    @property
    def has_masks(self) -> bool:
        """Whether every defective picture has a mask, so that pixel metrics can be computed."""
        return all(picture.mask is not None for picture in self.test if picture.defective)


def find_good_pictures(data: Path) -> list[Path]:
    """The good pictures to train on.

    Args:
        data: A plain folder of good pictures, or a category in the layout of MVTec AD.

    Returns:
        Every picture below the folder, or below its train/good where it has one, sorted by path.

    Raises:
        EdgekdError: There is no picture, or the folder also holds what is not known to be good.
    """
    if _train_good(data).is_dir():
        return list_pictures(_train_good(data))
    _refuse_unknown_pictures(data)
    return list_pictures(data)


def read_category(data: Path) -> Category:
    """Reads what there is to evaluate on in a category in the layout of MVTec AD.

    Args:
        data: The category's folder.

    Returns:
        The category; its pictures are listed, not read.

    Raises:
        EdgekdError: Good or defective test pictures are missing, or masks for some of the defective ones.
    """
    test = data / "test"
    if not test.is_dir():
        raise EdgekdError(f"{data} has no folder test: {EXPECTED}")
    if not (test / GOOD).is_dir():
        raise EdgekdError(f"{test} has no folder {GOOD}: {EXPECTED}")
    defects = [folder for folder in _folders(test) if folder.name != GOOD]
    if not defects:
        raise EdgekdError(f"{test} has no folder of defective pictures beside {GOOD}: {EXPECTED}")
    pictures = [TestPicture(path, GOOD, None) for path in list_pictures(test / GOOD)]
    for folder in defects:
        pictures += _read_defect(folder, data / "ground_truth")
    train_good = list_pictures(_train_good(data)) if _train_good(data).is_dir() else []
    return Category(data.resolve().name, data, train_good, pictures)


def read_mask(path: Path, height: int, width: int) -> NDArray[np.bool_]:
    """Reads a mask of defective pixels in a given size.

    Args:
        path: A picture whose defective pixels are not black.
        height, width: Of the result, in pixels.

    Returns:
        bool [height, width]: the mask of zeros and ones, resized bilinearly, at 0.5 and above.

    Raises:
        PictureError: The file is no whole picture.
    """
    # Any value but zero is a defect: some datasets write 1 or the number of the defect's class, not 255.
    mask = np.asarray(read_picture(path).any(axis=2), dtype=np.float32)
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR) >= 0.5)


def _read_defect(folder: Path, ground_truth: Path) -> list[TestPicture]:
    """The pictures of one class of defects, with their masks where the dataset has any."""
    paths = list_pictures(folder)
    if not (ground_truth.is_dir() and _folders(ground_truth)):
        return [TestPicture(path, folder.name, None) for path in paths]
    masks = [ground_truth / folder.name / f"{path.stem}_mask.png" for path in paths]
    missing = [mask for mask in masks if not mask.is_file()]
    if missing:
        raise EdgekdError(
            f"{len(missing)} of {len(masks)} masks of defect '{folder.name}' are missing, the first is {missing[0]}: "
            f"add them, or remove {ground_truth} to evaluate without pixel metrics"
        )
    return [TestPicture(path, folder.name, mask) for path, mask in zip(paths, masks, strict=True)]


def _refuse_unknown_pictures(data: Path) -> None:
    """Refuses a folder below which defective pictures may lie: a detector trained on them would call them good."""
    folders = _folders(data) if data.is_dir() else []
    categories = [folder.name for folder in folders if _train_good(folder).is_dir()]
    if categories:
        raise EdgekdError(f"{data} holds several categories: name one of them, {', '.join(categories)}")
    names = {folder.name for folder in folders}
    if names & {"test", "ground_truth"}:
        raise EdgekdError(f"{data} has no train/{GOOD}: expected it beside test, or a plain folder of good pictures")
    if GOOD in names and len(names) > 1:
        others = ", ".join(sorted(names - {GOOD}))
        raise EdgekdError(f"{data} holds {GOOD} beside {others}: name the folder of good pictures, {data / GOOD}")


def _train_good(category: Path) -> Path:
    return category / "train" / GOOD


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, but the hidden ones, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
