"""Images that are made, not taken: for measuring speed and parity where no real ones are at hand."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.preprocessing import Size, parse_size


def generated_frames(count: int, size: int | Size, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth random colour fields with fine grain, so that edges, flats and noise all occur.

    Args:
        count: How many.
        size: Height and width, in pixels, or the side of squares.
        seed: Of the randomness.

    Returns:
        uint8 [count, height, width, 3].
    """
    random = np.random.default_rng(seed)
    height, width = parse_size(size)
    frames = np.empty((count, height, width, 3), np.uint8)
    for frame in frames:
        field = cv2.resize(random.uniform(0, 255, (6, 6, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
        frame[:] = np.clip(field + random.normal(0, 8, field.shape), 0, 255)
    return frames
