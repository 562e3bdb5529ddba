"""Frames for a network from images as they were read: the one way that training, evaluation and the runner share."""

from __future__ import annotations

from edgekd.data.images import Image
from edgekd.data.resizing import resize_image, resize_into
from edgekd.preprocessing import Preprocessing


def prepare(image: Image, preprocessing: Preprocessing) -> Image:
    """Prepares an image for a network.

    Args:
        image: uint8 [H, W, 3], BGR, of any size.
        preprocessing: Of the run or the artifact that the frame is for.

    Returns:
        uint8 [height, width, 3], BGR; the image itself where it has that size already.
    """
    return resize_image(image, preprocessing.height, preprocessing.width, preprocessing.resize)


def prepare_into(image: Image, out: Image, preprocessing: Preprocessing) -> None:
    """Prepares an image into existing memory; see `prepare`.

    Args:
        image: uint8 [H, W, 3], BGR, of any size.
        out: uint8 [height, width, 3], C-contiguous.
        preprocessing: Of the artifact that the frame is for.
    """
    resize_into(image, out, preprocessing.resize)
