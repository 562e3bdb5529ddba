"""A ring of slots: each has a stream, page-locked buffers, events and graphs of its own, so that slots overlap."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.engines.base import EVERY_MAP, Frames, Outputs, faults_of, wants_maps
from edgekd.engines.cuda.driver import CudaError, Driver
from edgekd.engines.inference_limit import InferenceLimit
from edgekd.errors import EdgekdError

_logger = logging.getLogger("edgekd.runner")


@dataclass
class Slot:
    """What one batch in flight needs. All of it is made when the engine starts.

    Attributes:
        index: Its place in the ring.
        frames, scores, maps: Page-locked, for the largest batch.
        addresses: Of the device memory, by the graph's names: frames, score, anomaly_map.
        stream: Of its copies and its inference.
        marks: Events: before, after the copy in, after the inference, after the copy out.
        captured: The batch size that was captured last; 0 where none was.
        graph: Its inference; None where it was not to be captured.
    """

    index: int
    frames: Frames
    scores: NDArray[np.float32]
    maps: NDArray[np.float32]
    addresses: dict[str, int]
    stream: Any
    marks: tuple[Any, Any, Any, Any]
    captured: int = 0
    graph: Any = None


class Ticket(NamedTuple):
    """A batch that is in flight."""

    slot: Slot
    size: int
    maps_above: float
    enqueue: float  # Milliseconds that the call took which starts the inference.


class SlotRing:
    """Runs batches through slots, each at its own pace; outputs are collected in any order.

    Args:
        driver: Whose thread uses the ring.
        shape: Largest batch, height, width.
        count: Slots.
        compute: Enqueues the inference of a batch of a size on a slot's stream.
        capture: Whether inferences are captured as graphs where the driver can.
        refusal: Asked before a capture, after the inference ran once: why it cannot be captured; None where it can.
        limit: How long an inference may take; None to derive it.

    Attributes:
        broken: Why the device no longer responds; None while it does.
        why_no_graphs: Why an inference could not be captured, the first time; None where that did not happen.
    """

    def __init__(
        self,
        driver: Driver,
        shape: tuple[int, int, int],
        count: int,
        compute: Callable[[Slot, int], None],
        capture: bool = True,
        refusal: Callable[[Slot], str | None] = lambda slot: None,
        limit: InferenceLimit | None = None,
    ) -> None:
        self._limit = limit or InferenceLimit()
        self.broken: str | None = None
        self.why_no_graphs: str | None = None
        self._driver = driver
        self._compute = compute
        self._refusal = refusal
        self._capture = capture and driver.graphs
        if not self._capture:
            self.why_no_graphs = "not asked for" if driver.graphs else f"{driver.package} has no CUDA graphs"
        self.slots = [_make_slot(driver, index, shape) for index in range(count)]
        self._free = deque(self.slots)
        self._acquired: dict[int, tuple[Frames, Slot]] = {}  # By the id of the frames, which lives as long as they do.

    @property
    def cuda_graphs(self) -> str:
        """Whether inferences run as captured graphs; see `Engine.cuda_graphs`."""
        used = [slot for slot in self.slots if slot.captured]
        if used and all(slot.graph is not None for slot in used):
            return "on"
        return f"off: {self.why_no_graphs or 'nothing has run yet'}"

    def acquire(self, count: int) -> Frames | None:
        """The page-locked frames of a free slot, [count, H, W, 3]; None where all are taken."""
        if not self._free:
            return None
        slot = self._free.popleft()
        frames = slot.frames[:count]
        self._acquired[id(frames)] = frames, slot
        return frames

    def release(self, frames: Frames) -> None:
        """Frees the slot of acquired frames."""
        if id(frames) in self._acquired:
            _, slot = self._acquired.pop(id(frames))
            self._free.append(slot)

    def submit(self, frames: Frames, maps_above: float) -> Ticket:
        """Enqueues copy, inference and copy back of a batch; see `Engine.submit`."""
        slot = self._acquired.pop(id(frames))[1] if id(frames) in self._acquired else self._take(frames)
        with self._frees(slot):
            return self._enqueue(slot, len(frames), maps_above)

    def collect(self, ticket: Ticket) -> Outputs:
        """Waits for a batch; see `Engine.collect`."""
        slot, size = ticket.slot, ticket.size
        driver, (before, copied, computed, done) = self._driver, slot.marks
        with self._frees(slot):
            with self._limit.watch(size):
                driver.wait(done)
            scores = slot.scores[:size].copy()
            timings = {
                "enqueue": ticket.enqueue,
                "h2d": driver.elapsed(before, copied),
                "gpu_compute": driver.elapsed(copied, computed),
                "d2h": driver.elapsed(computed, done),
            }
            wanted = wants_maps(scores, ticket.maps_above)
            if wanted and ticket.maps_above != EVERY_MAP:  # Now that the scores are known.
                driver.copy_out(slot.maps[:size], slot.addresses["anomaly_map"], slot.stream)
                driver.drain(slot.stream)
            maps = slot.maps[: size if wanted else 0].copy()
            faults = faults_of(scores, maps if wanted else slot.maps[:size, _rows(slot)])
        self._free.append(slot)
        return Outputs(scores, maps, timings, faults)

    def _take(self, frames: Frames) -> Slot:
        if not self._free:
            raise EdgekdError(f"all {len(self.slots)} slots are in flight: collect one first")
        slot = self._free.popleft()
        slot.frames[: len(frames)] = frames
        return slot

    def _enqueue(self, slot: Slot, count: int, maps_above: float) -> Ticket:
        driver, (before, copied, computed, done) = self._driver, slot.marks
        if self._capture and slot.captured != count:
            self._capture_anew(slot, count)
        driver.record(before, slot.stream)
        driver.copy_in(slot.addresses["frames"], slot.frames[:count], slot.stream)
        driver.record(copied, slot.stream)
        start = time.perf_counter()
        if slot.graph is None:
            self._compute(slot, count)
        else:
            driver.launch(slot.graph, slot.stream)
        enqueue = (time.perf_counter() - start) * 1e3
        driver.record(computed, slot.stream)
        driver.copy_out(slot.scores[:count], slot.addresses["score"], slot.stream)
        if maps_above == EVERY_MAP:
            driver.copy_out(slot.maps[:count], slot.addresses["anomaly_map"], slot.stream)
        else:  # Of a map that may stay there one row is looked at: a network that fails makes every value NaN.
            for index, anomaly_map in enumerate(slot.maps[:count]):
                row = anomaly_map[_rows(slot)]
                offset = index * anomaly_map.nbytes + _rows(slot).start * row.nbytes
                driver.copy_out(row, slot.addresses["anomaly_map"] + offset, slot.stream)
        driver.record(done, slot.stream)
        return Ticket(slot, count, maps_above, enqueue)

    def _capture_anew(self, slot: Slot, count: int) -> None:
        """Captures the inference of a batch size; a slot that cannot be captured runs without a graph.

        One graph a slot: a graph of another size may hold what the context has let go of since.
        """
        driver = self._driver
        if slot.graph is not None:
            driver.discard(slot.graph)
        slot.graph, slot.captured = None, count
        self._compute(slot, count)  # What is set up on the first run must not fall into the capture.
        driver.drain(slot.stream)
        try:
            reason = self._refusal(slot)
            if reason is None:
                slot.graph = driver.capture(slot.stream, lambda: self._compute(slot, count))
        except CudaError as error:
            driver.drain(slot.stream)  # A device that is gone raises here; otherwise it goes on without.
            reason = str(error)
        if reason is not None and self.why_no_graphs is None:
            self.why_no_graphs = " ".join(reason.split())
            _logger.warning("inference runs without CUDA graphs: %s", self.why_no_graphs)

    @contextlib.contextmanager
    def _frees(self, slot: Slot) -> Iterator[None]:
        """Frees a slot that fails, once nothing reads its memory any more; a device that is gone breaks the ring."""
        if self.broken is not None:
            self._free.append(slot)
            raise CudaError(self.broken)
        try:
            yield
        except BaseException as error:
            try:
                self._driver.drain(slot.stream)
            except CudaError:
                self.broken = f"the GPU no longer responds: {error}"
            self._free.append(slot)
            raise


def _rows(slot: Slot) -> slice:
    """The row in the middle of the maps."""
    middle = slot.maps.shape[1] // 2
    return slice(middle, middle + 1)


def _make_slot(driver: Driver, index: int, shape: tuple[int, int, int]) -> Slot:
    batch, height, width = shape
    frames = driver.pinned((batch, height, width, 3), np.uint8)
    scores = driver.pinned((batch,), np.float32)
    maps = driver.pinned((batch, height, width), np.float32)
    buffers = {"frames": frames, "score": scores, "anomaly_map": maps}
    addresses = {name: driver.allocate(host.nbytes) for name, host in buffers.items()}
    marks = (driver.event(), driver.event(), driver.event(), driver.event())
    return Slot(index, frames, scores, maps, addresses, driver.stream(), marks)
