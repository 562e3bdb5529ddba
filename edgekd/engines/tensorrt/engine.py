"""An engine of TensorRT, of either flavour, run through a ring of slots."""

from __future__ import annotations

import contextlib
from pathlib import Path

from edgekd.artifact import Manifest, frame_shape
from edgekd.engines.base import EVERY_MAP, Engine, EngineSpec, Frames, Outputs
from edgekd.engines.cuda import CudaMemoryError, Driver, NoSuchGpuError, open_driver
from edgekd.engines.cuda.ring import SlotRing, Ticket
from edgekd.engines.inference_limit import InferenceLimit
from edgekd.engines.tensorrt.checks import needs_gpu, refuse_unfit
from edgekd.engines.tensorrt.contexts import Contexts, no_room
from edgekd.engines.tensorrt.flavours import load_flavour
from edgekd.errors import ArtifactError, EdgekdError, MachineError

SLOTS = 4  # One is filled, one copies in, one computes, one copies out.


class TensorRTEngine(Engine):
    """An .engine file on the GPU it was built for.

    Args:
        path: The file, already checked against its manifest's hash.
        manifest: Its manifest.
        device: The GPU, as CUDA counts them.
        slots: Batches that may be in flight at once. Each takes a set of activations and of buffers on the GPU.

    Raises:
        EdgekdError: There are to be no slots.
        MachineError: There is no GPU that answers, it has no room, or TensorRT is not installed.
        ArtifactError: The engine was built for another GPU, or by another TensorRT.
    """

    def __init__(self, path: Path, manifest: Manifest, device: int = 0, slots: int = SLOTS) -> None:
        if slots < 1:
            raise EdgekdError(f"--slots must be 1 or more, got {slots}")
        self.slots = slots
        self._answered: set[int] = set()  # Sizes of batches whose kernels were kept.
        self.limit = InferenceLimit()
        self._left = contextlib.ExitStack()
        self._left.callback(self.limit.close)
        try:
            self._start(path, manifest, device)
        except CudaMemoryError as error:
            self.close()
            raise no_room(path, slots, str(error)) from error
        except BaseException:
            self.close()
            raise

    def _start(self, path: Path, manifest: Manifest, index: int) -> None:
        try:
            driver: Driver = open_driver(index)
        except (CudaMemoryError, NoSuchGpuError):
            raise
        except MachineError as error:
            raise needs_gpu(manifest, path, error) from error
        self._left.callback(driver.close)
        flavour = load_flavour(manifest["engine"]["flavour"])
        device = driver.device
        refuse_unfit(manifest, path, flavour, device.capability, device.name)
        self._contexts = Contexts(flavour, path, manifest, driver, self.slots)
        # The last first when it is closed: what is in flight ends, TensorRT lets go, and the memory is freed.
        self._left.callback(self._contexts.release)
        self._left.callback(self._keep_kernels)
        self._left.callback(driver.drain_all)
        batch, height, width = frame_shape(manifest)
        self._largest = batch or int(manifest["engine"]["largest_batch"])
        self._ring = SlotRing(
            driver,
            (self._largest, height, width),
            self.slots,
            self._contexts.start,
            refusal=self._contexts.capture_refusal,
            limit=self.limit,
        )
        for slot in self._ring.slots:
            self._contexts.bind(slot)
            driver.drain(slot.stream)  # A profile is set on the stream.
        name = f"{device.name} ({device.capability})"
        self.spec = EngineSpec(
            flavour.name,
            flavour.version,
            name,
            height,
            width,
            batch,
            gpu_index=device.index,
            gpu_uuid=device.uuid or None,
        )

    @property
    def broken(self) -> str | None:
        return self._ring.broken

    @property
    def cuda_graphs(self) -> str:
        return self._ring.cuda_graphs

    def acquire(self, count: int = 1) -> Frames | None:
        self.require_open()
        return self._ring.acquire(count)

    def release(self, frames: Frames) -> None:
        self.require_open()
        self._ring.release(frames)

    def submit(self, frames: Frames, maps_above: float = EVERY_MAP) -> Ticket:
        self.check(frames)
        return self._ring.submit(frames, maps_above)

    def collect(self, ticket: Ticket) -> Outputs:
        self.require_open()
        outputs = self._ring.collect(ticket)
        if ticket.size not in self._answered:
            self._answered.add(ticket.size)
            self._contexts.keep_kernels()
        return outputs

    def close(self) -> None:
        self.closed = True
        self._left.close()

    def _keep_kernels(self) -> None:
        if self._answered and self.broken is None:
            self._contexts.keep_kernels()

    def check(self, frames: Frames) -> None:
        super().check(frames)
        if len(frames) > self._largest:
            raise ArtifactError(f"this engine takes {self._largest} frames at most, got {len(frames)}: build again")
