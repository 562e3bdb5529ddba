"""GenICam cameras of any transport, through a GenTL producer (a .cti file of the camera's maker) and harvesters."""

from __future__ import annotations

import importlib
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import EdgekdError, missing_package, one_line
from edgekd.station.cameras.driver import Driver, RawFrame
from edgekd.station.cameras.pixel_formats import to_image
from edgekd.station.cameras.sfnc import Setting
from edgekd.station.recipes import FREE_RUN, HARDWARE, SOFTWARE, CameraSettings

BUFFERS = 4
PAUSE_S = 0.002  # Between looks for a buffer: a producer waits with Python's lock held.
LOOK_S = 0.001
LIST_MS = 1000
NOT_AVAILABLE = (0, 1)  # GenApi's access modes NI and NA.
NAMES = ("serial_number", "id_", "user_defined_name", "model")  # By which a camera may be named.
IN_USE = ("ResourceInUseException", "AccessDeniedException")


class GenicamDriver(Driver):
    """A camera of a GenTL producer.

    Args:
        name: The camera's.
        source: Its serial number, id, own name or model.
        producer: The producer's .cti file.

    Raises:
        MachineError: harvesters or genicam is not installed.
        EdgekdError: There is no such file.
    """

    triggers: ClassVar[frozenset[str]] = frozenset({FREE_RUN, SOFTWARE, HARDWARE})
    numbered: ClassVar[bool] = True
    open_s: ClassVar[float] = 15.0

    def __init__(self, name: str, source: str, producer: Path | None) -> None:
        super().__init__(name)
        _harvesters(f"camera '{name}' of kind genicam")
        if producer is None or not producer.is_file():
            raise EdgekdError(f"camera '{name}': producer must be a GenTL producer, a .cti file, got '{producer}'")
        self._source, self._file = source, producer
        self._producer: _Producer | None = None
        self._acquirer: Any = None
        self._nodes: Any = None
        self._format = ""
        self._incomplete = False

    def open(self) -> None:
        self._producer = _Producer.of(self._file)
        try:
            self._acquirer = self._producer.create(self._source)
        except _NotFoundError as error:
            text = f"({self._source}) is not among what {self._file.name} finds ({error}): check its cable and power"
            raise self.lost(text) from error
        except Exception as error:
            if type(error).__name__ in IN_USE:
                raise self.lost(f"({self._source}) is controlled by another program: close it there") from error
            raise self.lost(f"({self._source}) cannot be opened: {one_line(error)}") from error
        self._nodes = self._acquirer.remote_device.node_map
        self._acquirer.num_buffers = BUFFERS
        self._acquirer.add_callback(self._acquirer.Events.INCOMPLETE_BUFFER, self._discarding())

    def _discarding(self) -> Any:
        """harvesters keeps images that are not whole to itself, but says that there was one."""
        driver = self

        class Discarding(_harvesters("").Callback):  # type: ignore[misc]
            def emit(self, context: object = None) -> None:
                driver._incomplete = True

        return Discarding()

    def apply(self, settings: CameraSettings) -> dict[str, object]:
        return Setting(self.name, _Features(self._nodes)).apply(settings)

    def arm(self) -> None:
        self._format = self._nodes.PixelFormat.value
        self._acquirer.start()

    def disarm(self) -> None:
        self._acquirer.stop()

    def trigger(self) -> None:
        self._nodes.TriggerSoftware.execute()

    def read(self, timeout_s: float) -> RawFrame | None:
        limit = time.monotonic() + timeout_s
        while True:
            buffer = self._acquirer.try_fetch(timeout=LOOK_S, is_raw=True)
            if buffer is not None or self._incomplete or time.monotonic() >= limit:
                break
            time.sleep(PAUSE_S)
        received = time.monotonic()
        if self._incomplete:
            self._incomplete = False
            if buffer is None:
                reason = "the image did not arrive whole: check cable, network and packet size"
                return RawFrame(partial(to_image, b"", self._format, 0, 0), received, None, reason)
        if buffer is None:
            return None
        try:
            return self._frame(buffer, received)
        finally:
            buffer.parent.queue_buffer(buffer)

    def _frame(self, buffer: Any, received: float) -> RawFrame:
        """Copies a buffer; not every producer tells all of it."""
        width = int(_told(buffer, "width") or self._nodes.Width.value)
        height = int(_told(buffer, "height") or self._nodes.Height.value)
        start, padding = int(_told(buffer, "image_offset") or 0), int(_told(buffer, "padding_x") or 0)
        filled = int(_told(buffer, "size_filled") or 0) or None
        # These bytes are the producer's own memory, which it writes the next image into.
        data = np.frombuffer(buffer.raw_buffer, np.uint8)[start:filled].copy()
        return RawFrame(partial(self._image, data, width, height, padding), received, _told(buffer, "frame_id"))

    def _image(self, data: NDArray[np.uint8], width: int, height: int, padding: int) -> Any:
        return to_image(data, self._format, width, height, row_padding=padding)

    def close(self) -> None:
        if self._producer is not None:
            self._producer.give_back(self._acquirer)


