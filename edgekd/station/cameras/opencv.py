"""Cameras that the system itself has a driver for: a number, or /dev/videoN."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import Any, ClassVar

import cv2
import numpy as np

from edgekd.errors import EdgekdError
from edgekd.station.cameras.driver import Driver, RawFrame, as_it_is, near, only_settings
from edgekd.station.cameras.pixel_formats import to_image
from edgekd.station.recipes import CameraSettings

MANUAL_EXPOSURE = 1  # Of V4L2_CID_EXPOSURE_AUTO.
EXPOSURE_STEP_US = 100  # V4L2 sets exposure in these units.
# What V4L2 calls the formats of GenICam that are read as they are; without one OpenCV makes BGR of what it gets.
FOURCC = {
    "Mono8": "GREY",
    "Mono10": "Y10 ",
    "Mono12": "Y12 ",
    "Mono16": "Y16 ",
    "BayerRG8": "RGGB",
    "BayerGR8": "GRBG",
    "BayerGB8": "GBRG",
    "BayerBG8": "BA81",
    "YCbCr601_422_8": "YUYV",
    "YCbCr601_422_8_CbYCrY": "UYVY",
}


class OpenCvDriver(Driver):
    """A camera of Video4Linux, or of what other systems have.

    Args:
        name: The camera's.
        source: Its number or its device.

    Raises:
        EdgekdError: The source is neither.
    """

    streams: ClassVar[bool] = True
    open_s: ClassVar[float] = 10.0

    def __init__(self, name: str, source: str) -> None:
        super().__init__(name)
        if not source.isdigit() and not source.startswith("/dev/"):
            raise EdgekdError(
                f"camera '{name}': source must be a number or a device such as /dev/video0, got '{source}'"
            )
        self._source = source
        self._capture: Any = None
        self._format: str | None = None
        self._number = 0

    def open(self) -> None:
        backend = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
        self._capture = cv2.VideoCapture(int(self._source) if self._source.isdigit() else self._source, backend)
        if not self._capture.isOpened():
            raise self.lost(f"({self._source}) cannot be opened: check its cable, and that no other program uses it")

    def apply(self, settings: CameraSettings) -> dict[str, object]:
        known: dict[str, object] = {}
        complaints: list[str] = []
        self._set_format(settings.pixel_format, known, complaints)
        self._set_region(settings.region, known, complaints)
        if settings.exposure_us is not None:
            self._capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL_EXPOSURE)
            in_steps = max(round(settings.exposure_us / EXPOSURE_STEP_US), 1)
            self._set("exposure_us", cv2.CAP_PROP_EXPOSURE, in_steps, EXPOSURE_STEP_US, known, complaints)
        if settings.gain is not None:
            self._set("gain", cv2.CAP_PROP_GAIN, settings.gain, 1, known, complaints)
        return only_settings(self, settings, known, complaints)

    def _set(
        self, name: str, prop: int, value: float, unit: float, known: dict[str, object], complaints: list[str]
    ) -> None:
        taken = self._capture.set(prop, value)
        known[name] = got = self._capture.get(prop) * unit
        if not taken or not near(value * unit, got):
            complaints.append(f"reads back {name} {got:g} after {value * unit:g} was set: set one that it has")

    def _set_format(self, wanted: str | None, known: dict[str, object], complaints: list[str]) -> None:
        if wanted is not None and wanted not in FOURCC:
            known["pixel_format"] = None
            complaints.append(f"has no pixel_format {wanted}: leave it out, or set one of {', '.join(FOURCC)}")
            return
        self._format = wanted
        self._capture.set(cv2.CAP_PROP_CONVERT_RGB, float(wanted is None))
        if wanted is None:
            return
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*FOURCC[wanted]))
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("ascii", "replace")
        known["pixel_format"] = wanted
        if code != FOURCC[wanted]:
            complaints.append(f"reads back pixel format {code!r} after {wanted} was set: leave it out of the recipe")

    def _set_region(
        self, wanted: tuple[int, int, int, int] | None, known: dict[str, object], complaints: list[str]
    ) -> None:
        """Asks for an image that is large enough; the region is cut out of it."""
        self.cut = wanted
        if wanted is None:
            return
        x, y, width, height = wanted
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, x + width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, y + height)
        has = [int(self._capture.get(prop)) for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
        known["region"] = wanted
        if has[0] < x + width or has[1] < y + height:
            complaints.append(f"has {has[0]} x {has[1]} pixels at most, too few for region {list(wanted)}")

    def read(self, timeout_s: float) -> RawFrame | None:
        taken, image = self._capture.read()
        if not taken:
            raise self.lost(f"({self._source}) sends no more images: check its cable and power")
        self._number += 1
        if self._format is None:
            return RawFrame(partial(as_it_is, image), time.monotonic(), self._number)
        width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        load = partial(to_image, np.ascontiguousarray(image).tobytes(), self._format, width, height)
        return RawFrame(load, time.monotonic(), self._number)

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
