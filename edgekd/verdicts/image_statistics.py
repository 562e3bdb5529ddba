"""What an image is checked by, as the log of verdicts stores it; without OpenCV, which measures it."""

from __future__ import annotations

from typing import NamedTuple


class Statistics(NamedTuple):
    """What an image is checked by.

    Attributes:
        width, height: In pixels.
        level: The mean grey level, 0..255.
        saturated: The share of pixels that are white, at or above 250.
        structure: The mean contrast of details of about a sixtieth of the image, in levels.
        sharpness: The contrast of the finest details over that of those four times as large.
        detail: The contrast of details twice as large as the finest over the same: it also tells a blur that is so
            strong that the finest are the camera's noise.
    """

    width: int
    height: int
    level: float
    saturated: float
    structure: float
    sharpness: float
    detail: float
