"""Images that are made, not taken: for measuring speed and parity where no real ones are at hand."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def generated_frames(count: int, size: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth random colour fields with fine grain, so that edges, flats and noise all occur.

    Args:
        count: How many.
        size: The side, in pixels.
        seed: Of the randomness.

    Returns:
        uint8 [count, size, size, 3].
    """
    random = np.random.default_rng(seed)
    frames = np.empty((count, size, size, 3), np.uint8)
    for frame in frames:
        field = cv2.resize(random.uniform(0, 255, (6, 6, 3)), (size, size), interpolation=cv2.INTER_CUBIC)
        frame[:] = np.clip(field + random.normal(0, 8, field.shape), 0, 255)
    return frames
