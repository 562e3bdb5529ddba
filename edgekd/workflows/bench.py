"""`edgekd bench`: a detector's latency, throughput and share of the device's peak."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.artifact import find_artifact
from edgekd.engines.streams import Streams
from edgekd.errors import EdgekdError
from edgekd.preprocessing import Preprocessing, in_pixels
from edgekd.progress import Progress, silent
from edgekd.signing import required_key, signed_manifest
from edgekd.workflows.calling import takes_options

if TYPE_CHECKING:
    from edgekd.data.images import Image
    from edgekd.engines import Engine
    from edgekd.profiling.memory import Memory

logger = logging.getLogger(__name__)

MOST_IMAGES = 32
GENERATED = 8


@dataclass(frozen=True)
class BenchOptions:
    """Options of `bench`.

    Attributes:
        engine: Artifact to measure, an .onnx or .engine file, or a run that was exported.
        images: Folder of images to measure on, of which the first 32 are taken; None for generated images.
        batch: Batch sizes, in images, to measure throughput at; None for the graph's own, or 1 and 4 where it takes
            any.
        duration: Seconds for each figure.
        backend: Back end that computes; None for the faster one on the CPU, measured once.
        threads: CPU threads for one inference; None for all.
        device: NVIDIA GPU, such as "cuda:1"; None for the first.
        slots: Batches in flight at once; None for the engine's own number.
        readers: Threads that resize images; None to choose from the number of cores.
        streams: Inferences that OpenVINO computes at the same time on the CPU, each on its share of the threads;
            "auto" for the number that gives the most frames a second, measured once.
        html: File for a report with charts; None for none.
        require_signature: File of the public key that must have signed the artifact; None for that of
            $EDGEKD_REQUIRE_SIGNATURE, and where that is not set for no signature.
        progress: Called as each phase begins and ends.
    """

    engine: str | Path
    images: str | Path | None = None
    batch: int | Sequence[int] | None = None
    duration: float = 10.0
    backend: str | None = None
    threads: int | None = None
    device: str | None = None
    slots: int | None = None
    readers: int | None = None
    streams: Streams = 1
    html: str | Path | None = None
    require_signature: str | Path | None = None
    progress: Progress = field(default=silent, repr=False, compare=False)


@dataclass(frozen=True)
class BenchResult:
    """What `bench` measured.

    Attributes:
        device: The machine: processor, threads, governor, `gpu`, measured peaks, their arithmetic, and memory
            bandwidth.
        engine: Back end, version, size of the input, `slots`, system, precision and SHA-256 of the artifact.
        measured: How it was measured: warm-up, frames, images, readers, and what is inside the timed region.
        latency_ms: Stage ("pre", "inference", "post", "end_to_end", on a GPU also its own) -> min, mean, median, p90,
            p95, p99, in milliseconds.
        latency_distribution: Histogram of the end-to-end latency: `edges_ms`, `counts`, `above`.
        runner_overhead: The runner's end-to-end time over that of resizing and bare inference.
        throughput_fps: Batch size -> frames per second, resizing included.
        throughput_fps_engine: Batch size -> frames per second of frames that are resized already.
        overlap: Batch size -> how many stages of the device ran at once on average; None where it reports none.
        power: Batch size -> watts, joules per frame and temperature; None where nothing measures them.
        macs: Multiply-accumulates per frame with all of its tiles, teacher and student together.
        macs_per_second: Reached by one inference after the other.
        peak_share: That over the device's measured peak, 0..1; None where the peak is not measured.
        peak_share_of: Precision of that peak, "fp32" or "int8".
        layers: The layers, the slowest first, with their floors; empty where the back end's are not timed.
        layers_batch: Frames an inference while layers were timed.
        layers_total_ms: Sum of the layers' times, in milliseconds.
        floor_ms: Sum of their floors: the least time at the measured peaks and memory bandwidth; None where one is
            unknown.
        time_over_floor: `layers_total_ms` over `floor_ms`; None where one of the two is unknown.
        paper: What the system's paper reports of its size and speed, and what differs from its set-up.
        memory: Of the host, in bytes: `engine`, what opening it and its first inference added; `process`, what the
            whole process holds then, and `peak`, the most that it held until then. None where the system does not
            report it.
    """

    device: dict[str, Any]
    engine: dict[str, Any]
    measured: dict[str, Any]
    latency_ms: dict[str, dict[str, float]]
    latency_distribution: dict[str, Any]
    runner_overhead: float
    throughput_fps: dict[str, float]
    throughput_fps_engine: dict[str, float]
    overlap: dict[str, float | None]
    power: dict[str, dict[str, Any] | None]
    macs: int
    macs_per_second: float
    peak_share: float | None
    peak_share_of: str
    layers: list[dict[str, Any]]
    layers_batch: int | None
    layers_total_ms: float | None
    floor_ms: float | None
    time_over_floor: float | None
    paper: dict[str, Any]
    memory: dict[str, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The content of `bench --json`."""
        return asdict(self)