class _NotFoundError(Exception):
    """No camera of a name; the message says which there are."""


class _Producer:
    """A GenTL producer, which all its cameras share: it can be opened once in a process."""

    _all: ClassVar[dict[Path, _Producer]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._harvester: Any = None
        self._cameras = 0

    @classmethod
    def of(cls, path: Path) -> _Producer:
        """The producer of a file."""
        with cls._lock:
            return cls._all.setdefault(path.resolve(), cls(path))

    def create(self, source: str) -> Any:
        """Opens a camera."""
        with self._lock:
            if not self._cameras:
                self._harvester = _harvesters("").Harvester()
                self._harvester.add_file(str(self._path))
                self._harvester.update()
            else:
                self._look_again()
            try:
                acquirer = self._harvester.create(self._found(source))
                self._cameras += 1
                return acquirer
            finally:
                self._reset_if_unused()

    def _look_again(self) -> None:
        """Finds cameras that came back; harvesters' own way would close those that are open."""
        interfaces = {id(info.parent): info.parent for info in self._harvester.device_info_list}
        for interface in interfaces.values():
            interface.module.update_device_info_list(LIST_MS)

    def _found(self, source: str) -> Any:
        infos = self._harvester.device_info_list
        for name in NAMES:
            for info in infos:
                if _told(info, name) == source:
                    return info
        raise _NotFoundError(", ".join(str(_told(info, "serial_number") or info.id_) for info in infos) or "none")

    def give_back(self, acquirer: Any) -> None:
        """Closes a camera."""
        with self._lock:
            if acquirer is not None:
                self._cameras -= 1
                acquirer.destroy()
            self._reset_if_unused()

    def _reset_if_unused(self) -> None:
        if not self._cameras and self._harvester is not None:
            self._harvester.reset()
            self._harvester = None


class _Features:
    """A camera's features by GenApi."""

    def __init__(self, nodes: Any) -> None:
        self._nodes = nodes

    def has(self, name: str) -> bool:
        if not self._nodes.has_node(name):
            return False
        return getattr(self._nodes, name).get_access_mode() not in NOT_AVAILABLE

    def read(self, name: str) -> float | str:
        value: float | str = getattr(self._nodes, name).value
        return value

    def write(self, name: str, value: float | str) -> None:
        node = getattr(self._nodes, name)
        node.value = round(float(value)) if type(node).__name__ == "IInteger" else value

    def choices(self, name: str) -> tuple[str, ...]:
        entries = getattr(self._nodes, name).entries
        return tuple(entry.symbolic for entry in entries if entry.get_access_mode() not in NOT_AVAILABLE)


def _told(thing: Any, name: str) -> Any:
    """An attribute that GenTL leaves to the producer; None where it does not tell."""
    try:
        return getattr(thing, name)
    except Exception:  # genicam's own kinds, with no base that is not just Exception.
        return None


def _harvesters(purpose: str) -> Any:
    for package in ("genicam", "harvesters"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise missing_package(package, purpose) from error
    return importlib.import_module("harvesters.core")
