"""ONNX Runtime on the CPU, and what its engines on any device share."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any, NamedTuple

from edgekd.artifact import Manifest, checked_content, frame_shape
from edgekd.backends import ONNXRUNTIME
from edgekd.engines.base import EVERY_MAP, EngineSpec, Frames, Outputs, wants_maps
from edgekd.engines.host import HostEngine
from edgekd.engines.runtimes import import_onnxruntime
from edgekd.engines.signature import ANOMALY_MAP, FLOAT32, FRAMES, SCORE, UINT8, Tensor, refuse_other_tensors
from edgekd.engines.worker import Worker
from edgekd.errors import ArtifactError, MachineError, one_line
from edgekd.precisions import INT8_FP16

TYPES = {"tensor(uint8)": UINT8, "tensor(float)": FLOAT32}  # As ONNX Runtime names them.
FIRST_THAT_ROUNDS = (1, 30)  # Before, its QuantizeLinear truncates float16 on the CPU: every map is wrong by then.


def truncates(manifest: Manifest, version: str) -> bool:
    """Whether a version of ONNX Runtime computes an artifact wrongly, because it truncates float16 to INT8.

    Args:
        manifest: The artifact's.
        version: Of ONNX Runtime, such as "1.23.2".
    """
    numbers = tuple(int(number) for number in version.split(".")[:2] if number.isdigit())
    return manifest.get("precision") == INT8_FP16 and len(numbers) == 2 and numbers < FIRST_THAT_ROUNDS


def session_options(threads: int) -> Any:
    """How ONNX Runtime runs a graph.

    Args:
        threads: That compute one inference.
    """
    onnxruntime = import_onnxruntime()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Its threads otherwise go on spinning after an inference, and take the cores from whatever runs next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


class Ticket(NamedTuple):
    """A batch that is in flight or waits, and the frames that it reads."""

    outputs: Future[Outputs]
    frames: Frames


class SessionEngine(HostEngine):
    """A session of ONNX Runtime. It runs one batch at a time; another waits, and one is being filled.

    Args:
        session: Of ONNX Runtime, on a graph with our inputs and outputs.
        spec: What it takes and what it runs on.
        slots: Batches that may be acquired or in flight at once; None for 3.
    """

    slots = 3

    def __init__(self, session: Any, spec: EngineSpec, slots: int | None = None) -> None:
        super().__init__(slots)
        self._session = session
        self.spec = spec
        self._worker = Worker(ONNXRUNTIME)

    def submit(self, frames: Frames, maps_above: float = EVERY_MAP) -> Ticket:
        self.check(frames)
        self.limit.require_working()
        return Ticket(self._worker.submit(self._run, frames, maps_above), frames)

    def collect(self, ticket: Ticket) -> Outputs:
        try:
            self.limit.wait(len(ticket.frames), lambda seconds: _has_ended(ticket.outputs, seconds), self)
            return ticket.outputs.result()
        finally:
            if ticket.outputs.done():  # Otherwise, as after Ctrl-C, the session still reads the frames.
                self.release(ticket.frames)

    def _run(self, frames: Frames, maps_above: float) -> Outputs:
        scores, maps = self._session.run([SCORE, ANOMALY_MAP], {FRAMES: frames})
        return self.checked(len(frames), scores, maps, wants_maps(scores, maps_above))

    def close(self) -> None:
        super().close()
        self._worker.close(wait=self.broken is None)


def _has_ended(outputs: Future[Outputs], seconds: float) -> bool:
    """Waits so long at most; an inference that failed has ended."""
    try:
        outputs.exception(seconds)
    except FutureTimeoutError:
        return False
    return True


def refuse_other_session(path: Path, session: Any, frames: tuple[int | None, int, int]) -> None:
    """Refuses a session whose inputs and outputs are not the contract's; see `refuse_other_tensors`."""
    inputs, outputs = map(_described, session.get_inputs()), map(_described, session.get_outputs())
    refuse_other_tensors(path, frames, list(inputs), list(outputs))


def _described(value: Any) -> Tensor:
    """An input or output as ONNX Runtime reports it, whose types are as "tensor(float)"."""
    shape = tuple(side if isinstance(side, int) else None for side in value.shape)
    return Tensor(value.name, TYPES.get(value.type, value.type), shape)


class OnnxRuntimeEngine(SessionEngine):
    """An .onnx graph in ONNX Runtime on the CPU.

    Args:
        path: The graph.
        manifest: Its manifest, already checked against the file.
        threads: That compute one inference.
        slots: See `SessionEngine`.
    """

    def __init__(self, path: Path, manifest: Manifest, threads: int, slots: int | None = None) -> None:
        onnxruntime = import_onnxruntime()
        if truncates(manifest, onnxruntime.__version__):
            raise MachineError(
                f"ONNX Runtime {onnxruntime.__version__} truncates float16 where {path} rounds it to INT8, so its "
                "scores are wrong: install 'onnxruntime>=1.30' (Python 3.11 or newer), or give --backend openvino"
            )
        content = checked_content(path, manifest)
        try:
            session = onnxruntime.InferenceSession(
                content, session_options(threads), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # The runtime's own exceptions share no useful base.
            raise ArtifactError(f"ONNX Runtime cannot load {path}: {one_line(error)}") from error
        batch, height, width = frame_shape(manifest)
        refuse_other_session(path, session, (batch, height, width))
        version = onnxruntime.__version__
        super().__init__(session, EngineSpec(ONNXRUNTIME, version, "CPU", height, width, batch, threads), slots)
