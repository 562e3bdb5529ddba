"""An open detector: call it with an image, or iterate over the answers for a folder, a video or a camera."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from numpy.typing import NDArray

from edgekd.artifact import find_artifact
from edgekd.data.images import as_bgr8, read_image
from edgekd.data.view_geometry import cropped
from edgekd.engines import EVERY_MAP, NO_MAP, Engine, open_engine
from edgekd.engines.streams import Streams
from edgekd.errors import EdgekdError, ImageError, MachineError, one_line
from edgekd.result import AnomalyResult, error_result
from edgekd.runner.error_runs import end_after_errors
from edgekd.runner.pipeline import Answer, inspect_image, inspect_stream, log_failure
from edgekd.runner.sources import Source, open_source
from edgekd.signing import required_key, signed_manifest
from edgekd.verdicts.image_checks import Statistics, statistics
from edgekd.verdicts.limits import limits_of
from edgekd.verdicts.monitor import LineMonitor

Maps = Literal["all", "ng", "none"]


class Inspector:
    """A detector that is loaded and ready. Use it as a context manager, or close it; one thread uses it.

    Args:
        artifact: An .onnx or .engine file with its manifest beside it, or a run that was exported.
        backend: Back end that computes; None for the faster one on the CPU, measured once.
        threads: CPU threads for one inference; None for all.
        device: NVIDIA GPU, such as "cuda:1"; None for the first.
        slots: Batches in flight at once; None for the engine's own number.
        readers: Threads that decode and resize the images of a stream; None to choose from the number of cores.
        streams: Inferences that OpenVINO computes at the same time on the CPU, each on its share of the threads: for
            folders and videos, where frames a second count. "auto" for the number that gives the most, measured once.
        threshold: Scores above it are NG; None for the artifact's own.
        ignored_checks: Names of image checks to leave out, such as "dark".
        inference_limit: Seconds that an inference may take; later answers are ERROR. None for fifty times the slowest
            of the first ones, and at least ten seconds.
        require_signature: File of the public key that must have signed the artifact; None for that of
            $EDGEKD_REQUIRE_SIGNATURE, and where that is not set for no signature.

    Attributes:
        artifact: The file that runs.
        manifest: The artifact's.
        limits: What it judges by: the threshold, and what the manifest holds besides.
        monitor: Whether the line is still the one of the good images.

    Raises:
        ArtifactError: The artifact is missing, damaged, differs from its manifest, or lacks a valid signature.
        EdgekdError: It holds no threshold and none is given, the given one is not finite, or no back end runs it.
        MachineError: The back end is not installed, or needs a GPU that this machine lacks.

    Example:
        with Inspector("runs/part/detector_int8.onnx") as inspector:
            result = inspector(image)
            for answer in inspector.stream("line.mp4"):
                print(answer.name, answer.result.verdict, answer.result.score)
    """

    def __init__(
        self,
        artifact: str | Path,
        *,
        backend: str | None = None,
        threads: int | None = None,
        device: str | None = None,
        slots: int | None = None,
        readers: int | None = None,
        streams: Streams = 1,
        threshold: float | None = None,
        ignored_checks: Sequence[str] = (),
        inference_limit: float | None = None,
        require_signature: str | Path | None = None,
    ) -> None:
        if threshold is not None and not math.isfinite(threshold):  # Nothing would be OK, and nothing say why.
            raise EdgekdError(f"the threshold must be a finite number, got {threshold}")
        self.artifact = find_artifact(Path(artifact))
        self.manifest = signed_manifest(self.artifact, required_key(require_signature))
        self.limits = limits_of(self.manifest, threshold, ignored_checks)
        self.monitor = LineMonitor(self.manifest)
        self._readers = readers
        self._engine: Engine = open_engine(
            self.artifact, backend, threads, device, slots, inference_limit, streams=streams, manifest=self.manifest
        )

    @property
    def threshold(self) -> float:
        """Scores above it are NG."""
        return self.limits.threshold

    def __call__(self, image: NDArray[Any] | str | Path) -> AnomalyResult:
        """Inspects one image and waits for the result.

        Args:
            image: [H, W, 3] BGR, [H, W] or [H, W, 1] mono, or [H, W, 4] BGRA, of any size from 16 pixels a side; uint8,
                floating point in 0..1, or uint16 of the bit depth that the artifact states; or the path of a file.

        Returns:
            The result, with the anomaly map. Verdict ERROR where the file cannot be read or the inference failed.

        Raises:
            EdgekdError: The array has another type or shape, or the inspector is closed.
            MachineError: The engine's device no longer answers, or an inference does not end.
        """
        self._engine.require_open()
        try:
            if isinstance(image, (str, Path)):
                frame = read_image(Path(image), self._bit_depth)
            else:
                frame = as_bgr8(image, "the image", self._bit_depth)
        except ImageError as error:
            if isinstance(image, (str, Path)):
                return error_result(str(error))
            raise
        try:
            seen = statistics(cropped(frame, self._engine.preprocessing.view)) if self.limits.checks else None
            result = inspect_image(self._engine, frame, self.limits, seen=seen)
        except ImageError as error:
            return error_result(str(error))
        except Exception as error:
            if self._engine.broken is not None:
                raise MachineError(f"{self._engine.broken}; open the artifact again") from error
            return error_result(f"the engine failed: {one_line(error)}")
        self._watch(result, seen, Path(image).name if isinstance(image, (str, Path)) else "")
        return result

    def stream(
        self,
        source: str | Path | int | Source,
        *,
        maps: Maps = "ng",
        keep_images: bool = False,
        most_errors: int | None = None,
    ) -> Iterator[Answer]:
        """Inspects a stream of frames; reading, computing and answering overlap.

        A frame that cannot be read gets verdict ERROR and the stream goes on.

        Args:
            source: A folder, an image, a video file, or a camera by its number.
            maps: Frames whose answers hold the anomaly map: all, those above the threshold, or none.
            keep_images: Whether answers hold the image as it was read.
            most_errors: ERRORs in a row that end the stream; 0 for no limit, None for the source's own: 100 of a video
                or a camera, no limit of a folder.

        Returns:
            One answer a frame, in the order of the frames.

        Raises:
            EdgekdError: The source does not exist, or nothing in it can be read.
            MachineError: While iterating: the engine's device or the camera no longer answers, an inference does not
                end, or too many answers in a row were ERROR.
        """
        opened = source if isinstance(source, Source) else open_source(source, self._bit_depth)
        maps_above = {"all": EVERY_MAP, "ng": self.limits.threshold, "none": NO_MAP}[maps]
        answers = inspect_stream(
            self._engine,
            opened.frames,
            self.limits,
            maps_above,
            keep_images,
            opened.live,
            self._readers,
            frozen_after=opened.frozen_after,
        )
        most = opened.most_errors if most_errors is None else most_errors or None
        return self._watched(end_after_errors(answers, most))

    def _watched(self, answers: Iterator[Answer]) -> Iterator[Answer]:
        for answer in answers:
            notices = self._watch(answer.result, answer.seen, answer.name)
            yield answer._replace(notices=notices) if notices else answer

    def _watch(self, result: AnomalyResult, seen: Statistics | None, name: str) -> tuple[str, ...]:
        try:
            return self.monitor.add(result, seen, name)
        except Exception as error:  # What watches the line must not stop it.
            log_failure(f"the monitor failed at {name or 'an image'}", error)
            return ()

    @property
    def _bit_depth(self) -> int | None:
        return self._engine.preprocessing.bit_depth

    def close(self) -> None:
        """Releases what the engine holds. Closing twice does no harm."""
        self._engine.close()

    def __enter__(self) -> Inspector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
