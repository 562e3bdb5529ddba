"""`edgekd inspect`: verdicts for the frames of a folder, a video or a camera, with a log and images."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from edgekd import __version__, watchdog
from edgekd.artifact import Manifest, find_artifact, manifest_beside
from edgekd.engines.streams import AUTO, Streams
from edgekd.errors import EdgekdError
from edgekd.preprocessing import preprocessing_of
from edgekd.result import Verdict
from edgekd.run_folder import VERDICTS_FILE
from edgekd.runner import Answer
from edgekd.runner.inspector import Inspector, Maps
from edgekd.runner.sinks import Frames, ImageSink, Wanted
from edgekd.runner.sources import Source, open_source
from edgekd.verdicts.log import Session, VerdictLog
from edgekd.verdicts.retention import KeepImages
from edgekd.workflows.calling import takes_options

WORTH_MEASURING = 500  # Frames from which on what computes them fastest is measured, which takes seconds, once.


def ignore(answer: Answer) -> None:
    """The callback that does nothing with an answer."""


@dataclass(frozen=True)
class InspectOptions:
    """Options of `inspect`.

    Attributes:
        engine: Artifact to run, an .onnx or .engine file, or a run that was exported.
        source: Folder, image, video file, or a camera by its number.
        out: Folder for the log of verdicts, and for heat maps and originals; what is in it stays. None to write none.
        threshold: Scores above it are NG; None for the artifact's own.
        heat_maps: Frames to write heat maps for: those that are NG, all, or none.
        keep_originals: Frames whose image is kept beside the heat map: those that are NG, all, or none.
        keep_days: Heat maps and originals that are older, in days, are removed; None for no such limit.
        keep_images: How many heat maps and originals are kept at most; None for no such limit.
        keep_free: Bytes of the disk that stay free of heat maps and originals; None for no such limit.
        backend: Back end that computes; None for the faster one on the CPU, measured once.
        threads: CPU threads for one inference; None for all.
        device: NVIDIA GPU, such as "cuda:1"; None for the first.
        slots: Batches in flight at once; None for the engine's own number.
        readers: Threads that decode and resize images; None to choose from the number of cores.
        streams: Inferences that OpenVINO computes at the same time on the CPU, each on its share of the threads;
            "auto" for the number that gives the most frames a second, measured once. None for "auto" with a folder or a
            video of 500 frames or more, and for 1 with fewer and with a camera.
        ignored_checks: Names of image checks to leave out, such as "dark".
        most_errors: ERRORs in a row that end the run; 0 for no limit, None for 100 of a video or a camera and no limit
            of a folder.
        inference_limit: Seconds that an inference may take; None to derive it from the first ones.
        require_signature: File of the public key that must have signed the artifact; None for that of
            $EDGEKD_REQUIRE_SIGNATURE, and where that is not set for no signature.
        keep_frames: Whether the result lists every frame; a camera that runs for days would fill the memory.
        on_answer: Called with each answer, in the order of the frames.
    """

    engine: str | Path
    source: str | Path | int
    out: str | Path | None = None
    threshold: float | None = None
    heat_maps: Frames = "ng"
    keep_originals: Frames = "ng"
    keep_days: float | None = None
    keep_images: int | None = None
    keep_free: int | None = None
    backend: str | None = None
    threads: int | None = None
    device: str | None = None
    slots: int | None = None
    readers: int | None = None
    streams: Streams | None = None
    ignored_checks: Sequence[str] = ()
    most_errors: int | None = None
    inference_limit: float | None = None
    require_signature: str | Path | None = None
    keep_frames: bool = True
    on_answer: Callable[[Answer], None] = field(default=ignore, repr=False, compare=False)


@dataclass(frozen=True)
class InspectResult:
    """What `inspect` answered.

    Attributes:
        threshold: Scores above it are NG.
        verdicts: How many frames got each verdict.
        dropped: Frames of a camera that were dropped because the engine was busy.
        frames: `name`, `score`, `severity`, `verdict`, `error` and `regions` of each frame; empty where they were not
            kept.
        live: Whether the source was a camera.
        notices: What the monitor said of the line, a line each.
        images_not_written: Heat maps and originals that could not be written.
        images_removed: Heat maps and originals that were removed to keep to the limits.
        ignored: Files of the source that were not inspected, by the reason, such as "not an image (.txt)".
    """

    threshold: float
    verdicts: dict[str, int]
    dropped: int
    frames: list[dict[str, Any]]
    live: bool
    notices: list[str] = field(default_factory=list)
    images_not_written: int = 0
    images_removed: int = 0
    ignored: dict[str, int] = field(default_factory=dict)

    @property
    def all_ok(self) -> bool:
        """Whether no frame is NG or ERROR."""
        return self.verdicts[Verdict.OK.value] == sum(self.verdicts.values())

    def to_dict(self) -> dict[str, Any]:
        """The content of `inspect --json`."""
        content = asdict(self)
        del content["live"]
        return content


class _Record:
    """What a run writes down: verdicts into the log, then their images beside it.

    Args:
        options: The run's.
        inspector: What judges.
    """

    def __init__(self, options: InspectOptions, inspector: Inspector) -> None:
        assert options.out is not None
        manifest, artifact = inspector.manifest, inspector.artifact
        session = Session(
            source=_place(options.source),
            artifact=str(artifact),
            artifact_sha256=manifest["sha256"],
            system=manifest.get("system"),
            good_scores=_good_scores(manifest),
        )
        self._threshold = inspector.threshold
        self._log = VerdictLog(Path(options.out) / VERDICTS_FILE, session, __version__)
        keep = KeepImages(options.keep_days, options.keep_images, options.keep_free)
        try:
            self.images = ImageSink(
                self._log, inspector.limits, Wanted(options.heat_maps, options.keep_originals), keep
            )
        except BaseException:
            self._log.close()
            raise

    def write(self, answer: Answer) -> None:
        """Puts an answer on record; then it may be given."""
        row = self._log.write(answer.name, answer.result, self._threshold, answer.notices, answer.seen, answer.dropped)
        self.images.write(answer, row)

    def __enter__(self) -> _Record:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(EdgekdError):  # The disk may be full by now; the verdicts are in the log.
            self.images.close()
            self._log.event("ended", "ended" if kind is None else f"ended by {_reason(kind, error)}")
        self._log.close()


def _place(source: str | Path | int) -> str:
    """A source as it is found again from anywhere: the whole path, or a camera's number."""
    path = Path(str(source))
    return str(path.absolute()) if path.exists() else str(source)


