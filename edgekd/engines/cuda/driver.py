"""What a CUDA driver does for an engine, whichever Python package brings it.

All memory is taken when an engine starts and given back by `close`, the last first. One thread owns the context: it
makes the driver, makes every call and closes it.
"""

from __future__ import annotations

import abc
import contextlib
import logging
import math
import mmap
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgekd.engines.cores import usable_cores
from edgekd.errors import MachineError

FEW_CORES = 6  # A Jetson Orin Nano's: one that spins is missed by the readers.


class CudaError(MachineError):
    """A call that CUDA refused."""


class CudaMemoryError(CudaError):
    """There is not enough memory."""


class NoSuchGpuError(MachineError):
    """The machine has GPUs, and not as many."""


class Device(NamedTuple):
    """A GPU.

    Attributes:
        name: As the driver calls it.
        capability: Its compute capability, such as "8.9".
        driver: The newest CUDA version that its driver serves, such as "12.9".
        memory: Bytes.
        index: As CUDA counts the GPUs, which is under CUDA_VISIBLE_DEVICES.
        uuid: As nvidia-smi prints it, such as "GPU-00112233-4455-..."; empty where it is not known.
    """

    name: str
    capability: str
    driver: str
    memory: int
    index: int = 0  # type: ignore[assignment]  # A tuple's method of this name is not missed here.
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
        self._streams: list[Any] = []
        self._warned_pageable = False

    @abc.abstractmethod
    def allocate(self, size: int) -> int:
        """The address of `size` bytes of device memory."""

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Page-locked host memory, which copies need in order to overlap with computing.

        It is memory of this process that CUDA is asked to lock, and not memory that CUDA gives: so a view that somebody
        keeps longer than the driver is still memory.
        """
        size = math.prod(shape) * np.dtype(dtype).itemsize
        block = whole_pages(size)
        if not self._lock(block) and not self._warned_pageable:
            self._warned_pageable = True
            logging.getLogger("edgekd.runner").warning(
                "%s cannot lock the pages of host memory: copies will not overlap with computing", self.device.name
            )
        return view_of(block[:size], shape, dtype)

    @abc.abstractmethod
    def _lock(self, block: NDArray[np.uint8]) -> bool:
        """Page-locks whole pages until the driver is closed; False where this GPU cannot."""

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
            CudaError: The package has no graphs, see `graphs`.
        """
        raise CudaError(f"{self.package} has no CUDA graphs")

    def launch(self, graph: Any, stream: Any) -> None:
        """Enqueues a captured graph."""
        raise CudaError(f"{self.package} has no CUDA graphs")

    def drain_all(self) -> None:
        """Blocks until every stream is empty, or will never be because the device is gone."""
        for stream in self._streams:
            with contextlib.suppress(CudaError):  # Its work failed: then it is no longer in flight either.
                self.drain(stream)

    def close(self) -> None:
        """Frees everything, the last first, even where the device no longer responds. Twice does no harm.

        What is still in flight is waited for, since it reads and writes what is freed.
        """
        self.drain_all()
        self._streams.clear()
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


def whole_pages(size: int) -> NDArray[np.uint8]:
    """Memory that begins and ends with a page and shares none with anything else, as page-locking wants it.

    Args:
        size: Bytes that are needed at least.
    """
    page = mmap.PAGESIZE
    whole = max(1, -(-size // page)) * page
    block = np.empty(whole + page, np.uint8)
    start = -block.ctypes.data % page
    return block[start : start + whole]


def blocking_waits(integrated: bool) -> bool:
    """Whether the host sleeps while it waits for the GPU, instead of spinning on a core.

    Args:
        integrated: Whether the GPU shares its memory with the processor, as on a Jetson.
    """
    return integrated and usable_cores() <= FEW_CORES


def no_such_gpu(index: int, count: int) -> MachineError:
    """The error for a GPU that is not there.

    Args:
        index: That was asked for.
        count: How many there are.
    """
    if count == 0:
        return MachineError("no NVIDIA GPU answers (the driver finds none; CUDA_VISIBLE_DEVICES may hide it)")
    there = "one GPU, cuda:0" if count == 1 else f"{count} GPUs, cuda:0 to cuda:{count - 1}"
    return NoSuchGpuError(f"there is no cuda:{index}: this machine has {there}")


def capability_text(major: int, minor: int) -> str:
    """A compute capability as NVIDIA writes it."""
    return f"{major}.{minor}"


def version_text(number: int) -> str:
    """CUDA's version numbers, such as 12090, as people write them."""
    return f"{number // 1000}.{number % 1000 // 10}"


def view_of(block: Any, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array over a block of bytes that something else owns."""
    return np.frombuffer(block, dtype).reshape(shape)
