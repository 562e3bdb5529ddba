"""What an image file declares of itself, and how it can contradict itself."""

from __future__ import annotations

from typing import NamedTuple

from edgekd.errors import ImageError

COLOURS = 3


class Header(NamedTuple):
    """What a file declares.

    Attributes:
        width, height: In pixels.
        memory: Bytes per pixel that decoding takes.
        grey: Whether it is one channel without a palette, which needs no conversion.
        images: How many images it holds; 2 stands for several where they are not counted.
        lenient: Whether OpenCV paints black what it cannot decode, so that another decoder must tell.
        plain: Whether such a file holds grey levels or colours as they are, without a rotation.
    """

    width: int
    height: int
    memory: float
    grey: bool = False
    images: int = 1
    lenient: bool = False
    plain: bool = False


class CutOffError(Exception):
    """The file ends before what its header declares."""


class DamagedError(Exception):
    """The file contradicts itself; the message says how."""


def decoded_bytes(depth: int, channels: int) -> int:
    """Bytes per pixel of a decoded image. One of more than 8 bits may be refused by its values, and is copied before.

    Args:
        depth: Bits of a sample.
        channels: Samples of a pixel.
    """
    return channels if depth <= 8 else 2 * channels * -(-depth // 8)


def cut_off(name: str) -> ImageError:
    """The error for a file whose end is missing.

    Args:
        name: What to call it.
    """
    return ImageError(f"{name} is cut off: the end of the image is missing, copy the file again")
