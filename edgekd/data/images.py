"""Reading images: whole, three channels, 8 bits, the same way for training and on the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.errors import EdgekdError, ImageError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
SMALLEST_SIDE = 16

Image = NDArray[np.uint8]  # [H, W, 3], BGR, as OpenCV and cameras give it

_logging: Any = getattr(cv2.utils, "logging", cv2)  # Where OpenCV has it from 4.13 on; before, at its top.
_logging.setLogLevel(0)  # Silent: a damaged file is reported once, by us.


def list_images(folder: Path) -> list[Path]:
    """Every image below a folder, sorted by path.

    Raises:
        EdgekdError: There is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise EdgekdError(f"no such folder: {folder}")
    images = sorted(path for path in folder.rglob("*") if is_image(path))
    if not images:
        raise EdgekdError(f"no image in {folder}: looked for {' '.join(sorted(IMAGE_SUFFIXES))}")
    return images


def is_image(path: Path) -> bool:
    """Whether a file's name says that it is an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def read_image(path: Path) -> Image:
    """Reads an image of any common kind as 8-bit BGR.

    Grey becomes three equal channels, 16 bits are scaled to 8, transparency is dropped.

    Args:
        path: The file.

    Returns:
        uint8 [H, W, 3], BGR.

    Raises:
        ImageError: The file is missing, is no image, is cut off, or is smaller than 16 pixels a side.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> Image:
    """Decodes the bytes of an image file; see `read_image`.

    Args:
        data: The file's bytes.
        name: What to call it in an error.
    """
    if not data:
        raise ImageError(f"{name} is empty: 0 bytes")
    if _is_cut_off(data):
        raise ImageError(f"{name} is cut off: the end of the image is missing, copy the file again")
    try:
        # IMREAD_UNCHANGED would skip the camera's rotation tag, which the colour flag obeys.
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        image = None
    if image is None:
        raise ImageError(f"{name} is no image that can be read, or is damaged")
    return as_bgr8(image, name)


def as_bgr8(image: NDArray[Any], name: str) -> Image:
    """Brings a decoded image to uint8 BGR.

    Args:
        image: [H, W] or [H, W, 1, 3 or 4]; uint8, uint16, or floating point in 0..1.
        name: What to call it in an error.

    Raises:
        ImageError: It is smaller than 16 pixels a side, or of another type or shape.
    """
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        raise ImageError(f"{name} is {width} x {height} pixels: at least {SMALLEST_SIDE} a side are needed")
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    elif np.issubdtype(image.dtype, np.floating):
        image = (np.clip(np.nan_to_num(image), 0, 1) * 255).round().astype(np.uint8)
    elif image.dtype != np.uint8:
        raise ImageError(f"{name} has pixels of type {image.dtype}: uint8, uint16 or float is needed")
    if image.ndim == 2 or image.shape[2] == 1:
        return np.repeat(image.reshape(height, width, 1), 3, axis=2)
    if image.shape[2] == 4:
        return np.ascontiguousarray(image[:, :, :3])
    if image.shape[2] != 3:
        raise ImageError(f"{name} has {image.shape[2]} channels: 1, 3 or 4 are needed")
    return image


def _is_cut_off(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end mark; OpenCV would silently paint the rest grey."""
    if data.startswith(b"\xff\xd8\xff"):
        return b"\xff\xd9" not in data[-4096:]
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in data[-4096:]
    return False
