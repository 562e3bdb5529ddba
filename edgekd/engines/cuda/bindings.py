"""The CUDA driver by cuda-bindings, NVIDIA's own: wheels for x86_64 and aarch64, with graphs."""

from __future__ import annotations

import contextlib
import ctypes
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgekd.engines.cuda.driver import (
    CudaError,
    Device,
    Driver,
    bytes_of,
    capability_text,
    version_text,
    view_of,
)
from edgekd.errors import MachineError

NAME_LENGTH = 128


class BindingsDriver(Driver):
    """The first GPU's primary context, which TensorRT uses too.

    Raises:
        MachineError: There is no NVIDIA driver, or no GPU.
    """

    package = "cuda-bindings"
    graphs = True

    def __init__(self) -> None:
        from cuda.bindings import driver

        super().__init__()
        self._cuda: Any = driver
        try:
            self._call("cuInit", 0)
        except CudaError as error:
            raise MachineError(f"no NVIDIA GPU answers ({error})") from error
        except Exception as error:  # Without the driver's library the package raises something of its own.
            raise MachineError("this machine has no NVIDIA driver") from error
        try:
            device = self._call("cuDeviceGet", 0)
            context = self._call("cuDevicePrimaryCtxRetain", device)
            self._hold(context, lambda: self._call("cuDevicePrimaryCtxRelease", device))
            self._call("cuCtxSetCurrent", context)
            self.device = self._describe(device)
        except BaseException:
            self.close()
            raise

    def allocate(self, size: int) -> int:
        pointer = self._call("cuMemAlloc", size)
        self._hold(pointer, lambda: self._call("cuMemFree", pointer))
        return int(pointer)

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        address = int(self._call("cuMemHostAlloc", size, 0))
        self._hold(address, lambda: self._call("cuMemFreeHost", address))
        return view_of((ctypes.c_uint8 * size).from_address(address), shape, dtype)

    def stream(self) -> Any:
        stream = self._call("cuStreamCreate", int(self._cuda.CUstream_flags.CU_STREAM_NON_BLOCKING))
        self._hold(stream, lambda: self._call("cuStreamDestroy", stream))
        return stream

    def event(self) -> Any:
        event = self._call("cuEventCreate", int(self._cuda.CUevent_flags.CU_EVENT_DEFAULT))
        self._hold(event, lambda: self._call("cuEventDestroy", event))
        return event

    def address_of(self, stream: Any) -> int:
        return int(stream)

    def copy_in(self, address: int, host: NDArray[Any], stream: Any) -> None:
        self._call("cuMemcpyHtoDAsync", address, host.ctypes.data, bytes_of(host), stream)

    def copy_out(self, host: NDArray[Any], address: int, stream: Any) -> None:
        self._call("cuMemcpyDtoHAsync", host.ctypes.data, address, bytes_of(host), stream)

    def record(self, event: Any, stream: Any) -> None:
        self._call("cuEventRecord", event, stream)

    def wait(self, event: Any) -> None:
        self._call("cuEventSynchronize", event)

    def drain(self, stream: Any) -> None:
        self._call("cuStreamSynchronize", stream)

    def elapsed(self, start: Any, end: Any) -> float:
        return float(self._call("cuEventElapsedTime", start, end))

    def capture(self, stream: Any, work: Callable[[], None]) -> Any:
        # Thread-local: what other threads of the process call meanwhile is not of this graph, and does not spoil it.
        mode = self._cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call("cuStreamBeginCapture", stream, mode)
        try:
            work()
        except BaseException:
            with contextlib.suppress(CudaError):  # The error of the work is the one to tell.
                self._call("cuGraphDestroy", self._call("cuStreamEndCapture", stream))
            raise
        recorded = self._call("cuStreamEndCapture", stream)
        try:
            graph = self._call("cuGraphInstantiate", recorded, 0)
        finally:
            self._call("cuGraphDestroy", recorded)
        self._hold(graph, lambda: self._call("cuGraphExecDestroy", graph))
        return graph

    def launch(self, graph: Any, stream: Any) -> None:
        self._call("cuGraphLaunch", graph, stream)

    def _describe(self, device: Any) -> Device:
        attribute = self._cuda.CUdevice_attribute
        major, minor = (
            int(self._call("cuDeviceGetAttribute", name, device))
            for name in (
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        name = self._call("cuDeviceGetName", NAME_LENGTH, device).decode().rstrip("\0")
        driver = version_text(int(self._call("cuDriverGetVersion")))
        return Device(name, capability_text(major, minor), driver, int(self._call("cuDeviceTotalMem", device)))

    def _call(self, function: str, *arguments: Any) -> Any:
        """Calls a function of the driver and returns what it gives besides its status."""
        self._check_thread()
        status, *values = getattr(self._cuda, function)(*arguments)
        if status != self._cuda.CUresult.CUDA_SUCCESS:
            raise CudaError(f"CUDA's {function} failed: {status.name}")
        return values[0] if values else None
