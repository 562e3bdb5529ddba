"""An engine of TensorRT on the GPU: loaded, with an execution context for each slot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekd.artifact import Manifest, checked_content, frame_shape
from edgekd.engines.cuda import CudaError, Driver
from edgekd.engines.cuda.ring import Slot
from edgekd.engines.signature import ANOMALY_MAP, FLOAT32, FRAMES, SCORE, UINT8, Tensor, refuse_other_tensors
from edgekd.engines.tensorrt.flavours import RTX, Flavour
from edgekd.engines.tensorrt.progress import ERROR, WARNING, logged_once
from edgekd.engines.tensorrt.runtime_cache import RuntimeCache, runtime_cache_path
from edgekd.errors import ArtifactError, MachineError

TENSORS = (FRAMES, SCORE, ANOMALY_MAP)
TYPES = {"UINT8": UINT8, "FLOAT": FLOAT32}  # As TensorRT names them.


class Contexts:
    """Execution contexts, one a slot. Each has activations of its own, so that slots run at once.

    Args:
        flavour: That built the engine.
        path: The .engine file.
        manifest: Its manifest.
        driver: Of the GPU; its context is current.
        count: Slots.

    Raises:
        ArtifactError: TensorRT cannot load the engine, or it has other inputs and outputs than the contract.
        MachineError: The GPU has no room for it.
    """

    def __init__(self, flavour: Flavour, path: Path, manifest: Manifest, driver: Driver, count: int) -> None:
        self._flavour = flavour
        self._driver = driver
        _, self._height, self._width = frame_shape(manifest)
        self._sizes: dict[int, int] = {}  # The batch that each slot's context is set to.
        self._contexts: list[Any] = []
        self._runtime_config: Any = None
        self._kernels: RuntimeCache | None = None
        self._user_memory = flavour.name == RTX and bool(manifest["engine"].get("user_allocation"))
        self._log = _make_log(flavour.module)
        self._runtime = flavour.module.Runtime(self._log)
        self._engine: Any = None
        try:
            self._engine = self._runtime.deserialize_cuda_engine(checked_content(path, manifest))
            if self._engine is None:
                raise ArtifactError(f"TensorRT cannot load {path}: {self._reason()}; build it again")
            refuse_other_tensors(path, frame_shape(manifest), *self._tensors())
            if flavour.name == RTX:
                self._configure(manifest)
            for _ in range(count):
                self._contexts.append(self._make_context())
            if any(context is None for context in self._contexts):
                raise no_room(path, count, self._reason("TensorRT made no execution context"))
        except BaseException:
            self.release()
            raise

    def bind(self, slot: Slot) -> None:
        """Gives a slot's context its memory, its profile and the addresses of its tensors. The stream must be drained
        before it is used.

        Raises:
            ArtifactError: TensorRT refuses one of them.
            CudaMemoryError: The GPU has no room.
        """
        size = int(self._engine.device_memory_size_v2) if self._user_memory else 0
        # An engine built so allocates nothing while it runs, which would end a capture: its activations are given.
        memory = self._driver.allocate(size) if size > 0 else None
        if refused := self._bind(slot, memory, size):
            raise ArtifactError(self._refused(refused))

    def start(self, slot: Slot, count: int) -> None:
        """Enqueues the inference of a batch on a slot's stream.

        Raises:
            ArtifactError: TensorRT refuses the size.
            CudaError: It could not start.
        """
        if not self._set_size(slot, count):
            raise ArtifactError(self._refused(f"a batch of {count}"))
        if not self._execute(slot):
            raise CudaError(f"TensorRT could not start the inference: {self._reason()}")

    def capture_refusal(self, slot: Slot) -> str | None:
        """Why a slot's inference cannot be captured as a CUDA graph, as far as TensorRT reports it beforehand.

        It is to be asked once the inference ran: only then the kernels for its shape are there.
        """
        if self._flavour.name != RTX:  # The standard one has no such question; the capture itself shows it.
            return None
        context = self._contexts[slot.index]
        if context.is_stream_capturable(self._driver.address_of(slot.stream)):
            return None
        more = (
            "" if self._user_memory else ", as it was built without user allocation: build it again with edgekd build"
        )
        return f"{self._flavour.title} cannot capture this engine{more}"

    def keep_kernels(self) -> None:
        """Writes the kernels that were compiled here to the disk, where the flavour compiles any."""
        if self._kernels is not None:
            self._kernels.save()

    def release(self) -> None:
        """Frees what TensorRT holds on the device. Nothing may be in flight, and the driver must still be open."""
        self._contexts.clear()
        self._kernels = None
        self._runtime_config = None
        self._engine = None
        self._runtime = None

    # Nothing is raised in these three: a traceback would keep the context, beyond the closing of the engine.

    def _bind(self, slot: Slot, memory: int | None, size: int) -> str | None:
        """What TensorRT refuses; None where all is well."""
        context = self._contexts[slot.index]
        if memory is not None:
            context.set_device_memory(memory, size)  # Returns nothing; without it the inference does not start.
        # The first profile is the default of the first context alone; with a free batch the others have none otherwise.
        if not context.set_optimization_profile_async(0, self._driver.address_of(slot.stream)):
            return "the optimization profile"
        for name in TENSORS:
            if not context.set_tensor_address(name, slot.addresses[name]):
                return f"the memory of {name}"
        return None

    def _set_size(self, slot: Slot, count: int) -> bool:
        if self._sizes.get(slot.index) == count:
            return True
        context = self._contexts[slot.index]
        self._sizes.pop(slot.index, None)
        if not context.set_input_shape("frames", (count, self._height, self._width, 3)):
            return False
        self._sizes[slot.index] = count
        return True

    def _execute(self, slot: Slot) -> bool:
        context = self._contexts[slot.index]
        return bool(context.execute_async_v3(self._driver.address_of(slot.stream)))

    def _tensors(self) -> tuple[list[Tensor], list[Tensor]]:
        """The inputs and outputs that TensorRT reports."""
        engine, found = self._engine, list[Tensor]()
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            shape = tuple(None if side < 0 else int(side) for side in engine.get_tensor_shape(name))
            dtype = engine.get_tensor_dtype(name).name
            found.append(Tensor(name, TYPES.get(dtype, dtype.lower()), shape))
        is_input = self._flavour.module.TensorIOMode.INPUT
        inputs = [tensor for tensor in found if engine.get_tensor_mode(tensor.name) == is_input]
        return inputs, [tensor for tensor in found if tensor not in inputs]

    def _configure(self, manifest: Manifest) -> None:
        """The configuration that all contexts share, and with it the kernels that are compiled for one of them."""
        trt = self._flavour.module
        self._runtime_config = self._engine.create_runtime_config()
        if self._runtime_config is None:
            raise ArtifactError(self._refused("a runtime configuration"))
        # Lazily, a new shape would run on a fallback kernel until its own is compiled, and a graph captured by then
        # would hold the fallback for good.
        strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        self._runtime_config.dynamic_shapes_kernel_specialization_strategy = strategy
        # Its own graph capture stays off, as it is by default: each slot captures its own, copies excluded.
        if self._user_memory:
            self._runtime_config.set_execution_context_allocation_strategy(
                trt.ExecutionContextAllocationStrategy.USER_MANAGED
            )
        runtime_cache = self._runtime_config.create_runtime_cache()
        kernels = RuntimeCache(
            runtime_cache, runtime_cache_path(manifest["sha256"], self._driver.device, self._flavour.version)
        )
        kernels.load()
        if self._runtime_config.set_runtime_cache(runtime_cache):
            self._kernels = kernels
        else:
            logged_once(
                WARNING, f"{self._flavour.title} takes no cache: every start compiles this engine's kernels anew"
            )

    def _make_context(self) -> Any:
        if self._runtime_config is not None:
            return self._engine.create_execution_context(self._runtime_config)
        return self._engine.create_execution_context()

    def _refused(self, what: str) -> str:
        return f"{self._flavour.title} refuses {what} for this engine ({self._reason()}): build it again"

    def _reason(self, otherwise: str = "it gives no reason") -> str:
        """TensorRT's last error since this was asked; another text where there was none."""
        error, self._log.last_error = self._log.last_error, None
        return error or otherwise


def no_room(path: Path, slots: int, detail: str) -> MachineError:
    """The error for a GPU without room for an engine.

    Args:
        path: The engine.
        slots: Each of which takes room.
        detail: What was refused.
    """
    fewer = f"give fewer with --slots (now {slots}), or " if slots > 1 else ""
    return MachineError(f"the GPU has no room for {path.name} ({detail}): {fewer}close what else runs on it")


def _make_log(trt: Any) -> Any:
    """A logger of TensorRT that hands its warnings and errors to ours and remembers the last error."""

    class RuntimeLog(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.last_error: str | None = None

        def log(self, severity: Any, message: str) -> None:
            line = logged_once(severity, message)
            if line is not None and int(severity) <= ERROR:
                self.last_error = line

    return RuntimeLog()
