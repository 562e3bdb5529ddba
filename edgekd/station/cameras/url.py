"""Cameras behind a URL, RTSP or HTTP, read by the FFmpeg of OpenCV: free-running views, not the part's exact moment."""

from __future__ import annotations

import re
import time
from functools import partial
from typing import Any, ClassVar

import cv2

from edgekd.errors import EdgekdError
from edgekd.station.cameras.driver import Driver, RawFrame, as_it_is
from edgekd.station.cameras.freshness import Freshness
from edgekd.station.error_codes import ErrorCode, StationError

SCHEMES = ("rtsp://", "rtsps://", "http://", "https://")
OPEN_MS, READ_MS = 3000, 1500
SETTLE_S = 5.0  # A stream's own pace is known sooner.
LONGEST_LAG_S = 3.0
CREDENTIALS = re.compile(r"//[^/@]*@")


class UrlDriver(Driver):
    """A stream.

    Args:
        name: The camera's.
        source: Its URL.

    Raises:
        EdgekdError: It is not of RTSP or HTTP.
    """

    streams: ClassVar[bool] = True
    open_s: ClassVar[float] = 2 * OPEN_MS / 1e3 + SETTLE_S

    def __init__(self, name: str, source: str) -> None:
        super().__init__(name)
        if not source.lower().startswith(SCHEMES):
            raise EdgekdError(f"camera '{name}': source must begin with one of {', '.join(SCHEMES)}")
        self._source, self._shown = source, CREDENTIALS.sub("//", source)
        self._stamped = source.lower().startswith("rtsp")  # FFmpeg makes up the stamps of HTTP.
        self._freshness = Freshness()
        self._capture: Any = None
        self._number = 0

    def open(self) -> None:
        # With more threads the decoder would hand out each image only several images later.
        options = {
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: OPEN_MS,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC: READ_MS,
            cv2.CAP_PROP_N_THREADS: 1,
        }
        words = [word for option in options.items() for word in option]
        self._capture = cv2.VideoCapture(self._source, cv2.CAP_FFMPEG, words)
        if not self._capture.isOpened():
            raise self.lost(f"({self._shown}) cannot be opened: check its address, user and network")
        self._settle()

    def _settle(self) -> None:
        """Waits until the stream's own pace is known: what comes before may have been buffered."""
        limit = time.monotonic() + SETTLE_S
        try:
            while self.read(0).stale:
                if time.monotonic() > limit:
                    raise self.lost(f"({self._shown}) sends too few images, or too irregularly: check its network")
        except StationError as error:
            raise StationError(ErrorCode.CAMERA_LOST, str(error)) from error

    def read(self, timeout_s: float) -> RawFrame:
        taken, image = self._capture.read()
        received = time.monotonic()
        if not taken:
            raise self._ended("sends no more images: check the camera and its network")
        stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3 if self._stamped else None
        stale = self._freshness.staleness(received, stamp)
        since = self._freshness.lagging_since
        if since is not None and received - since > LONGEST_LAG_S:
            raise self._ended("lags behind for good: it is opened again")
        self._number += 1
        return RawFrame(partial(as_it_is, image), received, self._number, stale=stale)

    def _ended(self, reason: str) -> StationError:
        return StationError(ErrorCode.IMAGE_STALE, f"camera '{self.name}' ({self._shown}) {reason}")

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
