"""Sources of frames: a folder, an image, a video file, a camera."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import cv2
from numpy.typing import NDArray

from edgekd.data.folders import list_folder
from edgekd.data.ignored_files import describe_ignored, most_frequent_first
from edgekd.data.image_files import not_a_file
from edgekd.data.images import no_images, read_image
from edgekd.errors import EdgekdError, ImageError, MachineError
from edgekd.verdicts.frozen import LIVE_FRAMES, VIDEO_FRAMES

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v"})
# ERRORs in a row that are taken for a fault of the station: a few seconds of most cameras, ten of the slowest.
MOST_ERRORS = 100
# What str.isdigit takes is not always what int takes, such as a superscript, or more than OpenCV's integers hold.
CAMERA_NUMBER = re.compile("[0-9]{1,9}")


class Frame(NamedTuple):
    """A frame that is yet to be read.

    Attributes:
        name: A path inside the folder, or the frame's number.
        load: Reads it, as `edgekd.data.images.as_bgr8` takes it; raises ImageError where that fails.
    """

    name: str
    load: Callable[[], NDArray[Any]]


class Source(NamedTuple):
    """Frames of a folder, a video or a camera.

    Attributes:
        frames: The frames, yet to be read.
        live: Whether the source cannot wait, such as a camera.
        frozen_after: Equal frames in a row from which on the camera counts as frozen; None where frames may repeat.
        most_errors: ERRORs in a row after which it is better to stop; None where they tell nothing of the frames that
            follow, as in a folder.
        ignored: Files of a folder that are not inspected, by the reason.
        length: Frames of a folder, or that a video declares; None where nobody knows.
    """

    frames: Iterator[Frame]
    live: bool
    frozen_after: int | None = None
    most_errors: int | None = None
    ignored: Mapping[str, int] = {}
    length: int | None = None


def open_source(source: str | Path | int, bit_depth: int | None = None) -> Source:
    """The frames of a folder, an image, a video file, or a camera.

    Args:
        source: A path, or a camera's number such as 0 or "0".
        bit_depth: Bits that files of 16 bits use, as the artifact has it; see `edgekd.data.images.read_image`.

    Raises:
        EdgekdError: It does not exist, or nothing in it can be read.
    """
    source = str(source)
    path = Path(source)
    if path.is_dir():
        return _folder(path, bit_depth)
    if not os.path.lexists(source) and CAMERA_NUMBER.fullmatch(source):
        name = f"camera {source}"
        camera = _camera_frames(_opened(cv2.VideoCapture(int(source)), name), name)
        return Source(camera, live=True, frozen_after=LIVE_FRAMES, most_errors=MOST_ERRORS)
    _require_file(path)
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        return Source(iter([_image_frame(path, path.parent, bit_depth)]), live=False, length=1)
    video = _opened(cv2.VideoCapture(source), f"video {source}")
    declared = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    frames = _video_frames(video, path.name, declared)
    known = declared if declared > 0 else None  # Some files declare 0, or a huge negative number.
    return Source(frames, live=False, frozen_after=VIDEO_FRAMES, most_errors=MOST_ERRORS, length=known)


def image_frames(paths: Iterable[Path], bit_depth: int | None = None) -> Iterator[Frame]:
    """The frames of image files, named by their paths; `bit_depth` is as `open_source` takes it."""
    return (Frame(str(path), partial(read_image, path, bit_depth)) for path in paths)


def _folder(folder: Path, bit_depth: int | None) -> Source:
    """The images of a folder, and an ERROR for each folder in it that cannot be read: nothing goes unseen."""
    listing = list_folder(folder)
    if folder in listing.unreadable:
        raise EdgekdError(f"cannot read the folder {folder}: {listing.unreadable[folder]}; allow it to be read")
    if not listing.images and not listing.unreadable:
        raise no_images(folder)
    ignored = most_frequent_first(Counter(listing.others.values()))
    if said := describe_ignored(ignored):
        count = len(listing.images)
        logger.info("found %d %s; %s", count, "image" if count == 1 else "images", said)
    frames = [_image_frame(image, folder, bit_depth) for image in listing.images]
    for unreadable, reason in listing.unreadable.items():
        error = f"cannot read the folder {unreadable}: {reason}; what is in it was not inspected"
        frames.append(_failed(str(unreadable.relative_to(folder)), error))
    return Source(iter(frames), live=False, ignored=ignored, length=len(frames))


def _image_frame(path: Path, folder: Path, bit_depth: int | None) -> Frame:
    return Frame(str(path.relative_to(folder)), partial(read_image, path, bit_depth))


def _failed(name: str, error: str) -> Frame:
    """A frame that is an ERROR."""

    def load() -> NoReturn:
        raise ImageError(error)

    return Frame(name, load)


def _require_file(path: Path) -> None:
    """Requires a file, which alone may be opened: reading from a named pipe would never end."""
    try:
        kind = not_a_file(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise EdgekdError(f"no such folder, image, video or camera: {path}") from None
    except (OSError, ValueError) as error:  # ValueError for a name with a null byte.
        raise EdgekdError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if kind is not None:
        hint = "; a camera is named by its number, such as 0" if kind == "a device" else ""
        raise EdgekdError(f"{path} is {kind}, not a folder, an image or a video{hint}")


def _opened(capture: cv2.VideoCapture, name: str) -> cv2.VideoCapture:
    if not capture.isOpened():
        raise EdgekdError(f"cannot read from {name}")
    return capture


def _capture_frames(capture: cv2.VideoCapture, name: str) -> Iterator[Frame]:
    number = 0
    try:
        while True:
            read, image = capture.read()
            if not read:
                break
            yield _captured_frame(image, f"{name}#{number:06d}")
            number += 1
    finally:
        capture.release()
    if number == 0:
        raise ImageError(f"no frame could be read from {name}: it is damaged or in an unknown format")


def _video_frames(capture: cv2.VideoCapture, name: str, declared: int) -> Iterator[Frame]:
    """A video's frames, and an ERROR behind them where they are fewer than it declares: it is cut off or damaged."""
    read = 0
    for frame in _capture_frames(capture, name):
        yield frame
        read += 1
    if read < declared:
        missing = f"{read} of {declared} frames that {name} declares could be read: it is cut off or damaged"
        yield _failed(f"{name}#{read:06d}", f"{missing}, copy it again")


def _camera_frames(capture: cv2.VideoCapture, name: str) -> Iterator[Frame]:
    """A camera has no end: when it delivers no more frames, an ERROR follows the last one, and the run ends.

    Raises:
        MachineError: Always, in the end.
    """
    yield from _capture_frames(capture, name)
    stopped = f"{name} delivers no more frames: check its cable and power, then start again"
    yield _failed(f"{name} stopped", stopped)
    raise MachineError(stopped)


def _captured_frame(image: NDArray[Any], name: str) -> Frame:
    return Frame(name, lambda: image)
