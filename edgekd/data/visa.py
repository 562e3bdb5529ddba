"""VisA as its archive holds it.

    <root>/split_csv/1cls.csv
    <root>/<category>/Data/Images/Normal/*.JPG  and  <root>/<category>/Data/Images/Anomaly/*.JPG
    <root>/<category>/Data/Masks/Anomaly/<stem>.png

1cls.csv splits it: object, split, label, image, mask, paths from the root. A category without the file beside it is
split here, every tenth good image to test, which is a split of ours. What the dataset's prepare_data.py makes of it
is in the layout of MVTec AD and is read as such.

Source: amazon-science/spot-diff (split_csv/1cls.csv, utils/prepare_data.py).
"""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from edgekd.data.category import GOOD, Category, TestImage
from edgekd.data.images import list_images
from edgekd.data.masks import pair_masks
from edgekd.errors import EdgekdError

SPLIT_FILE = PurePosixPath("split_csv/1cls.csv")
COLUMNS = ("object", "split", "label", "image", "mask")
DEFECT = "anomaly"
TEST_EVERY = 10


class _Row(NamedTuple):
    """A row of 1cls.csv: an image of the category, its part and its mask."""

    training: bool
    good: bool
    path: Path
    mask: Path | None


def is_visa(category: Path) -> bool:
    """Whether a folder is a category of VisA's archive."""
    return (category / "Data" / "Images").is_dir()


def read_visa(category: Path) -> Category:
    """Reads a category of VisA.

    Args:
        category: Its folder.

    Raises:
        EdgekdError: Images or masks are missing, or 1cls.csv differs from the archive's.
    """
    split_file = category.resolve().parent / SPLIT_FILE
    train_good, test = _split_by_file(category, split_file) if split_file.is_file() else _split_by_count(category)
    return Category(category.resolve().name, category, train_good, test, "visa")


def _split_by_count(category: Path) -> tuple[list[Path], list[TestImage]]:
    images, masks = category / "Data" / "Images", category / "Data" / "Masks"
    normal, anomalies = list_images(images / "Normal"), list_images(images / "Anomaly")
    if len(normal) < 2:
        raise EdgekdError(f"{images / 'Normal'} holds one image: one to train on and one to test with are needed")
    test = [TestImage(path, GOOD, None) for path in normal[::TEST_EVERY]]
    train_good = [path for index, path in enumerate(normal) if index % TEST_EVERY]
    if not masks.is_dir():
        return train_good, test + [TestImage(path, DEFECT, None) for path in anomalies]
    paired = pair_masks(anomalies, images / "Anomaly", masks / "Anomaly", "{stem}.png", masks)
    return train_good, test + [TestImage(path, DEFECT, mask) for path, mask in zip(anomalies, paired, strict=True)]


def _split_by_file(category: Path, split_file: Path) -> tuple[list[Path], list[TestImage]]:
    rows = _read_rows(category, split_file)
    _require_all_there(rows, split_file)
    train_good = sorted(row.path for row in rows if row.training and row.good)
    good = sorted(row.path for row in rows if not row.training and row.good)
    defective = sorted((row.path, row.mask) for row in rows if not row.training and not row.good)
    parts = {"good images to train on": train_good, "good test images": good, "defective test images": defective}
    for what, part in parts.items():
        if not part:
            raise EdgekdError(f"{split_file} names no {what} of '{category.resolve().name}': copy it from the archive")
    test = [TestImage(path, GOOD, None) for path in good]
    return train_good, test + [TestImage(path, DEFECT, mask) for path, mask in defective]


def _read_rows(category: Path, split_file: Path) -> list[_Row]:
    name = category.resolve().name
    try:
        with split_file.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise EdgekdError(f"{split_file} lacks columns: expected {', '.join(COLUMNS)}")
            entries = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EdgekdError(f"cannot read {split_file}: {error}") from error
    own = [entry for entry in entries if entry["object"] == name]
    if not own:
        known = ", ".join(sorted({entry["object"] for entry in entries if entry["object"]}))
        raise EdgekdError(f"{split_file} names no image of '{name}': it names {known}")
    return [_row(entry, category, name, split_file) for entry in own]


def _row(entry: dict[str, str | None], category: Path, name: str, split_file: Path) -> _Row:
    split, good, image = entry["split"], entry["label"] == "normal", entry["image"] or ""
    if split not in ("train", "test"):
        raise EdgekdError(f"{split_file} puts {image or 'an image'} into '{split}': expected train or test")
    path = _within(category, name, image, split_file)
    if good or split == "train":
        return _Row(split == "train", good, path, None)
    if not entry["mask"]:
        raise EdgekdError(f"{split_file} names no mask for the defective image {image}: copy it from the archive")
    return _Row(False, False, path, _within(category, name, entry["mask"], split_file))


def _within(category: Path, name: str, listed: str, split_file: Path) -> Path:
    """The file that 1cls.csv names, as a path below the category's folder."""
    parts = PurePosixPath(listed).parts
    if len(parts) < 2 or parts[0] != name or ".." in parts:
        raise EdgekdError(f"{split_file} names '{listed}' of '{name}': expected a path that begins with {name}/")
    return category.joinpath(*parts[1:])


def _require_all_there(rows: list[_Row], split_file: Path) -> None:
    named = [path for row in rows for path in (row.path, row.mask) if path is not None]
    missing = [path for path in named if not path.is_file()]
    if missing:
        raise EdgekdError(
            f"{len(missing)} of {len(named)} files that {split_file} names are missing, the first is {missing[0]}: "
            "unpack the archive again"
        )
