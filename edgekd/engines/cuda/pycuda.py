"""The CUDA driver by pycuda, which Jetson users often have. It has no graphs, in any release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import DTypeLike, NDArray

from edgekd.engines.cuda.driver import CudaError, Device, Driver, bytes_of, capability_text, version_text
from edgekd.errors import MachineError, one_line


class PycudaDriver(Driver):
    """The first GPU's primary context, which TensorRT uses too.

    Raises:
        MachineError: There is no NVIDIA driver, or no GPU.
    """

    package = "pycuda"
    graphs = False

    def __init__(self) -> None:
        super().__init__()
        try:
            import pycuda.driver

            pycuda.driver.init()
            device = pycuda.driver.Device(0)
        except Exception as error:  # Without the driver's library already the import fails.
            raise MachineError(f"no NVIDIA GPU answers ({one_line(error)})") from error
        self._cuda: Any = pycuda.driver
        self._kept: dict[int, Any] = {}
        context = self._call(device.retain_primary_context)
        self._call(context.push)
        # Of a primary context: released, and no longer current.
        self._hold(context, lambda: self._call(context.detach))
        major, minor = device.compute_capability()
        driver = version_text(self._cuda.get_driver_version())
        self.device = Device(device.name(), capability_text(major, minor), driver, device.total_memory())

    def allocate(self, size: int) -> int:
        memory = self._call(self._cuda.mem_alloc, size)
        self._hold(memory, lambda: self._call(memory.free))
        return int(memory)

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        array: NDArray[Any] = self._call(self._cuda.pagelocked_empty, shape, dtype)
        owner: Any = array.base
        self._hold(array, lambda: self._call(owner.free))
        return array

    def stream(self) -> Any:
        return self._keep(self._call(self._cuda.Stream))

    def event(self) -> Any:
        return self._keep(self._call(self._cuda.Event))

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
        except self._cuda.Error as error:
            raise CudaError(f"CUDA: {one_line(error)}") from error
