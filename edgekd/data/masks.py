"""Masks: which pixels of an image are defective."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.folders import is_image
from edgekd.data.images import list_images, read_pixels
from edgekd.errors import EdgekdError, ImageError

Mask = NDArray[np.bool_]  # [H, W]


def read_mask(path: Path, height: int, width: int) -> Mask:
    """Reads a mask of defective pixels in a given size.

    Args:
        path: An image whose defective pixels are not black, or a folder of such images, whose union counts.
        height, width: Of the result, in pixels.

    Returns:
        bool [height, width]: the mask of zeros and ones, resized bilinearly, at 0.5 and above.

    Raises:
        ImageError: A file is not a complete image, or the images of a folder differ in size.
    """
    mask = marked_pixels(path).astype(np.float32)
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR) >= 0.5)


def pair_masks(images: list[Path], root: Path, folder: Path, expected_name: str, ground_truth: Path) -> list[Path]:
    """Finds the mask of each defective image of one class, by its stem.

    The mask of an image in a sub-folder of its class is in the same sub-folder of the masks; or beside all others, if
    no other image of the class has that stem.

    Args:
        images: Of the class.
        root: The folder of the class.
        folder: Where its masks are.
        expected_name: What a mask is called in the dataset, with {stem} for the image's; other suffixes, with and
            without "_mask", and a folder of the same stem are taken too.
        ground_truth: The folder without which the category has no masks at all.

    Raises:
        EdgekdError: Masks are missing; the error counts them and names the first.
    """
    places = {image: folder / image.parent.relative_to(root) for image in images}
    there = {place: {_stem(path): path for path in _masks_in(place)} for place in {folder, *places.values()}}
    stems = Counter(image.stem for image in images)
    masks = {image: _mask_of(image.stem, there[place]) for image, place in places.items()}
    for image, mask in masks.items():
        if mask is None and stems[image.stem] == 1:
            masks[image] = _mask_of(image.stem, there[folder])
    missing = [image for image, mask in masks.items() if mask is None]
    if missing:
        first = places[missing[0]] / expected_name.format(stem=missing[0].stem)
        raise EdgekdError(
            f"{len(missing)} of {len(masks)} masks of defect '{folder.name}' are missing, the first is {first}: "
            f"add them, or remove {ground_truth} to evaluate without pixel metrics"
        )
    return [mask for mask in masks.values() if mask is not None]


def _stem(mask: Path) -> str:
    """The stem of a mask; a folder's name has no suffix, though it may hold a dot."""
    return mask.name if mask.is_dir() else mask.stem


def _mask_of(stem: str, masks: Mapping[str, Path]) -> Path | None:
    return masks.get(f"{stem}_mask") or masks.get(stem)


def _masks_in(folder: Path) -> Iterable[Path]:
    """The masks in a folder: images, and folders that hold images."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if is_image(path) or (path.is_dir() and any(is_image(inside) for inside in path.iterdir())):
            yield path


def marked_pixels(path: Path) -> Mask:
    """The pixels of a mask that are not black, in its own size.

    Args:
        path: An image, or a folder of images, whose union counts.

    Returns:
        bool [H, W].

    Raises:
        ImageError: A file is not a complete image, or the images of a folder differ in size.
    """
    if not path.is_dir():
        # Any value but zero is a defect: some datasets write 1 or the number of the defect's class, not 255, in 8 or
        # in 16 bits.
        return np.asarray(read_pixels(path).any(axis=2))
    masks = [marked_pixels(part) for part in list_images(path)]
    if any(mask.shape != masks[0].shape for mask in masks):
        raise ImageError(f"the masks in {path} differ in size: they belong to one image and must have the same size")
    return np.asarray(np.any(masks, axis=0))
