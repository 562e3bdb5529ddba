"""Cameras behind a GStreamer pipeline, such as the CSI cameras of a Jetson."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, ClassVar

from edgekd.errors import EdgekdError
from edgekd.station.cameras.driver import Driver, RawFrame
from edgekd.station.cameras.freshness import Freshness
from edgekd.station.cameras.gi_modules import gi_module
from edgekd.station.cameras.pixel_formats import to_image
from edgekd.station.error_codes import ErrorCode, StationError

OPEN_S = 5.0
SETTLE_S = 5.0
SILENT_S = 2.0  # Without an image the stream counts as ended.
LONGEST_LAG_S = 3.0
SINK = "appsink"
# GenICam's names of GStreamer's formats; whatever else a pipeline brings is converted in it.
FORMATS = {
    "GRAY8": "Mono8",
    "GRAY16_LE": "Mono16",
    "BGR": "BGR8",
    "RGB": "RGB8",
    "BGRx": "BGRa8",
    "BGRA": "BGRa8",
    "RGBx": "RGBa8",
    "RGBA": "RGBa8",
    "YUY2": "YCbCr601_422_8",
    "UYVY": "YCbCr601_422_8_CbYCrY",
}
MOSAICS = {"rggb": "BayerRG8", "grbg": "BayerGR8", "gbrg": "BayerGB8", "bggr": "BayerBG8"}


class GStreamerDriver(Driver):
    """A pipeline.

    Args:
        name: The camera's.
        source: As gst-launch-1.0 takes it; where it has no appsink, one is added behind it.

    Raises:
        MachineError: GStreamer or gi is not installed.
        EdgekdError: The pipeline cannot be understood.
    """

    streams: ClassVar[bool] = True
    open_s: ClassVar[float] = OPEN_S + SETTLE_S + 2

    def __init__(self, name: str, source: str) -> None:
        super().__init__(name)
        purpose = f"camera '{name}' of kind gstreamer"
        self._gst = gi_module("Gst", "1.0", purpose, "gir1.2-gstreamer-1.0")
        self._video = gi_module("GstVideo", "1.0", purpose, "gir1.2-gst-plugins-base-1.0")
        self._glib = gi_module("GLib", "2.0", purpose, "gir1.2-glib-2.0")
        self._gst.init(None)
        self._source = source
        self._pipeline: Any = None
        self._sink: Any = None
        self._live = False
        self._freshness = Freshness()
        self._number = 0
        self._silent_since = 0.0
        self._parsed()

    def _parsed(self) -> Any:
        text = self._source if SINK in self._source else f"{self._source} ! {SINK}"
        try:
            return self._gst.parse_launch(text)
        except self._glib.Error as error:
            raise EdgekdError(f"camera '{self.name}': the pipeline is not valid: {error.message}") from error

    def open(self) -> None:
        gst = self._gst
        self._pipeline = self._parsed()
        self._sink = self._find_sink()
        # The newest image, whatever the pipeline says.
        for option, value in (("drop", True), ("max-buffers", 1), ("sync", False), ("emit-signals", False)):
            self._sink.set_property(option, value)
        self._live = self._pipeline.set_state(gst.State.PAUSED) == gst.StateChangeReturn.NO_PREROLL
        self._pipeline.set_state(gst.State.PLAYING)
        reached, *_ = self._pipeline.get_state(int(OPEN_S * gst.SECOND))
        try:
            self._raise_error()
            if reached == gst.StateChangeReturn.ASYNC:
                raise self.lost(f"sends nothing within {OPEN_S:g} s: check the pipeline and the camera")
            self._settle()
        except StationError as error:
            raise StationError(ErrorCode.CAMERA_LOST, str(error)) from error

    def _find_sink(self) -> Any:
        if isinstance(self._pipeline, self._gst.Bin):
            found, sink = self._pipeline.iterate_all_by_element_factory_name(SINK).next()
            if found == self._gst.IteratorResult.OK:
                return sink
        raise self.lost("has no pipeline that ends in an appsink: write it as source ! ... ! appsink")

    def _settle(self) -> None:
        """Waits until the pipeline's own pace is known."""
        limit = time.monotonic() + SETTLE_S
        self._silent_since = time.monotonic()
        while (frame := self.read(0.1)) is None or frame.stale:
            if time.monotonic() > limit:
                raise self.lost("sends too few images, or too irregularly: check the pipeline")

    def _raise_error(self) -> None:
        kinds = self._gst.MessageType.ERROR | self._gst.MessageType.EOS
        message = self._pipeline.get_bus().pop_filtered(kinds)
        if message is None:
            return
        if message.type == self._gst.MessageType.EOS:
            raise self._ended("has come to the end of its pipeline: check the camera")
        error, _ = message.parse_error()
        raise self._ended(f"failed in its pipeline: {error.message}")

    def _ended(self, reason: str) -> StationError:
        return StationError(ErrorCode.IMAGE_STALE, f"camera '{self.name}' {reason}")

    def check(self) -> None:
        self._raise_error()

    def read(self, timeout_s: float) -> RawFrame | None:
        sample = self._sink.emit("try-pull-sample", int(timeout_s * self._gst.SECOND))
        received = time.monotonic()
        if sample is None:
            self._raise_error()
            if received - self._silent_since > SILENT_S:
                raise self._ended("sends no more images: check the camera")
            return None
        self._silent_since = received
        buffer = sample.get_buffer()
        # Where a source does not run at the clock's pace, its stamps tell nothing.
        stamped = self._live and buffer.pts != self._gst.CLOCK_TIME_NONE
        stale = self._freshness.staleness(received, buffer.pts / 1e9 if stamped else None)
        since = self._freshness.lagging_since
        if since is not None and received - since > LONGEST_LAG_S:
            raise self._ended("lags behind for good: it is opened again")
        self._number += 1
        pixel_format, width, height, row_bytes = self._layout(sample.get_caps())
        data = buffer.extract_dup(0, buffer.get_size())
        return RawFrame(
            partial(to_image, data, pixel_format, width, height, row_bytes), received, self._number, "", stale
        )

    def _layout(self, caps: Any) -> tuple[str, int, int, int | None]:
        structure = caps.get_structure(0)
        kind = structure.get_name()
        width, height = structure.get_value("width"), structure.get_value("height")
        if kind == "video/x-bayer":
            return MOSAICS.get(structure.get_value("format"), structure.get_value("format")), width, height, None
        name = structure.get_value("format") if kind == "video/x-raw" else kind
        if name not in FORMATS:
            raise self.lost(
                f"has the format {name} at the end of its pipeline: add ! videoconvert ! video/x-raw,format=BGR"
            )
        info = self._video.VideoInfo.new_from_caps(caps)
        return FORMATS[name], width, height, info.stride[0]

    def close(self) -> None:
        if self._pipeline is not None:
            self._pipeline.set_state(self._gst.State.NULL)
