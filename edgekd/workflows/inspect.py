"""`edgekd inspect`: verdicts for the frames of a folder, a video or a camera, with a log and heat maps."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from edgekd.artifact import find_artifact, read_manifest
from edgekd.preprocessing import preprocessing_of
from edgekd.result import AnomalyResult, Verdict
from edgekd.runner import Answer, watchdog
from edgekd.runner.inspector import Inspector, Maps
from edgekd.runner.sinks import RotatingLog, parquet_log, write_heat_map
from edgekd.runner.sources import open_source
from edgekd.verdicts.limits import Limits
from edgekd.workflows.calling import takes_options

HeatMaps = Literal["ng", "all"]


def ignore(answer: Answer) -> None:
    """The callback that does nothing with an answer."""


@dataclass(frozen=True)
class InspectOptions:
    """Options of `inspect`.

    Attributes:
        engine: Artifact to run, an .onnx or .engine file, or a run that was exported.
        source: Folder, image, video file, or a camera by its number.
        out: Folder for tables of verdicts and heat maps; None to write none.
        threshold: Scores above it are NG; None for the artifact's own.
        heat_maps: Frames to write heat maps for: those that are NG, or all.
        backend: Back end that computes; None for the faster one on the CPU, measured once.
        threads: CPU threads for one inference; None for all.
        device: NVIDIA GPU, such as "cuda:1"; None for the first.
        slots: Batches in flight at once; None for the engine's own number.
        readers: Threads that decode and resize images; None to choose from the number of cores.
        ignored_checks: Names of image checks to leave out, such as "dark".
        keep_frames: Whether the result lists every frame; a camera that runs for days would fill the memory.
        on_answer: Called with each answer, in the order of the frames.
    """

    engine: str | Path
    source: str | Path | int
    out: str | Path | None = None
    threshold: float | None = None
    heat_maps: HeatMaps = "ng"
    backend: str | None = None
    threads: int | None = None
    device: str | None = None
    slots: int | None = None
    readers: int | None = None
    ignored_checks: Sequence[str] = ()
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
    """

    threshold: float
    verdicts: dict[str, int]
    dropped: int
    frames: list[dict[str, Any]]
    live: bool
    notices: list[str] = field(default_factory=list)

    @property
    def all_ok(self) -> bool:
        """Whether no frame is NG or ERROR."""
        return self.verdicts[Verdict.OK.value] == sum(self.verdicts.values())

    def to_dict(self) -> dict[str, Any]:
        """The content of `inspect --json`."""
        content = asdict(self)
        del content["live"]
        return content


class Log(Protocol):
    """A table of verdicts."""

    def write(self, name: str, result: AnomalyResult, notices: Sequence[str] = ()) -> None:
        """Adds an answer."""


@takes_options(InspectOptions)
def inspect(options: InspectOptions) -> InspectResult:
    """Runs a detector on a folder, a video or a camera until it ends, and writes down what it answered.

    A service manager that asked for it (systemd, in $NOTIFY_SOCKET) is notified when the detector is ready, after each
    frame, and at the end.

    Args: the fields of `InspectOptions`, as keywords.

    Returns:
        The verdicts.

    Raises:
        EdgekdError: The artifact or the source cannot be opened, or there is no threshold.
        MachineError: The back end is not installed, or its device no longer answers.
    """
    artifact = find_artifact(Path(options.engine))
    source = open_source(options.source, preprocessing_of(read_manifest(artifact)).bit_depth)
    out = Path(options.out) if options.out is not None else None
    counts: Counter[Verdict] = Counter()
    frames: list[dict[str, Any]] = []
    notices: list[str] = []
    dropped = 0
    with contextlib.ExitStack() as stack:
        inspector = stack.enter_context(_inspector(options))
        log = _log(stack, out, inspector.threshold, source.live) if out is not None else None
        maps: Maps = "none" if out is None else options.heat_maps
        stack.callback(watchdog.stopping)
        watchdog.ready()
        for answer in inspector.stream(source, maps=maps, keep_images=out is not None):
            counts[answer.result.verdict] += 1
            dropped += answer.dropped
            notices += answer.notices
            watchdog.alive()
            if log is not None and out is not None:
                log.write(answer.name, answer.result, answer.notices)
                _heat_map(out, answer, inspector.limits, options.heat_maps)
            if options.keep_frames:
                frames.append(_row(answer))
            options.on_answer(answer)
    verdicts = {verdict.value: counts[verdict] for verdict in Verdict}
    return InspectResult(inspector.threshold, verdicts, dropped, frames, source.live, notices)


def _inspector(options: InspectOptions) -> Inspector:
    return Inspector(
        options.engine,
        backend=options.backend,
        threads=options.threads,
        device=options.device,
        slots=options.slots,
        readers=options.readers,
        threshold=options.threshold,
        ignored_checks=options.ignored_checks,
    )


def _log(stack: contextlib.ExitStack, out: Path, threshold: float, live: bool) -> Log:
    """One table for a source that ends, a table every ten minutes for one that does not."""
    if live:
        return stack.enter_context(RotatingLog(out / "verdicts", threshold))
    return stack.enter_context(parquet_log(out / "verdicts.parquet", threshold))


def _heat_map(out: Path, answer: Answer, limits: Limits, wanted: HeatMaps) -> None:
    if answer.result.verdict is Verdict.NG or (wanted == "all" and answer.result.verdict is Verdict.OK):
        low, high = 0.5 * limits.threshold, 2 * limits.threshold
        write_heat_map(out / "heat_maps", answer, low, high, limits.pixel_limit)


def _row(answer: Answer) -> dict[str, Any]:
    return {"name": answer.name, **answer.result.to_dict()}
