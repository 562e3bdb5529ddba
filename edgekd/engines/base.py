"""What every engine is: something that takes batches of frames and gives scores and maps."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.artifact import Manifest
from edgekd.errors import ArtifactError, EdgekdError

Frames = NDArray[np.uint8]  # [N, H, W, 3], BGR


class Outputs(NamedTuple):
    """What an engine says of a batch.

    Attributes:
        scores: Raw, float32 [N].
        anomaly_maps: Raw, float32 [N, H, W].
    """

    scores: NDArray[np.float32]
    anomaly_maps: NDArray[np.float32]


@dataclass(frozen=True)
class EngineSpec:
    """What an engine takes and what it runs on.

    Attributes:
        backend: "onnxruntime", "openvino", "tensorrt".
        version: Of the back end.
        device: Where it runs, such as "CPU".
        height, width: Of a frame, in pixels.
        batch: The one batch size it takes; None where it takes any.
        threads: That compute one inference; None on a GPU.
    """

    backend: str
    version: str
    device: str
    height: int
    width: int
    batch: int | None
    threads: int | None = None


class Engine(abc.ABC):
    """An artifact, loaded and ready. Use it as a context manager, or close it."""

    spec: EngineSpec
    slots: int = 1  # How many batches may be under way at once.

    @abc.abstractmethod
    def infer(self, frames: Frames) -> Outputs:
        """Runs one batch and waits for it.

        Args:
            frames: uint8 [N, H, W, 3], BGR, in the size of `spec`.

        Raises:
            EdgekdError: The frames are not what `spec` says.
        """

    @abc.abstractmethod
    def submit(self, frames: Frames) -> Any:
        """Starts one batch; the ticket goes to `collect`. The frames must stay as they are until then."""

    @abc.abstractmethod
    def collect(self, ticket: Any) -> Outputs:
        """Waits for a batch that was submitted."""

    @abc.abstractmethod
    def close(self) -> None:
        """Gives back what the engine holds. Closing twice does no harm."""

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def check(self, frames: Frames) -> None:
        """Refuses frames that are not what `spec` says."""
        spec = self.spec
        wanted = (spec.batch if spec.batch is not None else len(frames), spec.height, spec.width, 3)
        if frames.dtype != np.uint8 or frames.shape != wanted:
            raise EdgekdError(
                f"this engine takes uint8 frames of shape {wanted}, got {frames.dtype} {frames.shape}: "
                "resize them, or export with another --size or --batch"
            )


def frame_shape(manifest: Manifest) -> tuple[int | None, int, int]:
    """Batch (None where it is free), height and width of the frames that a manifest's graph takes.

    Raises:
        ArtifactError: The manifest does not say so.
    """
    try:
        batch, height, width, _ = manifest["inputs"]["frames"]["shape"]
        return (batch if isinstance(batch, int) else None), int(height), int(width)
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"the manifest does not say which frames the graph takes ({error}): export again"
        ) from error