def _good_scores(manifest: Manifest) -> dict[str, Any] | None:
    """The good images' scores as the log keeps them, with what `LineMonitor` takes from the threshold."""
    if not (good := manifest.get("good_scores")):
        return None
    return {**good, "held_out": (manifest.get("threshold") or {}).get("good_images")}


def _reason(kind: type[BaseException], error: BaseException | None) -> str:
    text = str(error)
    return f"{kind.__name__}: {text}" if text else kind.__name__


@takes_options(InspectOptions)
def inspect(options: InspectOptions) -> InspectResult:
    """Runs a detector on a folder, a video or a camera until it ends, and writes down what it answered.

    A service manager that asked for it (systemd, in $NOTIFY_SOCKET) is notified when the detector is ready, after each
    frame that was judged OK or NG, and at the end.

    Args: the fields of `InspectOptions`, as keywords.

    Returns:
        The verdicts.

    Raises:
        EdgekdError: The artifact or the source cannot be opened, or there is no threshold.
        MachineError: The back end is not installed, its device or the camera no longer answers, or too many answers in
            a row were ERROR.
    """
    artifact = find_artifact(Path(options.engine))
    source = open_source(options.source, preprocessing_of(manifest_beside(artifact)).bit_depth)
    counts: Counter[Verdict] = Counter()
    frames: list[dict[str, Any]] = []
    notices: list[str] = []
    dropped = 0
    with contextlib.ExitStack() as stack:
        inspector = stack.enter_context(_inspector(options, source))
        record = stack.enter_context(_Record(options, inspector)) if options.out is not None else None
        stack.callback(watchdog.stopping)
        watchdog.ready()
        keep_images = options.out is not None
        answers = inspector.stream(
            source, maps=_maps(options), keep_images=keep_images, most_errors=options.most_errors
        )
        for answer in answers:
            counts[answer.result.verdict] += 1
            dropped += answer.dropped
            notices += answer.notices
            if answer.result.verdict is not Verdict.ERROR:  # A line whose frames all fail is not alive.
                watchdog.alive()
            if record is not None:
                record.write(answer)
            if options.keep_frames:
                frames.append(_row(answer))
            options.on_answer(answer)
    images = record.images if record is not None else None
    return InspectResult(
        inspector.threshold,
        {verdict.value: counts[verdict] for verdict in Verdict},
        dropped,
        frames,
        source.live,
        notices,
        images.not_written if images else 0,
        images.removed if images else 0,
        dict(source.ignored),
    )


def _maps(options: InspectOptions) -> Maps:
    """The frames whose maps are needed; those of NG frames hold the regions, whatever is drawn."""
    if options.out is None:
        return "none"
    return "all" if options.heat_maps == "all" else "ng"


def _inspector(options: InspectOptions, source: Source) -> Inspector:
    many = (source.length or 0) >= WORTH_MEASURING
    return Inspector(
        options.engine,
        backend=options.backend,
        threads=options.threads,
        device=options.device,
        slots=options.slots,
        readers=options.readers,
        streams=(AUTO if many else 1) if options.streams is None else options.streams,
        threshold=options.threshold,
        ignored_checks=options.ignored_checks,
        inference_limit=options.inference_limit,
        require_signature=options.require_signature,
    )


def _row(answer: Answer) -> dict[str, Any]:
    return {"name": answer.name, **answer.result.to_dict()}
