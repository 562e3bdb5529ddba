"""What every engine is: something that takes batches of frames and gives scores and maps."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.engines.inference_limit import InferenceLimit
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.preprocessing import Preprocessing

Frames = NDArray[np.uint8]  # [N, H, W, 3], BGR

EVERY_MAP = -math.inf  # Above which a score's map is wanted.
NO_MAP = math.inf


class Outputs(NamedTuple):
    """An engine's outputs for a batch.

    Attributes:
        scores: Raw, float32 [N].
        anomaly_maps: Raw, float32 [N, H, W]; [0, H, W] where they were not wanted.
        timings: Milliseconds of each step that the device itself measures: enqueue, h2d, gpu_compute, d2h on a GPU.
        faults: What is wrong with the answer to a frame, by its place: a score or a map that is not finite.
    """

    scores: NDArray[np.float32]
    anomaly_maps: NDArray[np.float32]
    timings: Mapping[str, float] = MappingProxyType({})
    faults: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True)
class EngineSpec:
    """What an engine takes and what it runs on.

    Attributes:
        backend: "onnxruntime", "openvino", "tensorrt".
        version: Of the back end.
        device: Where it runs, such as "CPU".
        height, width: Of a frame, in pixels.
        batch: The one batch size it takes; None where it takes any.
        threads: That compute, shared among the streams; None on a GPU.
        gpu_index: Of the GPU, as CUDA counts them; None on a CPU.
        gpu_uuid: Of the GPU, as nvidia-smi prints it; None on a CPU, and where it is not known.
        streams: Inferences that compute at the same time.
    """

    backend: str
    version: str
    device: str
    height: int
    width: int
    batch: int | None
    threads: int | None = None
    gpu_index: int | None = None
    gpu_uuid: str | None = None
    streams: int = 1


class Engine(abc.ABC):
    """An artifact, loaded and ready. Use it as a context manager, or close it.

    One thread uses it. Batches go through slots: `acquire` gives the memory of a free one, which other threads may
    fill; `submit` starts it, `collect` waits for the outputs and frees it.

    Attributes:
        spec: What it takes and what it runs on.
        slots: How many batches may be acquired or in flight at once.
        closed: Whether it was closed. It then refuses everything, whatever was acquired or submitted before.
        limit: How long an inference may take.
    """

    spec: EngineSpec
    limit: InferenceLimit
    slots: int = 1
    closed: bool = False
    _preprocessing: Preprocessing | None = None

    @property
    def preprocessing(self) -> Preprocessing:
        """How images become its frames: as the manifest has it, once `open_engine` has read it."""
        return self._preprocessing or Preprocessing(self.spec.height, self.spec.width)

    @preprocessing.setter
    def preprocessing(self, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing

    @property
    def broken(self) -> str | None:
        """Why it no longer responds; None while it does."""
        return None

    @property
    def cuda_graphs(self) -> str | None:
        """Whether inferences run as captured CUDA graphs: "on", or "off: " and why; None where there are none."""
        return None

    @abc.abstractmethod
    def acquire(self, count: int = 1) -> Frames | None:
        """The memory of a free slot, uint8 [count, H, W, 3], to write a batch into; None where all are taken."""

    @abc.abstractmethod
    def release(self, frames: Frames) -> None:
        """Frees a slot that was acquired and is not submitted."""

    @abc.abstractmethod
    def submit(self, frames: Frames, maps_above: float = EVERY_MAP) -> Any:
        """Starts one batch.

        Args:
            frames: uint8 [N, H, W, 3], BGR, in the size of `spec`: acquired ones, or any others. They must stay as they
                are until they are collected.
            maps_above: The maps are brought back where a score of the batch is above it.

        Returns:
            The ticket for `collect`.

        Raises:
            EdgekdError: The frames do not match `spec`, or the engine is closed.
        """

    @abc.abstractmethod
    def collect(self, ticket: Any) -> Outputs:
        """Waits for a batch that was submitted, and frees its slot whether or not that went well.

        Raises:
            LateInferenceError: It took longer than `limit`.
            ArtifactError: It does not answer with one score and one map for each frame.
            MachineError: The device failed, or the inference does not end.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Frees what the engine holds, once what is in flight has ended. Closing twice does no harm.

        Frames that were acquired stay readable and writable memory, and are refused from then on.
        """

    def infer(self, frames: Frames, maps_above: float = EVERY_MAP) -> Outputs:
        """Runs one batch and waits for it; see `submit`."""
        return self.collect(self.submit(frames, maps_above))

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def require_open(self) -> None:
        """Refuses to go on once the engine is closed.

        Raises:
            EdgekdError: It is.
        """
        if self.closed:
            raise EdgekdError("this engine is closed: open it again")

    def check(self, frames: Frames) -> None:
        """Refuses frames that do not match `spec`, and any once the engine is closed."""
        self.require_open()
        spec = self.spec
        wanted = (spec.batch if spec.batch is not None else len(frames), spec.height, spec.width, 3)
        if frames.dtype != np.uint8 or frames.shape != wanted:
            raise EdgekdError(
                f"this engine takes uint8 frames of shape {wanted}, got {frames.dtype} {frames.shape}: "
                "resize them, or export with another --size or --batch"
            )

    def checked(self, count: int, scores: NDArray[Any], maps: NDArray[Any], wanted: bool) -> Outputs:
        """The outputs for a batch, once they are known to be answers to it. They may be views of the engine's memory.

        Args:
            count: Frames in the batch.
            scores: As the back end gives them.
            maps: The same; they are looked at whether or not they are wanted.
            wanted: Whether the maps are brought back.

        Raises:
            ArtifactError: There is not one float32 score and one float32 map of the right size for each frame.
        """
        spec = self.spec
        wanted_shapes = (count,), (count, spec.height, spec.width)
        if not (scores.dtype == maps.dtype == np.float32 and (scores.shape, maps.shape) == wanted_shapes):
            raise ArtifactError(
                f"{spec.backend} answered a batch of {count} with scores {scores.dtype} {list(scores.shape)} and maps "
                f"{maps.dtype} {list(maps.shape)}, and not one of each a frame: export the detector again"
            )
        return Outputs(scores, maps if wanted else maps[:0], faults=faults_of(scores, maps))


def faults_of(scores: NDArray[np.float32], maps: NDArray[np.float32]) -> dict[int, str]:
    """What is wrong with the answers to a batch, by the place of the frame; empty where all is well.

    Args:
        scores: float32 [N].
        maps: float32 [N, H, W], or fewer of them where only some were brought back.
    """
    finite = finite_maps(maps)
    if finite.all() and np.isfinite(scores).all():  # As nearly always: the rest would cost as much again.
        return {}
    of_maps = {int(index): "the anomaly map is not finite" for index in np.flatnonzero(~finite)}
    wrong = np.flatnonzero(~np.isfinite(scores))
    return of_maps | {int(index): f"the engine's score is not finite: {scores[index]}" for index in wrong}


def finite_maps(maps: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which maps hold nothing but finite numbers, bool [N]."""
    return np.asarray(np.isfinite(maps.reshape(len(maps), math.prod(maps.shape[1:]))).all(axis=1))


def require_finite(outputs: Outputs, names: Sequence[str]) -> None:
    """Refuses the outputs for a batch in which the answer to a frame is none.

    Args:
        outputs: Of an engine.
        names: What each frame is called; fewer than the batch where it was filled up.

    Raises:
        EdgekdError: The score or the map of a frame is not finite; it names the first such frame.
    """
    for name, fault in zip(names, map(outputs.faults.get, range(len(names))), strict=True):
        if fault is not None:
            raise EdgekdError(f"{name}: {fault}; export the detector again, or train it again")


def wants_maps(scores: NDArray[np.float32], maps_above: float) -> bool:
    """Whether the maps of a batch are to be brought back, now that its scores are known."""
    return maps_above == EVERY_MAP or bool((scores > maps_above).any())
