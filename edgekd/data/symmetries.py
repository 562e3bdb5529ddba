"""How training images are changed: the eight symmetries of a square, by number; turns by any angle; small shifts."""

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


def shifted(image: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    """An image moved by a few pixels inside its frame; what comes in at the borders is mirrored there.

    Args:
        image: uint8 [H, W, 3].
        down, right: Pixels; negative ones move it up and to the left.
    """
    height, width = image.shape[:2]
    borders = max(down, 0), max(-down, 0), max(right, 0), max(-right, 0)
    whole = cv2.copyMakeBorder(np.ascontiguousarray(image), *borders, cv2.BORDER_REFLECT_101)
    top, left = max(-down, 0), max(-right, 0)
    return np.asarray(whole[top : top + height, left : left + width], np.uint8)
