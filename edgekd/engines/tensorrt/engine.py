"""An engine of TensorRT, of either flavour, run through a ring of slots."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from edgekd.artifact import Manifest
from edgekd.engines.base import EVERY_MAP, Engine, EngineSpec, Frames, Outputs, frame_shape
from edgekd.engines.cuda import CudaError, Driver, open_driver
from edgekd.engines.cuda.ring import Slot, SlotRing, Ticket
from edgekd.engines.tensorrt.checks import needs_gpu, refuse_unfit
from edgekd.engines.tensorrt.flavours import load_flavour
from edgekd.errors import ArtifactError, MachineError

SLOTS = 4  # One is filled, one copies in, one computes, one copies out.
TENSORS = ("frames", "score", "anomaly_map")


class TensorRTEngine(Engine):
    """An .engine file on the GPU it was built for.

    Args:
        path: The file, already checked against its manifest's hash.
        manifest: Its manifest.
        device: The GPU, as CUDA counts them.
        slots: Batches that may be under way at once.

    Raises:
        MachineError: There is no GPU that answers, or TensorRT is not installed.
        ArtifactError: The engine was built for another GPU, or by another TensorRT.
    """

    slots = SLOTS

    def __init__(self, path: Path, manifest: Manifest, device: int = 0, slots: int = SLOTS) -> None:
        self._device = device
        self._left = contextlib.ExitStack()
        try:
            self._start(path, manifest)
        except BaseException:
            self.close()
            raise

    def _start(self, path: Path, manifest: Manifest) -> None:
        try:
            driver = open_driver(self._device)
        except MachineError as error:
            raise needs_gpu(manifest, path, error) from error
        self._left.callback(driver.close)
        flavour = load_flavour(manifest["engine"]["flavour"])
        refuse_unfit(manifest, path, flavour, driver.device.capability, driver.device.name)
        self._engine, self._contexts = _contexts(flavour.module, path)
        self._left.callback(self._let_go)
        batch, height, width = frame_shape(manifest)
        largest = batch or int(manifest["engine"]["largest_batch"])
        self._shape = (height, width)
        self._sizes: dict[int, int] = {}  # The batch that each slot's context is set to.
        self._driver: Driver = driver
        self._largest = largest
        self._ring = SlotRing(driver, (largest, height, width), SLOTS, self._compute)
        for slot, context in zip(self._ring.slots, self._contexts, strict=True):
            for name in TENSORS:
                context.set_tensor_address(name, slot.addresses[name])
        device = f"{driver.device.name} ({driver.device.capability})"
        self.spec = EngineSpec(flavour.name, flavour.version, device, height, width, batch)

    @property
    def broken(self) -> str | None:
        return self._ring.broken

    @property
    def replays_graphs(self) -> bool:
        return self._ring.replays_graphs

    @property
    def cuda_graphs(self) -> str:
        return "on" if self.replays_graphs else "off"

    def lend(self, count: int = 1) -> Frames | None:
        return self._ring.lend(count)

    def give_back(self, frames: Frames) -> None:
        self._ring.give_back(frames)

    def submit(self, frames: Frames, maps_above: float = EVERY_MAP) -> Ticket:
        self.check(frames)
        return self._ring.submit(frames, maps_above)

    def collect(self, ticket: Ticket) -> Outputs:
        return self._ring.collect(ticket)

    def close(self) -> None:
        self._left.close()

    def _let_go(self) -> None:
        """Frees what TensorRT holds on the device, while there is a context to free it in."""
        self._contexts.clear()
        self._engine = None

    def check(self, frames: Frames) -> None:
        super().check(frames)
        if len(frames) > self._largest:
            raise ArtifactError(f"this engine takes {self._largest} frames at most, got {len(frames)}: build again")

    def _compute(self, slot: Slot, count: int) -> None:
        context = self._contexts[slot.index]
        if self._sizes.get(slot.index) != count:
            context.set_input_shape("frames", (count, *self._shape, 3))
            self._sizes[slot.index] = count
        if not context.execute_async_v3(self._driver.address_of(slot.stream)):
            raise CudaError("TensorRT could not start the inference")


def _contexts(trt: Any, path: Path) -> tuple[Any, list[Any]]:
    """The engine and an execution context for each slot."""
    logger = trt.Logger(trt.Logger.ERROR)
    runtime = trt.Runtime(logger)
    engine = runtime.deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise ArtifactError(f"TensorRT cannot load {path}: build it again")
    contexts = [engine.create_execution_context() for _ in range(SLOTS)]
    if any(context is None for context in contexts):
        raise MachineError(f"the GPU has no room for {path.name} with {SLOTS} slots: close what else runs on it")
    return engine, contexts
