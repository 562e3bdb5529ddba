"""The good images of a run, in the size it trains with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd.data.copies import group_copies
from edgekd.data.image_files import read_file
from edgekd.data.images import decode_image
from edgekd.data.layouts import find_good_images, find_validation_images
from edgekd.data.preparing import Placement, prepare_into
from edgekd.errors import EdgekdError, ImageError, few_of
from edgekd.preprocessing import Preprocessing, square
from edgekd.recipe import TrainingRecipe

HELD_OUT_SHARE = 0.1
ENOUGH_FOR_A_THRESHOLD, MANY_ENOUGH_TO_SPARE_THEM = 10, 40
FEWEST_IMAGES = 2


def divide_good_images(data: Path, seed: int, share: float | None = None) -> tuple[list[Path], list[Path]]:
    """The good images of a folder to train on, and those that are held out.

    Where the dataset has good validation images, as MVTec LOCO AD does, they are those held out, and all others are
    trained on, but for files that are copies of them. Elsewhere copies are left out as `split_good_images` has it.

    Args:
        data: A plain folder of good images, or a category of a dataset.
        seed: Of the choice, where there is one.
        share: As `split_good_images` takes it.

    Raises:
        EdgekdError: There is no image, fewer than two, or the folder may also hold defective images.
    """
    images, validation = find_good_images(data), find_validation_images(data)
    if not validation:
        return split_good_images(images, seed, share, group_copies(images))
    groups = group_copies([*validation, *images], alike=False)
    own = groups[len(validation) :]
    training = [image for image, group in zip(images, own, strict=True) if group >= len(validation)]
    _require_enough(training)
    return training, validation


def split_good_images(
    paths: Sequence[Path], seed: int, share: float | None = None, groups: Sequence[int] | None = None
) -> tuple[list[Path], list[Path]]:
    """Splits good images into those to train on and those held out to set the threshold.

    Args:
        paths: All of them.
        seed: Of the choice.
        share: Of them to hold out, 0..1, rounded up; None for a tenth, rounded down, but from 40 images upward at least
            ten, as many as a threshold needs.
        groups: Which of them are copies of each other, as `edgekd.data.copies.group_copies` groups them; None for none.
            A group counts as one image, and one of it is held out: a score that counts thrice promises too much.

    Returns:
        Those to train on and those held out, sorted. Copies of those held out are in neither.

    Raises:
        EdgekdError: There are fewer than two that are no copies.
    """
    group_of = range(len(paths)) if groups is None else groups
    different = len(set(group_of))
    _require_enough(paths, different)
    count = held_out_count(different, share)
    held_out: dict[int, int] = {}  # The image of each group.
    for index in np.random.default_rng(seed).permutation(len(paths)):
        if len(held_out) < count:
            held_out.setdefault(group_of[index], int(index))
    training = [path for path, group in zip(paths, group_of, strict=True) if group not in held_out]
    return training, [paths[index] for index in sorted(held_out.values())]


def training_images(recipe: TrainingRecipe) -> list[Path]:
    """The good images that a recipe trains on: those that it has hashes of, as far as they are still there.

    Args:
        recipe: Of a run.

    Raises:
        EdgekdError: There is no image any more.
    """
    data, others = Path(recipe.data), {*recipe.held_out, *recipe.left_out}
    names = ((path, path.relative_to(data).as_posix()) for path in find_good_images(data))
    return [path for path, name in names if name not in others and (not recipe.images or name in recipe.images)]


def held_out_count(images: int, share: float | None) -> int:
    """How many of so many good images are held out; the share is as `split_good_images` takes it."""
    if share is not None:
        return images - int((1 - share) * images)  # As MHKD's published code rounds it.
    count = int(images * HELD_OUT_SHARE)
    return max(count, ENOUGH_FOR_A_THRESHOLD) if images >= MANY_ENOUGH_TO_SPARE_THEM else count


def _require_enough(paths: Sequence[Path], different: int | None = None) -> None:
    if different is not None and different < FEWEST_IMAGES <= len(paths):
        raise EdgekdError(
            f"the {len(paths)} good images are copies of one, which is too few to train on: give dozens of other parts"
        )
    if len(paths) < FEWEST_IMAGES:
        raise EdgekdError(f"{len(paths)} good image is too few to train on: give dozens, better hundreds")


def read_frames(
    paths: Sequence[Path], preprocessing: Preprocessing | int, digests: Mapping[Path, str] | None = None
) -> NDArray[np.uint8]:
    """Reads images and prepares them for a network; see `read_placed_frames`.

    Returns:
        uint8 [N * tiles, height, width, 3], BGR: the tiles of the first image, then those of the second, and so on.
    """
    return read_placed_frames(paths, preprocessing, digests)[0]


def read_placed_frames(
    paths: Sequence[Path], preprocessing: Preprocessing | int, digests: Mapping[Path, str] | None = None
) -> tuple[NDArray[np.uint8], list[Placement]]:
    """Reads images and prepares them for a network.

    Args:
        paths: Of the images.
        preprocessing: Of the run or the artifact that the frames are for; a side in pixels for whole images in a
            square.
        digests: The SHA-256 that files must have, over the very bytes that are decoded; None for any.

    Returns:
        uint8 [N * tiles, height, width, 3], BGR: the tiles of the first image, then those of the second, and so on; and
        how each image lies.

    Raises:
        ImageError: One cannot be read, or does not suit the view; the error names it.
        EdgekdError: Files have another hash than they must; the error names them.
    """
    prepared = square(preprocessing) if isinstance(preprocessing, int) else preprocessing
    tiles = prepared.tiles
    frames = np.empty((len(paths) * tiles, prepared.height, prepared.width, 3), np.uint8)

    changed: list[Path] = []

    def read(index: int) -> Placement:
        content = read_file(paths[index])
        if digests and paths[index] in digests and hashlib.sha256(content).hexdigest() != digests[paths[index]]:
            changed.append(paths[index])
        image = decode_image(content, str(paths[index]), prepared.bit_depth)
        try:
            return prepare_into(image, frames[index * tiles : (index + 1) * tiles], prepared)
        except ImageError as error:
            raise ImageError(f"{paths[index]}: {error}") from error

    with ThreadPoolExecutor(4) as readers:
        placements = list(readers.map(read, range(len(paths))))
    if changed:
        raise EdgekdError(f"images changed while they were used: {few_of([str(path) for path in sorted(changed)])}")
    return frames, placements
