"""The CUDA driver by pycuda, which Jetson users often have. It has no graphs, in any release."""

from __future__ import annotations

import ctypes
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
from edgekd.errors import MachineError, one_line

# Of the driver's C interface, for what pycuda does not name.
STREAM_NON_BLOCKING = 1
OUT_OF_MEMORY, NOT_SUPPORTED = 2, 801


class PycudaDriver(Driver):
    """A GPU's primary context, which TensorRT uses too.

    Args:
        index: Of the GPU, as CUDA counts them.

    Raises:
        MachineError: There is no NVIDIA driver, or no such GPU.
    """

    package = "pycuda"
    graphs = False

    def __init__(self, index: int = 0) -> None:
        super().__init__()
        try:
            import pycuda.driver

            pycuda.driver.init()
            count = pycuda.driver.Device.count()
            device = pycuda.driver.Device(index) if 0 <= index < count else None
        except Exception as error:  # Without the driver's library already the import fails.
            raise MachineError(f"no NVIDIA GPU answers ({one_line(error)})") from error
        if device is None:
            raise no_such_gpu(index, count)
        self._cuda: Any = pycuda.driver
        self._kept: dict[int, Any] = {}
        context = self._call(device.retain_primary_context)
        self._call(context.push)
        # Of a primary context: released, and no longer current.
        self._hold(context, lambda: self._call(context.detach))
        try:
            integrated = bool(self._call(device.get_attribute, self._cuda.device_attribute.INTEGRATED))
            self._event_flags = int(self._cuda.event_flags.BLOCKING_SYNC) if blocking_waits(integrated) else 0
            major, minor = device.compute_capability()
            driver = version_text(self._cuda.get_driver_version())
            # pycuda has no UUID.
            self.device = Device(device.name(), capability_text(major, minor), driver, device.total_memory(), index)
        except BaseException:
            self.close()
            raise

    def allocate(self, size: int) -> int:
        memory = self._call(self._cuda.mem_alloc, size)
        self._hold(memory, lambda: self._call(memory.free))
        return int(memory)

    def _lock(self, block: NDArray[np.uint8]) -> bool:
        # pycuda.driver.register_host_memory fails since 2024.1.2 (its issue 459): so by the driver's own library.
        library = driver_library()
        address = ctypes.c_void_p(block.ctypes.data)

        def call(function: str, *arguments: Any) -> int:
            self._check_thread()
            status: int = getattr(library, function)(*arguments)
            if status not in (0, NOT_SUPPORTED):
                kind = CudaMemoryError if status == OUT_OF_MEMORY else CudaError
                raise kind(f"CUDA's {function} failed: error {status}")
            return status

        status = call("cuMemHostRegister_v2", address, ctypes.c_size_t(block.nbytes), ctypes.c_uint(0))
        if status == 0:
            self._hold(block, lambda: call("cuMemHostUnregister", address))
        return status == 0

    def stream(self) -> Any:
        stream = self._keep(self._call(self._cuda.Stream, STREAM_NON_BLOCKING))
        self._streams.append(stream)
        return stream

    def event(self) -> Any:
        return self._keep(self._call(self._cuda.Event, self._event_flags))

    def address_of(self, stream: Any) -> int:
        return int(self._kept[stream].handle)

    def copy_in(self, address: int, host: NDArray[Any], stream: Any) -> None:
        bytes_of(host)
        self._call(self._cuda.memcpy_htod_async, address, host, self._kept[stream])

    def copy_out(self, host: NDArray[Any], address: int, stream: Any) -> None:
        bytes_of(host)
        self._call(self._cuda.memcpy_dtoh_async, host, address, self._kept[stream])

    def record(self, event: Any, stream: Any) -> None:
        self._call(self._kept[event].record, self._kept[stream])

    def wait(self, event: Any) -> None:
        self._call(self._kept[event].synchronize)

    def drain(self, stream: Any) -> None:
        self._call(self._kept[stream].synchronize)

    def elapsed(self, start: Any, end: Any) -> float:
        return float(self._call(self._kept[start].time_till, self._kept[end]))

    def _keep(self, what: Any) -> int:
        """A number for a stream or an event. They give themselves back when nobody holds them any more, and only while
        there is a context: so nobody but this driver holds them.
        """
        number = len(self._kept)
        self._kept[number] = what
        self._hold(number, lambda: self._kept.pop(number))
        return number

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self._check_thread()
        try:
            return function(*arguments)
        except self._cuda.MemoryError as error:
            raise CudaMemoryError(f"CUDA: {one_line(error)}") from error
        except self._cuda.Error as error:
            raise CudaError(f"CUDA: {one_line(error)}") from error


def driver_library() -> Any:
    """The NVIDIA driver's library, which pycuda has loaded already."""
    return ctypes.CDLL("libcuda.so.1")
