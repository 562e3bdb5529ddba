"""The CUDA driver by cuda-bindings, NVIDIA's own: wheels for x86_64 and aarch64, with graphs."""

from __future__ import annotations

import contextlib
import ctypes
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.engines.cuda.driver import (
    CudaError,
    CudaMemoryError,
    Device,
    Driver,
    blocking_waits,
    bytes_of,
    capability_text,
    no_such_gpu,
    version_text,
)
from edgekd.errors import MachineError

NAME_LENGTH = 128


class BindingsDriver(Driver):
    """A GPU's primary context, which TensorRT uses too.

    Args:
        index: Of the GPU, as CUDA counts them.

    Raises:
        MachineError: There is no NVIDIA driver, or no such GPU.
    """

    package = "cuda-bindings"
    graphs = True

    def __init__(self, index: int = 0) -> None:
        from cuda.bindings import driver

        super().__init__()
        self._cuda: Any = driver
        try:
            status, *_ = driver.cuInit(0)
        except Exception as error:  # Without the driver's library the package raises something of its own.
            raise MachineError("this machine has no NVIDIA driver") from error
        if status != driver.CUresult.CUDA_SUCCESS:
            raise MachineError(f"no NVIDIA GPU answers (CUDA's cuInit failed: {status.name})")
        count = int(self._call("cuDeviceGetCount"))
        if not 0 <= index < count:
            raise no_such_gpu(index, count)
        try:
            device = self._call("cuDeviceGet", index)
            context = self._call("cuDevicePrimaryCtxRetain", device)
            self._hold(context, lambda: self._call("cuDevicePrimaryCtxRelease", device))
            self._call("cuCtxSetCurrent", context)
            attribute = driver.CUdevice_attribute
            self._locks = self._has(attribute.CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED, device)
            blocks = blocking_waits(self._has(attribute.CU_DEVICE_ATTRIBUTE_INTEGRATED, device))
            flags = driver.CUevent_flags
            self._event_flags = int(flags.CU_EVENT_BLOCKING_SYNC if blocks else flags.CU_EVENT_DEFAULT)
            self.device = self._describe(device, index)
        except BaseException:
            self.close()
            raise

    def allocate(self, size: int) -> int:
        pointer = self._call("cuMemAlloc", size)
        self._hold(pointer, lambda: self._call("cuMemFree", pointer))
        return int(pointer)

    def _lock(self, block: NDArray[np.uint8]) -> bool:
        if self._locks:
            address = block.ctypes.data
            self._call("cuMemHostRegister", address, block.nbytes, 0)
            self._hold(block, lambda: self._call("cuMemHostUnregister", address))
        return self._locks

    def stream(self) -> Any:
        stream = self._call("cuStreamCreate", int(self._cuda.CUstream_flags.CU_STREAM_NON_BLOCKING))
        self._hold(stream, lambda: self._call("cuStreamDestroy", stream))
        self._streams.append(stream)
        return stream

    def event(self) -> Any:
        event = self._call("cuEventCreate", self._event_flags)
        self._hold(event, lambda: self._call("cuEventDestroy", event))
        return event

    def address_of(self, stream: Any) -> int:
        # The object holds the handle, and getPtr() returns its address; int() of the object is deprecated.
        return ctypes.c_void_p.from_address(int(stream.getPtr())).value or 0

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
            with contextlib.suppress(CudaError):  # The error of the work is the one to report.
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

    def _describe(self, device: Any, index: int) -> Device:
        attribute = self._cuda.CUdevice_attribute
        major, minor = (
            int(self._call("cuDeviceGetAttribute", name, device))
            for name in (
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        return Device(
            name=self._call("cuDeviceGetName", NAME_LENGTH, device).decode().rstrip("\0"),
            capability=capability_text(major, minor),
            driver=version_text(int(self._call("cuDriverGetVersion"))),
            memory=int(self._call("cuDeviceTotalMem", device)),
            index=index,
            uuid=self._uuid(device),
        )

    def _uuid(self, device: Any) -> str:
        try:
            return f"GPU-{uuid.UUID(bytes=bytes(self._call('cuDeviceGetUuid', device).bytes))}"
        except CudaError:  # It only helps to read this GPU's power.
            return ""

    def _has(self, attribute: Any, device: Any) -> bool:
        return bool(self._call("cuDeviceGetAttribute", attribute, device))

    def _call(self, function: str, *arguments: Any) -> Any:
        """Calls a function of the driver and returns what it gives besides its status."""
        self._check_thread()
        try:
            status, *values = getattr(self._cuda, function)(*arguments)
        except RuntimeError as error:  # What the package raises where the driver's library has no such function.
            raise CudaError(f"this NVIDIA driver has no {function}: update the NVIDIA driver") from error
        results = self._cuda.CUresult
        if status != results.CUDA_SUCCESS:
            kind = CudaMemoryError if status == results.CUDA_ERROR_OUT_OF_MEMORY else CudaError
            raise kind(f"CUDA's {function} failed: {status.name}")
        return values[0] if values else None
