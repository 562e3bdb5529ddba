"""What a CUDA driver does for an engine, whichever Python package brings it.

All memory is taken when an engine starts and given back by `close`, the last first. One thread owns the context: it
makes the driver, makes every call and closes it.
"""

from __future__ import annotations

import abc
import contextlib
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgekd.errors import MachineError


class CudaError(MachineError):
    """A call that CUDA refused."""


class Device(NamedTuple):
    """A GPU.

    Attributes:
        name: As the driver calls it.
        capability: Its compute capability, such as "8.9".
        driver: The newest CUDA version that its driver serves, such as "12.9".
        memory: Bytes.
        index: As CUDA counts its GPUs, under CUDA_VISIBLE_DEVICES.
        uuid: As nvidia-smi prints it, "GPU-..."; "" where it is not known.
    """

    name: str
    capability: str
    driver: str
    memory: int
    index: int = 0  # type: ignore[assignment]  # It hides the search of tuple, which nothing asks for.
    uuid: str = ""


class Driver(abc.ABC):
    """One GPU's context. Streams, events and graphs are the implementation's own objects.

    Attributes:
        package: That brings it: "cuda-bindings" or "pycuda".
        device: The GPU.
        graphs: Whether it can capture a stream's work and replay it.
    """

    package: str
    device: Device
    graphs: bool

    def __init__(self) -> None:
        self._owner = threading.get_ident()
        self._held: list[tuple[Any, Callable[[], object]]] = []  # What is to be given back, and how.

    @abc.abstractmethod
    def allocate(self, size: int) -> int:
        """The address of `size` bytes of device memory."""

    @abc.abstractmethod
    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Page-locked host memory, which copies need in order to overlap with computing."""

    @abc.abstractmethod
    def stream(self) -> Any:
        """A stream that waits for no other."""

    @abc.abstractmethod
    def event(self) -> Any:
        """An event that takes the time."""

    @abc.abstractmethod
    def address_of(self, stream: Any) -> int:
        """A stream's handle, as TensorRT takes it."""

    @abc.abstractmethod
    def copy_in(self, address: int, host: NDArray[Any], stream: Any) -> None:
        """Enqueues a copy of page-locked memory to the device. The memory must stay as it is until it is done."""

    @abc.abstractmethod
    def copy_out(self, host: NDArray[Any], address: int, stream: Any) -> None:
        """Enqueues a copy of device memory into page-locked memory."""

    @abc.abstractmethod
    def record(self, event: Any, stream: Any) -> None:
        """Enqueues an event: it happens when all that was enqueued before is done."""

    @abc.abstractmethod
    def wait(self, event: Any) -> None:
        """Blocks until an event has happened; errors of what came before it come out here."""

    @abc.abstractmethod
    def drain(self, stream: Any) -> None:
        """Blocks until a stream is empty."""

    @abc.abstractmethod
    def elapsed(self, start: Any, end: Any) -> float:
        """Milliseconds between two events that have happened."""

    def capture(self, stream: Any, work: Callable[[], None]) -> Any:
        """What `work` enqueues on a stream, as a graph; it is not run. Work that raises leaves the stream as it was.

        Raises:
            CudaError: The package has no graphs, as `graphs` says.
        """
        raise CudaError(f"{self.package} has no CUDA graphs")

    def launch(self, graph: Any, stream: Any) -> None:
        """Enqueues a captured graph."""
        raise CudaError(f"{self.package} has no CUDA graphs")

    def close(self) -> None:
        """Gives everything back, the last first, even where the device no longer answers. Twice does no harm."""
        while self._held:
            _, release = self._held.pop()
            with contextlib.suppress(CudaError):  # A device that is gone cannot take its memory back.
                release()

    def discard(self, graph: Any) -> None:
        """Gives a captured graph back before the end."""
        place = next(index for index, (held, _) in enumerate(self._held) if held is graph)
        _, release = self._held.pop(place)
        release()

    def _hold(self, what: Any, release: Callable[[], object]) -> None:
        """Notes how something is given back."""
        self._held.append((what, release))

    def _check_thread(self) -> None:
        if threading.get_ident() != self._owner:
            raise RuntimeError("a CUDA context belongs to the thread that opened the engine")


def bytes_of(host: NDArray[Any]) -> int:
    """How many bytes a copy of an array moves.

    Raises:
        ValueError: They do not lie in one piece.
    """
    if not host.flags.c_contiguous:
        raise ValueError(f"a copy needs memory in one piece, not strides {host.strides}")
    return host.nbytes


def capability_text(major: int, minor: int) -> str:
    """A compute capability as NVIDIA writes it."""
    return f"{major}.{minor}"


def version_text(number: int) -> str:
    """CUDA's version numbers, such as 12090, as people write them."""
    return f"{number // 1000}.{number % 1000 // 10}"


def view_of(block: Any, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array over a block of bytes that something else owns."""
    return np.frombuffer(block, dtype).reshape(shape)
