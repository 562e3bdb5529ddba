"""Image files as bytes: only files, none of more bytes than an image may take, each checked before it is decoded."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edgekd.data.declared import Header
from edgekd.data.image_headers import count_gif_images, is_gif, read_header
from edgekd.errors import EdgekdError, ImageError

MEMORY_VARIABLE = "EDGEKD_IMAGE_MEMORY_MB"
DEFAULT_MEMORY_MB = 180.0
MOST_PIXELS = 1 << 30  # OpenCV's own limit.
SMALLEST_SIDE = 16
LONGEST_SHOWN = 300  # Characters of a path in a message.
NOT_FILES = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


def read_file(path: Path) -> bytes:
    """Reads an image file's bytes.

    Nothing but a file is opened: a named pipe would wait for a writer without end, and a device may act on it.

    Args:
        path: The file.

    Raises:
        ImageError: It is missing, cannot be read, is not a file, or is larger than an image may be.
    """
    try:
        _require_file(path, path.stat())
        with open(path, "rb", opener=_without_waiting) as file:
            size = _require_file(path, os.fstat(file.fileno()))  # It may have been exchanged.
            return file.read(size + 1)
    except OSError as error:
        raise ImageError(f"cannot read {_shortened(path)}: {error.strerror or error}") from error
    except ValueError as error:  # A name with a NUL byte.
        raise ImageError(f"cannot read {_shortened(path)}: {error}") from error


def require_size(name: str, size: int) -> None:
    """Refuses a file of more bytes than an image may take, before any of them is read.

    Args:
        name: What to call it in an error.
        size: Of the file, in bytes.

    Raises:
        ImageError: It has more.
    """
    most = image_memory()
    if size > most:
        raise ImageError(
            f"{name} has {size / 1e6:.0f} MB, more than the {most / 1e6:.0f} MB of memory that reading an image may "
            f"take; to allow more, set {MEMORY_VARIABLE}"
        )


def _shortened(path: Path) -> str:
    """A path for a message: one that is too long for a file system need not be repeated whole."""
    text = str(path)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def checked_header(data: bytes, name: str) -> Header:
    """What an image file declares, where it may be decoded.

    Args:
        data: The file's bytes.
        name: What to call it in an error.

    Raises:
        ImageError: It is empty, of no known kind, cut off, damaged, smaller than 16 pixels a side, would take too much
            memory, or holds several images.
    """
    if not data:
        raise ImageError(f"{name} is empty: 0 bytes")
    header = read_header(data, name)
    size = f"{name} is {header.width} x {header.height} pixels"
    if min(header.width, header.height) < SMALLEST_SIDE:
        raise ImageError(f"{size}: it must be at least {SMALLEST_SIDE} a side")
    pixels = header.width * header.height
    if pixels > MOST_PIXELS:
        raise ImageError(f"{size}: it must be {MOST_PIXELS} at most in all")
    needed, most = len(data) + pixels * header.memory, image_memory()
    if needed > most:
        raise ImageError(
            f"{size}: reading it takes {needed / 1e6:.0f} MB of memory, more than the {most / 1e6:.0f} MB that are "
            f"allowed; to allow more, set {MEMORY_VARIABLE}"
        )
    images = count_gif_images(data) if is_gif(data) else header.images
    if images > 1:
        raise ImageError(f"{name} holds {images} images: expected one a file, save each to a file of its own")
    return header


def image_memory() -> float:
    """Bytes of memory that reading an image may take: $EDGEKD_IMAGE_MEMORY_MB, or 180 MB.

    Raises:
        EdgekdError: The variable is not a positive number.
    """
    stated = os.environ.get(MEMORY_VARIABLE, "")
    try:
        megabytes = float(stated or DEFAULT_MEMORY_MB)
    except ValueError:
        megabytes = 0
    if not megabytes > 0:
        raise EdgekdError(f"{MEMORY_VARIABLE} must be a positive number of megabytes, got '{stated}'")
    return megabytes * 1e6


def not_a_file(mode: int) -> str | None:
    """What something is that is not a file, in words; None for a file.

    Args:
        mode: As `os.stat` returns it.
    """
    if stat.S_ISREG(mode):
        return None
    return next((words for is_kind, words in NOT_FILES if is_kind(mode)), "not a file")


def _require_file(path: Path, status: os.stat_result) -> int:
    """The size of a file that may be read."""
    if (kind := not_a_file(status.st_mode)) is not None:
        raise ImageError(f"{path} is {kind}, not an image file")
    require_size(str(path), status.st_size)
    return status.st_size


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
