"""Flips and quarter turns of images: the eight symmetries of a square, by number."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FLIP_HORIZONTAL, FLIP_VERTICAL, TRANSPOSE = 1, 2, 4  # The bits of a symmetry's number; 0 leaves an image as it is.
ALL_SYMMETRIES = FLIP_HORIZONTAL | FLIP_VERTICAL | TRANSPOSE


def transformed(image: NDArray[np.uint8], symmetry: int) -> NDArray[np.uint8]:
    """An image under a symmetry.

    Args:
        image: uint8 [H, W, C]; a square where it is transposed.
        symmetry: 0 to 7: first transposed, then flipped, as its bits say.

    Returns:
        A view of the image, of the same shape.
    """
    if symmetry & TRANSPOSE:
        image = image.transpose(1, 0, 2)
    if symmetry & FLIP_HORIZONTAL:
        image = image[:, ::-1]
    return image[::-1] if symmetry & FLIP_VERTICAL else image


def turned(image: NDArray[np.uint8], angle: float) -> NDArray[np.uint8]:
    """An image turned about its middle; what comes in at the corners is mirrored at the borders.

    Args:
        image: uint8 [side, side, 3].
        angle: In degrees, counterclockwise.
    """
    middle = (len(image) - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), angle, 1.0)
    result = cv2.warpAffine(image, turn, image.shape[:2], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(result, np.uint8)
