"""Categories that are split into folders: MVTec AD, MVTec LOCO AD, BTAD and Retinal OCT.

    <category>/train/<good>/*
    <category>/test/<good>/*  and  <category>/test/<defect>/*
    <category>/ground_truth/<defect>/<mask of the image's stem>

They differ in what they call the good folder and the masks; MVTec LOCO AD also has validation/good, and so may others.

Sources: apple/ml-destseg (data/mvtec_dataset.py) for MVTec AD; Xmh-L/MHKD4AD (MHKD.py) for LOCO;
open-edge-platform/anomalib (pull request 162) for BTAD's suffixes; the OCT2017 archive's description for Retinal OCT.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edgekd.data.category import GOOD, Category, TestImage
from edgekd.data.folders import is_left_out
from edgekd.data.images import list_images
from edgekd.data.loco import CONFIG_FILE, read_saturation_rules
from edgekd.data.masks import pair_masks
from edgekd.errors import EdgekdError

VALIDATION = "validation"
LOCO_DEFECTS = ("logical_anomalies", "structural_anomalies")


class Names(NamedTuple):
    """What a dataset calls its folders and masks.

    Attributes:
        layout: Its name in edgekd.
        title: Its own name.
        good: The folder of good images.
        mask: A mask, or a folder of masks, with {stem} for the image's.
    """

    layout: str
    title: str
    good: str
    mask: str


MVTEC_AD = Names("mvtec_ad", "MVTec AD", GOOD, "{stem}_mask.png")
MVTEC_LOCO = Names("mvtec_loco", "MVTec LOCO AD", GOOD, "{stem}")
BTAD = Names("btad", "BTAD", "ok", "{stem}.png")
RETINAL_OCT = Names("retinal_oct", "Retinal OCT", "NORMAL", "{stem}.png")


def recognise_names(category: Path) -> Names | None:
    """The dataset whose names a category's folders have; None where there is no folder of good images."""
    is_loco = (category / CONFIG_FILE).is_file() or any((category / "test" / kind).is_dir() for kind in LOCO_DEFECTS)
    if is_loco:
        return MVTEC_LOCO
    for names in (MVTEC_AD, BTAD, RETINAL_OCT):
        if any((category / part / names.good).is_dir() for part in ("train", "test")):
            return names
    return None


def train_good_folder(category: Path, names: Names) -> Path:
    """Where a category's good training images are."""
    return category / "train" / names.good


def validation_good_folder(category: Path, names: Names) -> Path:
    """Where the good images are that a category itself holds out."""
    return category / VALIDATION / names.good


def read_split_folders(category: Path, names: Names) -> Category:
    """Reads a category that is split into folders.

    Args:
        category: Its folder.
        names: Of its folders.

    Raises:
        EdgekdError: Good or defective test images are missing, or masks for some of the defective ones.
    """
    test = _test_images(category, names)
    train_good = train_good_folder(category, names)
    validation = validation_good_folder(category, names)
    has_masks = any(image.mask for image in test)
    return Category(
        category.resolve().name,
        category,
        list_images(train_good) if train_good.is_dir() else [],
        test,
        names.layout,
        list_images(validation) if validation.is_dir() else [],
        read_saturation_rules(category) if names is MVTEC_LOCO and has_masks else None,
    )


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, but hidden ones and those of thumbnails, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_left_out(path.name))


def _test_images(category: Path, names: Names) -> list[TestImage]:
    test, ground_truth = category / "test", category / "ground_truth"
    expected = (
        f"expected <category>/test/{names.good} and <category>/test/<defect>, each with images "
        f"(the layout of {names.title}; docs/datasets.md lists the others)"
    )
    if not test.is_dir():
        raise EdgekdError(f"{category} has no folder test: {expected}")
    if not (test / names.good).is_dir():
        raise EdgekdError(f"{test} has no folder {names.good}: {expected}")
    defects = [folder for folder in folders_in(test) if folder.name != names.good]
    if not defects:
        raise EdgekdError(f"{test} has no folder of defective images beside {names.good}: {expected}")
    images = [TestImage(path, GOOD, None) for path in list_images(test / names.good)]
    has_masks = ground_truth.is_dir() and bool(folders_in(ground_truth))
    for folder in defects:
        paths = list_images(folder)
        if not has_masks:
            images += [TestImage(path, folder.name, None) for path in paths]
            continue
        masks = pair_masks(paths, folder, ground_truth / folder.name, names.mask, ground_truth)
        images += [TestImage(path, folder.name, mask) for path, mask in zip(paths, masks, strict=True)]
    return images
