"""Sources of frames: a folder, an image, a video file, a camera."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
from numpy.typing import NDArray

from edgekd.data.ignored_files import count_ignored, describe_ignored
from edgekd.data.images import Image, list_images, read_image
from edgekd.errors import EdgekdError, ImageError
from edgekd.verdicts.frozen import LIVE_FRAMES, VIDEO_FRAMES

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v"})


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
    """

    frames: Iterator[Frame]
    live: bool
    frozen_after: int | None = None


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
        return Source(iter([_image_frame(image, path, bit_depth) for image in _images_in(path)]), live=False)
    if path.is_file() and path.suffix.lower() not in VIDEO_SUFFIXES:
        return Source(iter([_image_frame(path, path.parent, bit_depth)]), live=False)
    if not path.is_file() and not source.isdigit():
        raise EdgekdError(f"no such folder, image, video or camera: {source}")
    if path.is_file():
        frames = _capture_frames(_opened(cv2.VideoCapture(source), f"video {source}"), path.name)
        return Source(frames, live=False, frozen_after=VIDEO_FRAMES)
    name = f"camera {source}"
    camera = _camera_frames(_opened(cv2.VideoCapture(int(source)), name), name)
    return Source(camera, live=True, frozen_after=LIVE_FRAMES)


def _images_in(folder: Path) -> list[Path]:
    images = list_images(folder)
    if ignored := describe_ignored(count_ignored(folder, images)):
        logger.info("found %d %s; %s", len(images), "image" if len(images) == 1 else "images", ignored)
    return images


def image_frames(paths: Iterable[Path], bit_depth: int | None = None) -> Iterator[Frame]:
    """The frames of image files, named by their paths; `bit_depth` is as `open_source` takes it."""
    return (Frame(str(path), partial(read_image, path, bit_depth)) for path in paths)


def _image_frame(path: Path, folder: Path, bit_depth: int | None) -> Frame:
    return Frame(str(path.relative_to(folder)), partial(read_image, path, bit_depth))


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


def _camera_frames(capture: cv2.VideoCapture, name: str) -> Iterator[Frame]:
    """A camera has no end: when it delivers no more frames, an ERROR follows the last one."""
    yield from _capture_frames(capture, name)

    def load() -> Image:
        raise ImageError(f"{name} delivers no more frames: check its cable and power, then start again")

    yield Frame(f"{name} stopped", load)


def _captured_frame(image: NDArray[Any], name: str) -> Frame:
    return Frame(name, lambda: image)
