"""The good images of a run, in the size it trains with."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd.data.images import read_image
from edgekd.data.resizing import resize_image
from edgekd.errors import EdgekdError
from edgekd.resize_rules import CURRENT_RESIZE_RULE

HELD_OUT_SHARE = 0.1
ENOUGH_FOR_A_THRESHOLD, MANY_ENOUGH_TO_SPARE_THEM = 10, 40
FEWEST_IMAGES = 2


def split_good_images(paths: Sequence[Path], seed: int) -> tuple[list[Path], list[Path]]:
    """Splits good images into those to train on and those held out to set the threshold.

    Args:
        paths: All of them.
        seed: Of the choice.

    Returns:
        Nine tenths and one tenth, sorted. From 40 images upward at least ten are held out, as many as a threshold
        needs; below ten images none is.

    Raises:
        EdgekdError: There are fewer than two.
    """
    if len(paths) < FEWEST_IMAGES:
        raise EdgekdError(f"{len(paths)} good image is too few to train on: give dozens, better hundreds")
    order = np.random.default_rng(seed).permutation(len(paths))
    count = int(len(paths) * HELD_OUT_SHARE)
    if len(paths) >= MANY_ENOUGH_TO_SPARE_THEM:
        count = max(count, ENOUGH_FOR_A_THRESHOLD)
    held_out = {int(index) for index in order[:count]}
    training = [path for index, path in enumerate(paths) if index not in held_out]
    return training, [path for index, path in enumerate(paths) if index in held_out]


def read_frames(paths: Sequence[Path], size: int, rule: str = CURRENT_RESIZE_RULE) -> NDArray[np.uint8]:
    """Reads images and brings them to one size.

    Args:
        paths: Of the images.
        size: The side, in pixels.
        rule: To resize by: that of the run or the artifact that the frames are for.

    Returns:
        uint8 [N, size, size, 3], BGR.

    Raises:
        ImageError: One cannot be read; the error names it.
    """
    frames = np.empty((len(paths), size, size, 3), np.uint8)

    def read(index: int) -> None:
        frames[index] = resize_image(read_image(paths[index]), size, size, rule)

    with ThreadPoolExecutor(4) as readers:
        list(readers.map(read, range(len(paths))))
    return frames
