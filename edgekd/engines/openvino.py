"""OpenVINO on the CPU."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from edgekd.artifact import Manifest
from edgekd.engines.base import Engine, EngineSpec, Frames, Outputs, frame_shape
from edgekd.errors import ArtifactError, one_line


class Ticket(NamedTuple):
    """A request that is under way, and the frames that it reads."""

    request: Any
    frames: Frames


class OpenVINOEngine(Engine):
    """An .onnx graph in OpenVINO, with two requests so that one can wait while the other computes.

    Args:
        path: The graph.
        manifest: Its manifest, already checked against the file.
        threads: That compute one inference.
    """

    slots = 2

    def __init__(self, path: Path, manifest: Manifest, threads: int) -> None:
        import openvino

        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            # Precision is the graph's business: by default OpenVINO computes in bfloat16 where the CPU can.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            compiled = openvino.Core().compile_model(str(path), "CPU", options)
        except RuntimeError as error:
            raise ArtifactError(f"OpenVINO cannot load {path}: {one_line(error)}") from error
        batch, height, width = frame_shape(manifest)
        version = openvino.get_version().split("-")[0]
        self.spec = EngineSpec("openvino", version, "CPU", height, width, batch, threads)
        self._tensor = openvino.Tensor
        self._requests = deque(compiled.create_infer_request() for _ in range(self.slots))

    def infer(self, frames: Frames) -> Outputs:
        return self.collect(self.submit(frames))

    def submit(self, frames: Frames) -> Ticket:
        self.check(frames)
        # OpenVINO shares only memory that it might write to; anything else it copies.
        tensor = self._tensor(frames, shared_memory=frames.flags.c_contiguous and frames.flags.writeable)
        request = self._requests.popleft()
        request.set_input_tensor(tensor)
        request.start_async()
        return Ticket(request, frames)

    def collect(self, ticket: Ticket) -> Outputs:
        request = ticket.request
        try:
            request.wait()
            return Outputs(request.get_tensor("score").data.copy(), request.get_tensor("anomaly_map").data.copy())
        finally:
            self._requests.append(request)

    def close(self) -> None:
        self._requests.clear()
