"""OpenVINO, on the CPU and on Intel's GPUs and NPUs."""

from __future__ import annotations

import contextlib
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from edgekd.artifact import Manifest, checked_content, frame_shape
from edgekd.engines.base import EVERY_MAP, EngineSpec, Frames, Outputs, wants_maps
from edgekd.engines.build_record import refuse_other_version
from edgekd.engines.compiled_models import Compiled, compile_for_cpu
from edgekd.engines.host import HostEngine
from edgekd.engines.openvino_devices import (
    backend_of,
    cause,
    device_name,
    device_options,
    refuse_free_batch,
    require_device,
)
from edgekd.engines.runtimes import import_openvino
from edgekd.engines.signature import Tensor, refuse_other_tensors
from edgekd.errors import ArtifactError, EdgekdError, MachineError


def cpu_options(threads: int, streams: int = 1) -> dict[str, Any]:
    """How OpenVINO compiles for the CPU.

    Args:
        threads: That compute, shared among the streams.
        streams: Inferences that compute at the same time.
    """
    return {
        **({"PERFORMANCE_HINT": "LATENCY"} if streams == 1 else {"NUM_STREAMS": streams}),
        "INFERENCE_NUM_THREADS": threads,
        # Precision is the graph's business: by default OpenVINO computes in bfloat16 where the CPU can.
        "INFERENCE_PRECISION_HINT": "f32",
    }


class Ticket(NamedTuple):
    """A request that is in flight, and the frames that it reads."""

    request: Any
    frames: Frames
    maps_above: float


class OpenVINOEngine(HostEngine):
    """A graph in OpenVINO: one request computes in each stream, another waits, and one is being filled.

    Args:
        path: The .onnx or .engine file.
        manifest: Its manifest, already checked against the file.
        threads: That compute on the CPU, shared among the streams; None on another device.
        slots: Batches that may be acquired or in flight at once; None for 2 more than streams.
        device: "CPU", "GPU" or "NPU"; never another one instead.
        streams: Inferences that compute at the same time on the CPU.

    Raises:
        AcceleratorError: The device is not here.
        ArtifactError: It does not take the file.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        threads: int | None,
        slots: int | None = None,
        device: str = "CPU",
        streams: int = 1,
    ) -> None:
        openvino = import_openvino()

        super().__init__(slots or streams + 2)
        batch, height, width = frame_shape(manifest)
        refuse_free_batch(path, batch, device)
        core = openvino.Core()
        if device != "CPU":
            require_device(core, device)
        options = (
            cpu_options(threads or 0, streams) if device == "CPU" else device_options(device, manifest["precision"])
        )
        version = openvino.get_version().split("-")[0]
        content = checked_content(path, manifest)
        try:
            if path.suffix == ".engine":
                refuse_other_version(manifest, path, "OpenVINO", version)
                compiled = Compiled(core.import_model(content, device, options))
            elif device == "CPU":
                compiled = compile_for_cpu(core, content, manifest["sha256"], options)
            else:
                compiled = Compiled(core.compile_model(core.read_model(content, b""), device, options))
        except (RuntimeError, UnicodeDecodeError) as error:  # The latter where its own message quotes the file.
            raise ArtifactError(f"OpenVINO cannot load {path}: {cause(error)}") from error
        refuse_other_tensors(
            path,
            (batch, height, width),
            [_described(port) for port in compiled.model.inputs],
            [_described(port) for port in compiled.model.outputs],
        )
        name = "CPU" if device == "CPU" else device_name(core, device)
        self.spec = EngineSpec(backend_of(device), version, name, height, width, batch, threads, streams=streams)
        self._tensor = openvino.Tensor
        self._requests = deque(compiled.model.create_infer_request() for _ in range(self.slots))
        self._every_request = list(self._requests)
        self._weights = compiled.weights  # The last to go, after the requests that read them.

    def submit(self, frames: Frames, maps_above: float = EVERY_MAP) -> Ticket:
        self.check(frames)
        self.limit.require_working()
        # OpenVINO shares only memory that it might write to; anything else it copies.
        tensor = self._tensor(frames, shared_memory=frames.flags.c_contiguous and frames.flags.writeable)
        if not self._requests:
            raise EdgekdError(f"all {self.slots} slots are in flight: collect one first")
        request = self._requests[0]
        request.set_input_tensor(tensor)
        request.start_async()
        self._requests.popleft()
        return Ticket(request, frames, maps_above)

    def collect(self, ticket: Ticket) -> Outputs:
        request, count = ticket.request, len(ticket.frames)
        try:
            self.limit.wait(count, lambda seconds: _has_ended(request, seconds), self)
            request.wait()  # It has ended: what it failed with comes out here.
            scores, maps = request.get_tensor("score").data, request.get_tensor("anomaly_map").data
            outputs = self.checked(count, scores, maps, wants_maps(scores, ticket.maps_above))
            # The next inference of this request writes to the same memory.
            return outputs._replace(scores=scores.copy(), anomaly_maps=outputs.anomaly_maps.copy())
        except RuntimeError as error:
            raise MachineError(f"{self.spec.backend} failed on {self.spec.device}: {cause(error)}") from error
        finally:
            if _has_ended(request, 0):  # Otherwise, as after Ctrl-C, it still reads the frames.
                self._requests.append(request)
                self.release(ticket.frames)

    def close(self) -> None:
        super().close()
        if self.broken is not None:  # What does not end is not waited for, and nothing that it uses is freed.
            return
        for request in self._every_request:
            with contextlib.suppress(RuntimeError):  # Nobody waits for what failed.
                request.wait()
        self._requests.clear()
        self._every_request.clear()


def _has_ended(request: Any, seconds: float) -> bool:
    """Waits so long at most; a request that failed has ended."""
    try:
        return bool(request.wait_for(round(seconds * 1e3)))
    except RuntimeError:
        return True


def _described(port: Any) -> Tensor:
    """An input or output as OpenVINO reports it; of a name that it has lost, with an empty one."""
    shape = tuple(side.get_length() if side.is_static else None for side in port.partial_shape)
    names = sorted(port.names)
    dtype = port.element_type.to_dtype().name
    return Tensor(names[0] if names else "", str(dtype), shape)
