"""GigE Vision and USB3 Vision cameras through Aravis, where it is installed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from edgekd.station.cameras.driver import Driver, RawFrame
from edgekd.station.cameras.gi_modules import gi_module
from edgekd.station.cameras.pixel_formats import to_image
from edgekd.station.cameras.sfnc import Setting, words_of
from edgekd.station.recipes import FREE_RUN, HARDWARE, SOFTWARE, CameraSettings

BUFFERS = 4
FIRST = "first"


class AravisDriver(Driver):
    """A camera that Aravis finds.

    Args:
        name: The camera's.
        source: Its IP address, serial number or Aravis's own name of it; "first" for the first that is found.

    Raises:
        MachineError: Aravis or gi is not installed.
    """

    triggers: ClassVar[frozenset[str]] = frozenset({FREE_RUN, SOFTWARE, HARDWARE})
    numbered: ClassVar[bool] = True
    open_s: ClassVar[float] = 10.0
    call_s: ClassVar[float] = 10.0  # A camera that is gone is asked several times.

    def __init__(self, name: str, source: str) -> None:
        super().__init__(name)
        self._aravis = gi_module("Aravis", "0.8", f"camera '{name}' of kind aravis", "gir1.2-aravis-0.8")
        self._source = source
        self._camera: Any = None
        self._stream: Any = None
        self._format, self._payload, self._running = "", 0, False
        self._gone = threading.Event()

    def open(self) -> None:
        try:
            self._camera = self._aravis.Camera.new(self._identity())
        except Exception as error:
            reason = words_of(error)
            raise self.lost(
                f"({self._source}) cannot be opened: {reason}; check its cable, power and address"
            ) from error
        device = self._camera.get_device()
        # Aravis itself would write values that the camera says it does not take.
        device.set_range_check_policy(self._aravis.RangeCheckPolicy.ENABLE)
        gone = self._gone  # Not self: the device would keep the one that holds it.
        device.connect("control-lost", lambda *_: gone.set())
        if isinstance(device, self._aravis.GvDevice) and not device.is_controller():
            raise self.lost(f"({self._source}) is controlled by another program: close it there")

    def _identity(self) -> str | None:
        """What Aravis knows the camera by; it looks for serial numbers only where the device is listed."""
        if self._source == FIRST:
            return None
        if self._source.count(".") == 3:
            return self._source
        self._aravis.update_device_list()
        for index in range(self._aravis.get_n_devices()):
            if self._aravis.get_device_serial_nbr(index) == self._source:
                return str(self._aravis.get_device_id(index))
        return self._source

    def apply(self, settings: CameraSettings) -> dict[str, object]:
        self.check()
        return Setting(self.name, _Features(lambda: self._camera.get_device())).apply(settings)

    def arm(self) -> None:
        self._format = self._camera.get_pixel_format_as_string()
        self._provide_buffers(self._camera.get_payload())
        self._camera.start_acquisition()
        self._running = True

    def _provide_buffers(self, payload: int) -> None:
        """One stream is kept for good: to make another takes longer than a change-over may."""
        if self._stream is None:
            self._stream = self._camera.create_stream(None, None)
        elif payload != self._payload:
            self._stream.stop_thread(True)  # With it go the buffers, which have another size.
            self._stream.start_thread()
        else:
            while (buffer := self._stream.try_pop_buffer()) is not None:
                self._stream.push_buffer(buffer)
            return
        self._payload = payload
        for _ in range(BUFFERS):
            self._stream.push_buffer(self._aravis.Buffer.new_allocate(payload))

    def disarm(self) -> None:
        if self._running:
            self._running = False
            self._camera.stop_acquisition()

    def trigger(self) -> None:
        self._camera.software_trigger()

    def check(self) -> None:
        if self._gone.is_set():
            raise self.lost(f"({self._source}) does not answer any more: check its cable and power")

    def read(self, timeout_s: float) -> RawFrame | None:
        buffer = self._stream.timeout_pop_buffer(int(timeout_s * 1e6)) if timeout_s else self._stream.try_pop_buffer()
        if buffer is None:
            return None
        received = time.monotonic()
        try:
            return self._frame(buffer, received)
        finally:
            self._stream.push_buffer(buffer)

    def _frame(self, buffer: Any, received: float) -> RawFrame:
        number = buffer.get_frame_id()
        status = buffer.get_status()
        if status != self._aravis.BufferStatus.SUCCESS:
            reason = f"the image did not arrive whole ({status.value_nick}): check cable, network and packet size"
            return RawFrame(partial(to_image, b"", self._format, 0, 0), received, number, reason)
        width, height = buffer.get_image_width(), buffer.get_image_height()
        padding = buffer.get_image_padding()[0] if hasattr(buffer, "get_image_padding") else 0  # From 0.8.23 on.
        load = partial(to_image, buffer.get_data(), self._format, width, height, row_padding=padding)
        return RawFrame(load, received, number)

    def close(self) -> None:
        if self._camera is None:
            return
        camera = self._camera
        self._stream = self._camera = None
        if self._gone.is_set():
            return
        if self._running:
            camera.stop_acquisition()
        device = camera.get_device()
        if isinstance(device, self._aravis.GvDevice):
            device.leave_control()  # Now: others wait for it until the last reference is gone.


class _Features:
    """A camera's features by Aravis.

    Args:
        device: Gives the device, which nothing else may hold: it is closed with its last reference.
    """

    def __init__(self, device: Callable[[], Any]) -> None:
        self._of = device

    @property
    def _device(self) -> Any:
        return self._of()

    def has(self, name: str) -> bool:
        return bool(self._device.get_feature(name) is not None and self._device.is_feature_available(name))

    def read(self, name: str) -> float | str:
        kind = self._kind(name)
        if kind == "float":
            return float(self._device.get_float_feature_value(name))
        if kind == "integer":
            return int(self._device.get_integer_feature_value(name))
        return str(self._device.get_string_feature_value(name))

    def write(self, name: str, value: float | str) -> None:
        kind = self._kind(name)
        if kind == "float":
            self._device.set_float_feature_value(name, float(value))
        elif kind == "integer":
            self._device.set_integer_feature_value(name, round(float(value)))
        else:
            self._device.set_string_feature_value(name, str(value))

    def choices(self, name: str) -> tuple[str, ...]:
        return tuple(self._device.dup_available_enumeration_feature_values_as_strings(name))

    def _kind(self, name: str) -> str:
        """Of the value: GenICam's interfaces, which Aravis's nodes implement."""
        node = self._device.get_feature(name)
        names = type(node).__mro__
        kinds = {kind.__name__ for kind in names}
        if "GcEnumeration" in kinds:
            return "enumeration"
        if "GcFloat" in kinds:
            return "float"
        return "integer" if "GcInteger" in kinds else "string"
