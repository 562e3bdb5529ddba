"""ONNX Runtime on the CPU."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from edgekd.artifact import Manifest
from edgekd.engines.base import Engine, EngineSpec, Frames, Outputs, frame_shape
from edgekd.errors import ArtifactError, one_line


class OnnxRuntimeEngine(Engine):
    """An .onnx graph in ONNX Runtime. It runs one batch at a time and queues one more.

    Args:
        path: The graph.
        manifest: Its manifest, already checked against the file.
        threads: That compute one inference.
    """

    slots = 2

    def __init__(self, path: Path, manifest: Manifest, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Its threads otherwise go on spinning after an answer, and take the cores from whatever runs next.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # The runtime's own exceptions share no useful base.
            raise ArtifactError(f"ONNX Runtime cannot load {path}: {one_line(error)}") from error
        batch, height, width = frame_shape(manifest)
        version = onnxruntime.__version__
        self.spec = EngineSpec("onnxruntime", version, "CPU", height, width, batch, threads)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="onnxruntime")

    def infer(self, frames: Frames) -> Outputs:
        self.check(frames)
        return Outputs(*self._session.run(["score", "anomaly_map"], {"frames": frames}))

    def submit(self, frames: Frames) -> Future[Outputs]:
        return self._worker.submit(self.infer, frames)

    def collect(self, ticket: Future[Outputs]) -> Outputs:
        return ticket.result()

    def close(self) -> None:
        self._worker.shutdown()
