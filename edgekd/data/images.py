"""Reading images: whole, three channels, 8 bits, the same way for training and on the line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.image_files import count_images, is_cut_off
from edgekd.errors import EdgekdError, ImageError

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp"}
    | {".pbm", ".pgm", ".ppm", ".pnm"}
)
# Folders of thumbnails and deleted files, which network storage, Windows and macOS make beside images; in lower case.
SYSTEM_FOLDERS = frozenset(
    {"@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin", "__macosx", "lost+found"}
    | {"system volume information", "thumbs", "thumbnails", "__pycache__"}
)
SMALLEST_SIDE = 16

Image = NDArray[np.uint8]  # [H, W, 3], BGR, as OpenCV and cameras give it

_logging: Any = getattr(cv2.utils, "logging", cv2)  # Where OpenCV has it from 4.13 on; before, at its top.
_logging.setLogLevel(0)  # Silent: a damaged file is reported once, by us.


def list_images(folder: Path) -> list[Path]:
    """Every image below a folder, sorted by path, but those in hidden folders and in `SYSTEM_FOLDERS`.

    Raises:
        EdgekdError: There is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise EdgekdError(f"no such folder: {folder}")
    images = sorted(path for path in files_below(folder) if is_image(path))
    if not images:
        raise EdgekdError(f"no image in {folder}: looked for {' '.join(sorted(IMAGE_SUFFIXES))}")
    return images


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder, but those in hidden folders and in `SYSTEM_FOLDERS`."""
    for above, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_left_out(name)]
        yield from (Path(above, name) for name in files)


def is_left_out(folder: str) -> bool:
    """Whether a folder of that name holds no images of parts: it is hidden, or one of `SYSTEM_FOLDERS`."""
    return folder.startswith(".") or folder.lower() in SYSTEM_FOLDERS


def is_image(path: Path) -> bool:
    """Whether a file is an image by its name."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def read_image(path: Path) -> Image:
    """Reads an image of any common kind as 8-bit BGR.

    Grey becomes three equal channels, 16 bits are scaled to 8, transparency is dropped.

    Args:
        path: The file.

    Returns:
        uint8 [H, W, 3], BGR.

    Raises:
        ImageError: The file is missing, not an image, cut off, holds several images, or is smaller than 16 pixels a
            side.
    """
    return decode_image(_read_bytes(path), str(path))


def read_pixels(path: Path) -> NDArray[Any]:
    """Reads an image with the values that its file holds, as masks need them: labels may take up 16 bits.

    Args:
        path: The file.

    Returns:
        [H, W, 3], BGR, of the file's own type.

    Raises:
        ImageError: As `read_image` raises it.
    """
    return decode_pixels(_read_bytes(path), str(path))


def decode_image(data: bytes, name: str) -> Image:
    """Decodes the bytes of an image file; see `read_image`.

    Args:
        data: The file's bytes.
        name: What to call it in an error.
    """
    return as_bgr8(decode_pixels(data, name), name)


def decode_pixels(data: bytes, name: str) -> NDArray[Any]:
    """Decodes the bytes of an image file; see `read_pixels`.

    Args:
        data: The file's bytes.
        name: What to call it in an error.
    """
    if not data:
        raise ImageError(f"{name} is empty: 0 bytes")
    if is_cut_off(data):
        raise ImageError(f"{name} is cut off: the end of the image is missing, copy the file again")
    if (count := count_images(data)) > 1:
        raise ImageError(f"{name} holds {count} images: expected one a file, save each to a file of its own")
    try:
        # IMREAD_UNCHANGED would skip the camera's rotation tag, which the colour flag obeys.
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        image = None
    if image is None:
        raise ImageError(f"{name} cannot be read as an image: it is damaged or not an image file")
    return image


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from error


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
        raise ImageError(f"{name} is {width} x {height} pixels: it must be at least {SMALLEST_SIDE} a side")
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    elif np.issubdtype(image.dtype, np.floating):
        image = (np.clip(np.nan_to_num(image), 0, 1) * 255).round().astype(np.uint8)
    elif image.dtype != np.uint8:
        raise ImageError(f"{name} has pixels of type {image.dtype}: they must be uint8, uint16 or float")
    if image.ndim == 2 or image.shape[2] == 1:
        return np.repeat(image.reshape(height, width, 1), 3, axis=2)
    if image.shape[2] == 4:
        return np.ascontiguousarray(image[:, :, :3])
    if image.shape[2] != 3:
        raise ImageError(f"{name} has {image.shape[2]} channels: it must have 1, 3 or 4")
    return image
