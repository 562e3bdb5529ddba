"""Reading pictures: whole, three channels, 8 bits, the same way for training and on the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.errors import EdgekdError, PictureError

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
SMALLEST_SIDE = 16

Picture = NDArray[np.uint8]  # [H, W, 3], BGR, as OpenCV and cameras give it

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # A damaged file is reported once, by us.


def list_pictures(folder: Path) -> list[Path]:
    """Every picture below a folder, sorted by path.

    Raises:
        EdgekdError: There is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise EdgekdError(f"no such folder: {folder}")
    pictures = sorted(path for path in folder.rglob("*") if is_picture(path))
    if not pictures:
        raise EdgekdError(f"no picture in {folder}: looked for {' '.join(sorted(PICTURE_SUFFIXES))}")
    return pictures


def is_picture(path: Path) -> bool:
    """Whether a file's name says that it is a picture."""
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def read_picture(path: Path) -> Picture:
    """Reads a picture of any common kind as 8-bit BGR.

    Grey becomes three equal channels, 16 bits are scaled to 8, transparency is dropped.

    Args:
        path: The file.

    Returns:
        uint8 [H, W, 3], BGR.

    Raises:
        PictureError: The file is missing, is no picture, is cut off, or is smaller than 16 pixels a side.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PictureError(f"cannot read {path}: {error.strerror or error}") from error
    return decode_picture(data, str(path))


def decode_picture(data: bytes, name: str) -> Picture:
    """Decodes the bytes of a picture file; see `read_picture`.

    Args:
        data: The file's bytes.
        name: What to call it in an error.
    """
    if not data:
        raise PictureError(f"{name} is empty: 0 bytes")
    if _is_cut_off(data):
        raise PictureError(f"{name} is cut off: the end of the picture is missing, copy the file again")
    try:
        # IMREAD_UNCHANGED would skip the camera's rotation tag, which the colour flag obeys.
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        picture = None
    if picture is None:
        raise PictureError(f"{name} is no picture that can be read, or is damaged")
    return as_bgr8(picture, name)


def as_bgr8(picture: NDArray[Any], name: str) -> Picture:
    """Brings a decoded picture to uint8 BGR.

    Args:
        picture: [H, W] or [H, W, 1, 3 or 4]; uint8, uint16, or floating point in 0..1.
        name: What to call it in an error.

    Raises:
        PictureError: It is smaller than 16 pixels a side, or of another type or shape.
    """
    height, width = picture.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        raise PictureError(f"{name} is {width} x {height} pixels: at least {SMALLEST_SIDE} a side are needed")
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    elif np.issubdtype(picture.dtype, np.floating):
        picture = (np.clip(np.nan_to_num(picture), 0, 1) * 255).round().astype(np.uint8)
    elif picture.dtype != np.uint8:
        raise PictureError(f"{name} has pixels of type {picture.dtype}: uint8, uint16 or float is needed")
    if picture.ndim == 2 or picture.shape[2] == 1:
        return np.repeat(picture.reshape(height, width, 1), 3, axis=2)
    if picture.shape[2] == 4:
        return np.ascontiguousarray(picture[:, :, :3])
    if picture.shape[2] != 3:
        raise PictureError(f"{name} has {picture.shape[2]} channels: 1, 3 or 4 are needed")
    return picture


def _is_cut_off(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end mark; OpenCV would silently paint the rest grey."""
    if data.startswith(b"\xff\xd8\xff"):
        return b"\xff\xd9" not in data[-4096:]
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in data[-4096:]
    return False
