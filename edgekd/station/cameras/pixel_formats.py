"""Images from the bytes that a camera sends, by the name that GenICam's Pixel Format Naming Convention gives them.

Older names of GigE Vision 1 are known too. Packing is undone exactly; colour filters are interpolated by OpenCV.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.station.cameras.unpacking import samples_of
from edgekd.station.error_codes import ErrorCode, StationError

DEMOSAICING = {
    "RG": cv2.COLOR_BayerRGGB2BGR,
    "GR": cv2.COLOR_BayerGRBG2BGR,
    "GB": cv2.COLOR_BayerGBRG2BGR,
    "BG": cv2.COLOR_BayerBGGR2BGR,
}
ALIASES = {  # Names of GigE Vision 1.
    "RGB8Packed": "RGB8",
    "BGR8Packed": "BGR8",
    "RGBA8Packed": "RGBa8",
    "BGRA8Packed": "BGRa8",
    "YUV411Packed": "YUV411_8_UYYVYY",
    "YUV422Packed": "YUV422_8_UYVY",
    "YUV422YUYVPacked": "YUV422_8",
    "YUYVPacked": "YUV422_8",
    "YUV422_YUYV_Packed": "YUV422_8",
    "YUV444Packed": "YUV8_UYV",
}
DEPTHS = {"": (8, 10, 12, 14, 16), "p": (10, 12, 14), "Packed": (10, 12)}  # Of samples, by their packing.
MONO = re.compile(r"Mono(8|10|12|14|16)(p|Packed)?")
BAYER = re.compile(r"Bayer(RG|GR|GB|BG)(8|10|12|14|16)(p|Packed)?")
COLOUR = re.compile(r"(RGB|BGR|RGBa|BGRa)(8|10|12|14|16)")
LUMA = re.compile(r"(YUV|YCbCr|YCbCr601_|YCbCr709_)(8|422_8|411_8)(?:_(UYV|CbYCr|UYVY|CbYCrY|UYYVYY|CbYYCrYY))?")
# Where the samples of a group of pixels stand: luma of each, then the two chromas that they share.
GROUPS = {
    "Y": ("8", (0,), 1, 2),
    "UYV": ("8", (1,), 0, 2),
    "YY": ("422_8", (0, 2), 1, 3),
    "UYVY": ("422_8", (1, 3), 0, 2),
    "YYYY": ("411_8", (0, 1, 3, 4), 2, 5),
    "UYYVYY": ("411_8", (1, 2, 4, 5), 0, 3),
}
PLAIN_ORDERS = {"8": "Y", "422_8": "YY", "411_8": "YYYY"}
# Shares of red and blue in luma; cameras compute the first two over the full range, the others as television does.
SHARES = {"YUV": (0.299, 0.114), "YCbCr": (0.299, 0.114), "YCbCr601": (0.299, 0.114), "YCbCr709": (0.2126, 0.0722)}
FULL_RANGE = ("YUV", "YCbCr")

Pixels = tuple[NDArray[Any], int]


class Layout(NamedTuple):
    """How the bytes of a format become an image.

    Attributes:
        group: Bytes, and the pixels that share them.
        decode: Of the bytes, the width and the height.
    """

    group: tuple[int, int]
    decode: Callable[[NDArray[np.uint8], int, int], Pixels]


def is_known(pixel_format: str) -> bool:
    """Whether images of a format can be read.

    Args:
        pixel_format: By GenICam's name.
    """
    return _layout(pixel_format) is not None


def to_image(
    data: Any, pixel_format: str, width: int, height: int, row_bytes: int | None = None, row_padding: int = 0
) -> Pixels:
    """Makes an image of what a camera sent.

    Args:
        data: The bytes, in any object with a buffer; what follows the image in it is not looked at.
        pixel_format: By GenICam's name, such as Mono12p or BayerRG8.
        width: In pixels.
        height: In pixels.
        row_bytes: From one row to the next; None where only `row_padding` stands between them.
        row_padding: Bytes behind each row.

    Returns:
        [H, W] or [H, W, 3] BGR, uint8 or uint16, and the bits that its values use.

    Raises:
        StationError: IMAGE_FORMAT where the format is not known, IMAGE_INCOMPLETE where there are too few bytes.
    """
    layout = _layout(pixel_format)
    if layout is None:
        text = (
            f"the camera's pixel format {pixel_format} is not known: set another in the recipe, such as Mono8 or BGR8"
        )
        raise StationError(ErrorCode.IMAGE_FORMAT, text)
    flat = np.frombuffer(data, np.uint8)
    needed, row = _bytes_of(layout, width * height), _bytes_of(layout, width)
    if row_bytes is not None or row_padding:
        flat = _without_padding(flat, row, height, row_bytes or row + row_padding)
    if flat.size < needed:
        text = f"the image has {flat.size} bytes, {needed} are needed for {width} x {height} pixels of {pixel_format}"
        raise StationError(ErrorCode.IMAGE_INCOMPLETE, text)
    return layout.decode(flat[:needed], width, height)


def _bytes_of(layout: Layout, pixels: int) -> int:
    size, together = layout.group
    return -(-pixels * size // together)


def _without_padding(flat: NDArray[np.uint8], used: int, height: int, row_bytes: int) -> NDArray[np.uint8]:
    """The rows of an image one after another; the last one may lack its padding."""
    if used == row_bytes:
        return flat
    rows = [flat[start : start + used] for start in range(0, row_bytes * height, row_bytes)]
    return np.concatenate(rows)


def _layout(pixel_format: str) -> Layout | None:
    name = ALIASES.get(pixel_format, pixel_format)
    if match := MONO.fullmatch(name):
        return _samples(int(match[1]), match[2] or "", None)
    if match := BAYER.fullmatch(name):
        return _samples(int(match[2]), match[3] or "", DEMOSAICING[match[1]])
    if match := COLOUR.fullmatch(name):
        bits, order = int(match[2]), match[1]
        return Layout((len(order) * (1 if bits == 8 else 2), 1), partial(_colour, bits=bits, order=order))
    if match := LUMA.fullmatch(name):
        order = (match[3] or PLAIN_ORDERS[match[2]]).replace("Cb", "U").replace("Cr", "V")
        kind, luma, *_ = GROUPS[order]
        if kind == match[2]:
            return Layout((len(luma) + 2, len(luma)), partial(_from_luma, kind=match[1].rstrip("_"), order=order))
    return None


def _samples(bits: int, packing: str, demosaicing: int | None) -> Layout | None:
    if bits not in DEPTHS[packing]:
        return None
    decode = partial(_mono, bits=bits, packing=packing, demosaicing=demosaicing)
    if packing == "Packed":
        return Layout((3, 2), decode)
    return Layout((bits, 8) if packing else (1 if bits == 8 else 2, 1), decode)


def _mono(data: NDArray[np.uint8], width: int, height: int, bits: int, packing: str, demosaicing: int | None) -> Pixels:
    image = samples_of(data, width * height, bits, packing).reshape(height, width)
    return (image if demosaicing is None else cv2.cvtColor(image, demosaicing)), bits


def _colour(data: NDArray[np.uint8], width: int, height: int, bits: int, order: str) -> Pixels:
    samples = samples_of(data, width * height * len(order), bits, "")
    pixels = samples.reshape(height, width, len(order))[:, :, :3]
    return np.ascontiguousarray(pixels[:, :, ::-1] if order.startswith("RGB") else pixels), bits


def _from_luma(data: NDArray[np.uint8], width: int, height: int, kind: str, order: str) -> Pixels:
    _, luma, blue, red = GROUPS[order]
    groups = np.concatenate([data, np.zeros(-data.size % (len(luma) + 2), np.uint8)]).reshape(-1, len(luma) + 2)
    samples = np.empty((len(groups), len(luma), 3), np.uint8)
    samples[:, :, 0] = groups[:, luma]
    samples[:, :, 1] = groups[:, blue, None]
    samples[:, :, 2] = groups[:, red, None]
    return cv2.transform(samples.reshape(-1, 3)[: width * height].reshape(height, width, 3), _to_bgr(kind)), 8


def _to_bgr(kind: str) -> NDArray[np.float64]:
    """The matrix from luma, blue and red chroma, and 1, to blue, green and red."""
    of_red, of_blue = SHARES[kind]
    of_green = 1 - of_red - of_blue
    luma, chroma, black = (1.0, 1.0, 0.0) if kind in FULL_RANGE else (255 / 219, 255 / 224, 16.0)
    blue, red = 2 * (1 - of_blue) * chroma, 2 * (1 - of_red) * chroma
    matrix = np.array([[luma, blue, 0], [luma, -blue * of_blue / of_green, -red * of_red / of_green], [luma, 0, red]])
    return np.hstack([matrix, -matrix @ [[black], [128], [128]]])
