"""A file that plays a camera: a video at its own rate, or a folder of images; at the end it begins again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import cv2

from edgekd.data.images import list_images, read_image
from edgekd.errors import EdgekdError, ImageError
from edgekd.station.cameras.driver import Driver, RawFrame, as_it_is
from edgekd.station.recipes import FREE_RUN, SOFTWARE, CameraSettings

DEFAULT_FPS = 10.0  # Of images, and of a video that states none.
FASTEST_FPS = 240.0


class VideoDriver(Driver):
    """A simulated camera. Triggered by software it takes the next image, else it runs freely.

    Args:
        name: The camera's.
        source: The video, or the folder of images, which are taken in the order of their names.

    Raises:
        EdgekdError: There is nothing of that name.
    """

    triggers: ClassVar[frozenset[str]] = frozenset({FREE_RUN, SOFTWARE})

    def __init__(self, name: str, source: str) -> None:
        super().__init__(name)
        self._path = Path(source)
        if not self._path.is_file() and not self._path.is_dir():
            raise EdgekdError(f"camera '{name}': there is no video and no folder of images named {source}")
        self._images: Iterator[Any] = iter(())
        self._next_image: Any = None
        self._period = 1 / DEFAULT_FPS
        self._triggered: bool | None = False
        self._due = 0.0
        self._number = 0

    def open(self) -> None:
        self._images = self._folder() if self._path.is_dir() else self._video()
        self._prepare()

    def _folder(self) -> Iterator[Any]:
        try:
            paths = list_images(self._path)
        except EdgekdError as error:
            raise self.lost(f"plays a folder that cannot be read: {error}") from error
        while True:
            for path in paths:
                try:
                    yield read_image(path)
                except ImageError as error:  # Of this image alone.
                    yield str(error)

    def _video(self) -> Iterator[Any]:
        while True:
            capture, number = cv2.VideoCapture(str(self._path)), 0
            fps = capture.get(cv2.CAP_PROP_FPS)
            self._period = 1 / (fps if 0 < fps <= FASTEST_FPS else DEFAULT_FPS)
            try:
                while (taken := capture.read())[0]:
                    number += 1
                    yield taken[1]
            finally:
                capture.release()
            if not number:
                raise self.lost(f"plays {self._path}, which is not a video: name another file")

    def _prepare(self) -> None:
        """Decodes the next image ahead, as a camera has exposed it by the time that it is read."""
        if self._next_image is None:
            self._next_image = next(self._images)

    def apply(self, settings: CameraSettings) -> dict[str, object]:
        done = super().apply(settings)
        self._triggered = None if settings.trigger == FREE_RUN else False
        return done

    def arm(self) -> None:
        self._due = time.monotonic()
        self._triggered = None if self._triggered is None else False

    def trigger(self) -> None:
        self._triggered = True

    def read(self, timeout_s: float) -> RawFrame | None:
        if self._triggered is False:
            return None
        if self._triggered is None and not self._is_due(timeout_s):
            return None
        self._prepare()
        image, self._next_image = self._next_image, None
        self._triggered = None if self._triggered is None else False
        self._number += 1
        error = image if isinstance(image, str) else ""
        return RawFrame(partial(as_it_is, image), time.monotonic(), self._number, error)

    def check(self) -> None:
        self._prepare()

    def _is_due(self, timeout_s: float) -> bool:
        remaining = self._due - time.monotonic()
        if remaining > timeout_s:
            time.sleep(timeout_s)
            return False
        time.sleep(max(remaining, 0))
        self._due = max(self._due + self._period, time.monotonic())
        return True

    def close(self) -> None:
        self._images = iter(())
