"""Reading images: whole, three channels, 8 bits, the same way for training and on the line."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from edgekd.data.declared import Header, cut_off
from edgekd.data.folders import IMAGE_SUFFIXES, list_folder
from edgekd.data.image_files import SMALLEST_SIDE, checked_header, read_file
from edgekd.data.image_headers import JPEG
from edgekd.data.tiff_header import orientation_of
from edgekd.errors import EdgekdError, ImageError, one_line

CHANNELS = ((), (1,), (3,), (4,))
EXPECTED = (
    "uint8, uint16 or floating point of shape [height, width] (mono) or [height, width, channels] with 1, 3 (BGR) or 4"
)
FEWEST_OF_16_BITS = 4096  # A file whose largest value is below may use 12 bits, or fewer.
FLOAT_ROUNDING = 1e-3

# What undoes each orientation of EXIF.
_Step = Callable[[NDArray[Any]], NDArray[Any]]
_ACROSS, _DOWN, _BOTH = (partial(cv2.flip, flipCode=code) for code in (1, 0, -1))
TURNS: dict[int, tuple[_Step, ...]] = {
    1: (),
    2: (_ACROSS,),
    3: (_BOTH,),
    4: (_DOWN,),
    5: (cv2.transpose,),
    6: (cv2.transpose, _ACROSS),
    7: (cv2.transpose, _BOTH),
    8: (cv2.transpose, _DOWN),
}

Image = NDArray[np.uint8]  # [H, W, 3], BGR, as OpenCV and cameras give it

_logging: Any = getattr(cv2.utils, "logging", cv2)  # Where OpenCV has it from 4.13 on; before, at its top.
_logging.setLogLevel(0)  # Silent: a damaged file is reported once, by us.


def list_images(folder: Path) -> list[Path]:
    """Every image below a folder, sorted by path; see `edgekd.data.folders.list_folder`.

    Raises:
        EdgekdError: There is no such folder, no image in it, or a folder in it that cannot be read.
    """
    if not folder.is_dir():
        raise EdgekdError(f"no such folder: {folder}")
    listing = list_folder(folder)
    for unreadable, reason in listing.unreadable.items():
        raise EdgekdError(f"cannot read the folder {unreadable}: {reason}; allow it to be read, or move it away")
    if not listing.images:
        raise no_images(folder)
    return listing.images


def no_images(folder: Path) -> EdgekdError:
    """The error for a folder without images.

    Args:
        folder: The folder.
    """
    return EdgekdError(f"no image in {folder}: looked for {' '.join(sorted(IMAGE_SUFFIXES))}")


def read_image(path: Path, bit_depth: int | None = None) -> Image:
    """Reads an image of any common kind as 8-bit BGR.

    Grey becomes three equal channels, transparency is dropped. A file of 16 bits is scaled to 8 by its bit depth, the
    same for every image, however dark. Where the depth is not stated, a file that holds values from 4096 upward is
    taken to use all 16 bits, and one that does not is refused: 10 or 12 bits would become nearly black. What a PNG or
    PGM itself says of its depth does not count, for many writers say what the image happens to hold.

    Args:
        path: The file.
        bit_depth: Bits that a file of 16 bits uses, 9..16, the lowest ones; None where it is not stated. Files of 8
            bits stay as they are.

    Returns:
        uint8 [H, W, 3], BGR.

    Raises:
        ImageError: The file is missing, not an image, cut off, damaged, or so that its decoder warns of it; holds
            several images; is smaller than 16 pixels a side, or would take more memory than an image may; or its values
            do not suit the bit depth.
    """
    return decode_image(read_file(path), str(path), bit_depth)


def read_pixels(path: Path) -> NDArray[Any]:
    """Reads an image with the values that its file holds, as masks need them: labels may take up 16 bits.

    Args:
        path: The file.

    Returns:
        [H, W, 3], BGR, of the file's own type.

    Raises:
        ImageError: As `read_image` raises it.
    """
    return decode_pixels(read_file(path), str(path))


def decode_image(data: bytes, name: str, bit_depth: int | None = None) -> Image:
    """Decodes the bytes of an image file; see `read_image`.

    Args:
        data: The file's bytes.
        name: What to call it in an error.
        bit_depth: Bits that a file of 16 bits uses; None where it is not stated.
    """
    pixels = decode_pixels(data, name)
    if pixels.dtype == np.uint16 and bit_depth is None:
        bit_depth = _whole_depth(pixels, name)
    return as_bgr8(pixels, name, bit_depth)


def decode_pixels(data: bytes, name: str) -> NDArray[Any]:
    """Decodes the bytes of an image file; see `read_pixels`.

    Args:
        data: The file's bytes.
        name: What to call it in an error.
    """
    header = checked_header(data, name)
    decoded: NDArray[Any] | None
    if data.startswith(JPEG):
        decoded = _decode_jpeg(data, name, header)
    else:
        decoded = _decode_strictly(data, name, header) if header.lenient else None
        decoded = _decode(data, header) if decoded is None else decoded
    if decoded is None:
        raise ImageError(f"{name} cannot be read as an image: it is damaged or not an image file")
    return cv2.cvtColor(decoded, cv2.COLOR_GRAY2BGR) if decoded.ndim == 2 else decoded


def _decode(data: bytes, header: Header) -> NDArray[Any] | None:
    # IMREAD_UNCHANGED would skip the camera's rotation tag, which both of these obey.
    colours = cv2.IMREAD_GRAYSCALE if header.grey else cv2.IMREAD_COLOR
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), colours | cv2.IMREAD_ANYDEPTH)
    except (cv2.error, MemoryError):
        return None


def _decode_strictly(data: bytes, name: str, header: Header) -> NDArray[Any] | None:
    """Decodes a TIFF with Pillow, which reports what is damaged; None where OpenCV knows more of its colours."""
    from PIL.TiffImagePlugin import TiffImageFile  # When one is read: few stations have any.

    try:
        with TiffImageFile(io.BytesIO(data)) as file:
            file.load()
            if not header.plain or file.mode not in ("L", "RGB"):
                return None
            pixels = np.asarray(file)
    except Exception as error:  # It raises many kinds.
        raise _damaged(name, error) from error
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)


def _decode_jpeg(data: bytes, name: str, header: Header) -> NDArray[Any]:
    """Decodes a JPEG to the same pixels as OpenCV, which would keep silent where libjpeg warns of damage."""
    try:
        image: NDArray[Any] = simplejpeg.decode_jpeg(data, "GRAY" if header.grey else "BGR", strict=True)
    except (ValueError, MemoryError) as error:
        raise _damaged(name, error) from error
    for step in TURNS[orientation_of(data)]:
        image = step(image)
    return image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image


def _damaged(name: str, error: Exception) -> ImageError:
    """The error for a file that its decoder does not like."""
    reason = one_line(error)
    if "Premature end of JPEG file" in reason or "truncated" in reason:
        return cut_off(name)
    return ImageError(f"{name} is damaged, its decoder reports '{reason}': copy the file again")


def as_bgr8(image: NDArray[Any], name: str, bit_depth: int | None = None) -> Image:
    """Brings an image from memory to uint8 BGR, or refuses it: every array that is inspected passes through here.

    Args:
        image: [H, W], or [H, W, C] with 1 (mono), 3 (BGR) or 4 channels (BGRA, whose alpha is dropped); uint8, uint16
            of a stated bit depth, or floating point in 0..1.
        name: What to call it in an error.
        bit_depth: Bits that uint16 values use, 9..16, the lowest ones; None where it is not stated.

    Returns:
        uint8 [H, W, 3]; the image itself where it is that already.

    Raises:
        ImageError: It is smaller than 16 pixels a side, of another type or shape, or holds values beyond its range.
    """
    if not isinstance(image, np.ndarray) or image.ndim not in (2, 3) or image.shape[2:] not in CHANNELS:
        raise ImageError(f"{name} must be {EXPECTED}, got {_kind_of(image)}")
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        raise ImageError(f"{name} is {width} x {height} pixels: it must be at least {SMALLEST_SIDE} a side")
    if image.dtype != np.uint8:
        image = _in_8_bits(image, name, bit_depth)
    if image.ndim == 2 or image.shape[2] == 1:
        # Sixteen times as fast as numpy's repeat: a mono camera's image is on its way to a verdict here.
        return np.asarray(
            cv2.cvtColor(np.ascontiguousarray(image.reshape(height, width)), cv2.COLOR_GRAY2BGR), np.uint8
        )
    return image if image.shape[2] == 3 else np.ascontiguousarray(image[:, :, :3])


def _in_8_bits(image: NDArray[Any], name: str, bit_depth: int | None) -> NDArray[np.uint8]:
    if image.dtype == np.uint16:
        if bit_depth is None:
            raise ImageError(
                f"{name} has 16 bits of which it is not known how many are used: convert it to uint8, or state it in "
                "training, such as --bit-depth 12"
            )
        largest = int(image.max())
        if largest >> bit_depth:
            raise ImageError(f"{name} holds the value {largest}, but {bit_depth} bits were stated: check the camera")
        return (image >> (bit_depth - 8)).astype(np.uint8)
    if not np.issubdtype(image.dtype, np.floating):
        raise ImageError(f"{name} must be {EXPECTED}, got {_kind_of(image)}")
    low, high = float(image.min()), float(image.max())
    if not (low >= -FLOAT_ROUNDING and high <= 1 + FLOAT_ROUNDING):  # NaN is neither.
        raise ImageError(f"{name} holds values from {low:g} to {high:g}: floating point must be in 0..1, or use uint8")
    return (image.clip(0, 1) * 255).round().astype(np.uint8)


def _whole_depth(pixels: NDArray[Any], name: str) -> int:
    """The depth of a file's pixels, uint16, where none is stated: 16, if they can be."""
    if (largest := int(pixels.max())) < FEWEST_OF_16_BITS:
        raise ImageError(
            f"{name} has 16 bits and no value above {largest}: state how many bits its camera uses in training, such "
            "as --bit-depth 12"
        )
    return 16


def _kind_of(image: object) -> str:
    if isinstance(image, np.ndarray):
        return f"{image.dtype} of shape {list(image.shape)}"
    return f"a {type(image).__name__}"