@takes_options(BenchOptions)
def bench(options: BenchOptions) -> BenchResult:
    """Measures a detector's latency by stage, its throughput, and its share of what the device can do.

    Args: the fields of `BenchOptions`, as keywords.

    Returns:
        The figures as attributes.

    Raises:
        EdgekdError: The artifact or the images cannot be read, or the engine takes another batch.
        MachineError: The back end is not installed or failed, or Jinja2 for the report is missing.

    Example:
        `edgekd.bench("runs/part/detector_int8.onnx").latency_ms["end_to_end"]["median"]`
    """
    from edgekd.engines import open_engine
    from edgekd.profiling.bench import measure_engine
    from edgekd.profiling.memory import read_memory
    from edgekd.reports.page import require_report

    if not options.duration > 0:
        raise EdgekdError(f"duration must be a positive number of seconds, got {options.duration}")
    artifact = find_artifact(Path(options.engine))
    html = require_report(options.html, artifact)
    manifest = signed_manifest(artifact, required_key(options.require_signature))
    before = read_memory()
    with open_engine(
        artifact,
        options.backend,
        options.threads,
        options.device,
        options.slots,
        streams=options.streams,
        manifest=manifest,
    ) as engine:
        memory = _memory_of(engine, before)
        images, images_from = _images(options.images, engine.preprocessing)
        figures = {"memory": memory} | measure_engine(
            engine,
            artifact,
            manifest,
            images,
            images_from,
            _batches(options.batch, engine),
            options.duration,
            options.progress,
            options.readers,
        )
    if html is not None:
        from edgekd.reports.bench_html import write_bench_report

        write_bench_report(html, figures)
        logger.info("wrote %s", html)
    return BenchResult(**figures)


def _memory_of(engine: Engine, before: Memory | None) -> dict[str, int] | None:
    """What an engine takes of the host's memory, before images and measurements take theirs."""
    import numpy as np

    from edgekd.profiling.memory import read_memory

    spec = engine.spec
    engine.infer(np.zeros((spec.batch or engine.preprocessing.tiles, spec.height, spec.width, 3), np.uint8))
    after = read_memory()
    if before is None or after is None:
        return None
    return {"engine": after.resident - before.resident, "process": after.resident, "peak": after.peak}


def _batches(wanted: int | Sequence[int] | None, engine: Engine) -> list[int]:
    """Batch sizes to measure at.

    Raises:
        EdgekdError: The engine does not take one of them; reported before anything is measured.
    """
    from edgekd.runner.pipeline import images_per_batch

    own = None if engine.spec.batch is None else images_per_batch(engine)
    if wanted is None:
        return [own] if own else [1, 4]
    sizes = [wanted] if isinstance(wanted, int) else list(wanted)
    for size in sizes:
        if size < 1:
            raise EdgekdError(f"the batch size must be a positive integer, got {size}")
        if own is not None and size != own:
            raise EdgekdError(f"this engine takes batches of {own}, got {size}: export with --batch {size}")
    return sizes


def _images(folder: str | Path | None, preprocessing: Preprocessing) -> tuple[list[Image], str]:
    """Images to measure on, and what they are, for the record."""
    view = preprocessing.view
    if folder is None and view.align is not None:  # Generated ones would not match the reference.
        from edgekd.data.alignment import reference_image

        assert view.frame is not None
        image = reference_image(view.align, *view.frame)
        return [image], f"the reference of the alignment, enlarged to {in_pixels(view.frame)}"
    if folder is None:
        from edgekd.data.generated_images import generated_frames

        rows, columns = view.tiles
        size = view.frame or (preprocessing.height * rows, preprocessing.width * columns)
        return list(generated_frames(GENERATED, size)), f"{GENERATED} generated, of {in_pixels(size)}"
    from edgekd.data.images import list_images, read_image

    folder = Path(folder)
    paths = list_images(folder)[:MOST_IMAGES]
    return [read_image(path, preprocessing.bit_depth) for path in paths], f"{len(paths)} of {folder.name}"
