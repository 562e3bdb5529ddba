"""Benchmarks systems on a whole dataset: trains, exports, evaluates and times each on each category, into one table."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edgekd.artifact import read_manifest, require_writable, write_beside, write_json
from edgekd.errors import EdgekdError, MachineError, unknown_name
from edgekd.json_files import read_object
from edgekd.precisions import PRECISIONS
from edgekd.preprocessing import Size
from edgekd.progress import Progress, prefixed, silent
from edgekd.recipe import Preset, Schedule
from edgekd.run_folder import BENCH_SUFFIX, DETECTOR_FILE, EVALUATION_SUFFIX, STUDENT_FILE, artifact_name
from edgekd.workflows.bench import bench
from edgekd.workflows.benchmark_runs import BenchmarkRun, planned_runs
from edgekd.workflows.calling import takes_options
from edgekd.workflows.evaluate import evaluate
from edgekd.workflows.finishing import finish_export, finish_training, is_current
from edgekd.workflows.ray_tasks import check_address, open_workers

if TYPE_CHECKING:
    import polars as pl

TABLE_FILE, MARKDOWN_FILE = "benchmark.json", "benchmark.md"

Teachers = str | Path | Sequence[str | Path]
Done = TypeVar("Done")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    """Options of `benchmark`. Those of the training that are None are as the preset has them; of a run that exists, as
    it has them.

    Attributes:
        systems: One or several of "hkt", "hkt_plus", "mhkd", "pfadseg", "dskd" and "mthf".
        data: A dataset, or one category of it.
        out: Folder of the runs, their reports and the table. What is finished in it is not done again.
        categories: Names of the categories to take; None for all.
        precision: One or several of "fp32", "fp16", "int8" and "int8_fp16" to export, evaluate and time.
        duration: Seconds for each timing.
        minutes: Time that each training may take: size and iterations are fitted to it. None for 10, unless
            `iterations` are given.
        iterations: Optimizer steps of all stages together, in place of a time.
        preset: "timed" for what was measured to be best within minutes, "paper" for the papers' own trainings; None for
            "timed".
        size: Of the images, in pixels: a side, or height and width, such as "128x320" or (128, 320). None for the side
            that suits the time, for 256 where there is none.
        batch: Images a step.
        learning_rate: Learning rate of the first stage.
        schedule: Learning-rate schedule.
        seed: Of the initial weights, the order of images and the choice of those held out; None for 0.
        teacher: Teachers of all systems, by name or file; or by system, such as {"hkt": "pdn_small"}. None for each
            system's default.
        textures: Folder of images that synthetic anomalies take their texture from, for the systems that learn from
            such; None for noise.
        augment: How training images are changed at random: "flip_horizontal", "flip_vertical", "symmetries", "turn" or
            "shift". None for each system's own.
        bit_depth: Bits that images of 16 bits use, 9..16; None for 8-bit images.
        settings: Settings where they differ from the papers', such as {"cbam": False}; each system must have them.
        quantization_aware: Whether to train with INT8 arithmetic (hkt, hkt_plus).
        device: What trains: "auto" for a GPU where there is one, "cpu", "cuda" or "cuda:1".
        ray: Ray that runs the trainings side by side: "local" for this machine, "auto" for the cluster that it belongs
            to, or a cluster's "HOST:PORT"; `out` must be on storage that all of its machines see. None for one after
            the other, without Ray.
        progress: Called while it works.
    """

    systems: str | Sequence[str] = field(kw_only=False)
    data: str | Path
    out: str | Path
    categories: Sequence[str] | None = None
    precision: str | Sequence[str] = ("fp32", "int8")
    duration: float = 5.0
    minutes: float | None = None
    iterations: int | None = None
    preset: Preset | None = None
    size: int | str | Size | None = None
    batch: int | None = None
    learning_rate: float | None = None
    schedule: Schedule | None = None
    seed: int | None = None
    teacher: Teachers | Mapping[str, Teachers] | None = None
    textures: str | Path | None = None
    augment: Sequence[str] | None = None
    bit_depth: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    quantization_aware: bool = False
    device: str = "auto"
    ray: str | None = None
    progress: Progress = field(default=silent, repr=False, compare=False)

    @property
    def precisions(self) -> list[str]:
        """The precisions, each once."""
        return list(dict.fromkeys([self.precision] if isinstance(self.precision, str) else self.precision))


@dataclass(frozen=True)
class BenchmarkResult:
    """What `benchmark` measured.

    Attributes:
        out: The folder with runs, reports and the table.
        rows: The table's: one for each category, system and precision, then the means over the categories. Of each
            `category`, `system`, `precision`, `size`, `iterations`, the metrics (0..1), the paper's image AUROC,
            `missed_defects` and `false_rejects` ("1 of 40"), `latency_ms`, `throughput_fps`, `peak_share`, `backend`.
            One that failed has its first three alone, and why it failed as its `error`.
    """

    out: Path
    rows: list[dict[str, Any]]

    @property
    def table(self) -> pl.DataFrame:
        """The rows as a polars frame."""
        from edgekd.reports.benchmark_table import as_frame

        return as_frame(self.rows)

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The rows that hold an error in place of figures."""
        return [row for row in self.rows if row.get("error")]

    def to_dict(self) -> dict[str, Any]:
        """`out` as text, and `rows`, which are what `edgekd benchmark --json` writes."""
        return {"out": str(self.out), "rows": self.rows}


@takes_options(BenchmarkOptions)
def benchmark(options: BenchmarkOptions) -> BenchmarkResult:
    """Trains, exports, evaluates and times systems on each category of a dataset, into one table.

    The table is written after each run, with Ray at the end. The same call continues where an earlier one was
    interrupted: what is finished in `out` is not done again. A training or an export that fails is a row with its
    error, and the others go on; the same call tries it again.

    Args: the fields of `BenchmarkOptions`, as keywords.

    Returns:
        The table.

    Raises:
        EdgekdError: A name, a category or an option does not suit, or a run in `out` was trained with other options;
            nothing was trained.
        MachineError: This machine lacks the device, a package or space on the disk.
        KeyboardInterrupt: Passed on, after saving.
    """
    _check(options)
    runs = planned_runs(options)
    try:
        return BenchmarkResult(Path(options.out), _measure_all(options, runs))
    except KeyboardInterrupt:
        logger.info("what is finished is kept; the same command goes on from here")
        raise


def _check(options: BenchmarkOptions) -> None:
    """Refuses, before hours of training, what could not be done or written afterwards."""
    from edgekd.metrics.auroc import scikit_learn_metrics

    for name in options.precisions:
        if name not in PRECISIONS:
            raise unknown_name("precision", name, PRECISIONS)
    if not options.duration > 0:
        raise EdgekdError(f"duration must be a positive number of seconds, got {options.duration}")
    scikit_learn_metrics()  # Where it is missing, that is reported before the work.
    check_address(options.ray)
    for file in (TABLE_FILE, MARKDOWN_FILE):
        require_writable(Path(options.out) / file)


def _measure_all(options: BenchmarkOptions, runs: Sequence[BenchmarkRun]) -> list[dict[str, Any]]:
    """Does what is not done yet, and writes the table after each run."""
    from edgekd.reports.benchmark_table import as_markdown, benchmark_row, failed_row, with_means

    out = Path(options.out)
    rows: dict[int, list[dict[str, Any]]] = {}
    table: list[dict[str, Any]] = []
    tasks = [(run, options.precisions) for run in runs]
    with open_workers(options.ray, options.device) as workers:
        finished = workers.run(_finish, tasks, options.progress)
        # What is timed while others train here would be timed wrongly.
        for index, evaluations in list(finished) if workers.with_ray else finished:
            run = runs[index]
            progress = prefixed(run.name, options.progress)
            rows[index] = [
                failed_row(run.category.resolve().name, run.training.system, precision, evaluation)
                if isinstance(evaluation, str)
                else benchmark_row(evaluation, _timing(run, _artifact(run, precision), options.duration, progress))
                for precision, evaluation in zip(options.precisions, evaluations, strict=True)
            ]
            table = with_means([row for place in sorted(rows) for row in rows[place]])
            write_json(out / TABLE_FILE, table)
            with write_beside(out / MARKDOWN_FILE) as part:
                part.write_text(as_markdown(table), encoding="utf-8")
    return table


def _finish(task: tuple[BenchmarkRun, Sequence[str]], progress: Progress) -> list[dict[str, Any] | str]:
    """Trains, exports and evaluates a run, as far as that is not done.

    Returns:
        Its evaluation in each precision, or why there is none.
    """
    run, precisions = task
    progress = prefixed(run.name, progress)
    if not (run.folder / STUDENT_FILE).exists():
        run.log("training")
        failure = _attempt(run, "training", lambda: finish_training(run.training, progress))
        if failure is not None:
            return [failure] * len(precisions)
    return [_attempt(run, each, partial(_exported, run, each, progress)) for each in precisions]


def _attempt(run: BenchmarkRun, what: str, work: Callable[[], Done]) -> Done | str:
    """What some work gives, or why it failed. What the machine lacks ends it all: the others would fail too."""
    try:
        return work()
    except MachineError:
        raise
    except EdgekdError as error:
        logger.warning("%s: %s failed: %s", run.name, what, error)
        return str(error)


def _exported(run: BenchmarkRun, precision: str, progress: Progress) -> dict[str, Any]:
    if not is_current(_artifact(run, precision), run.folder):
        run.log(f"exporting in {precision}")
    return _evaluation(run, finish_export(run.folder, precision, progress), progress)


def _artifact(run: BenchmarkRun, precision: str) -> Path:
    return run.folder / artifact_name(DETECTOR_FILE, precision)


def _evaluation(run: BenchmarkRun, artifact: Path, progress: Progress) -> dict[str, Any]:
    """What `evaluate` finds; what it found before, if that was the same artifact."""
    file, manifest = artifact.with_suffix(EVALUATION_SUFFIX), read_manifest(artifact)
    if not file.exists() or read_object(file).get("sha256") != manifest["sha256"]:
        run.log(f"evaluating {manifest['precision']}")
        page = artifact.with_suffix(".html")
        write_json(file, evaluate(artifact, data=run.category, html=page, progress=progress).to_dict())
    return read_object(file)


def _timing(run: BenchmarkRun, artifact: Path, seconds: float, progress: Progress) -> dict[str, Any]:
    """What `bench` finds; what it found before, if that was the same artifact."""
    from edgekd.data.layouts import read_category

    file, manifest = artifact.with_suffix(BENCH_SUFFIX), read_manifest(artifact)
    if not file.exists() or _engine(file).get("sha256") != manifest["sha256"]:
        run.log(f"timing {manifest['precision']}")
        images = read_category(run.category).test[0].path.parent
        write_json(file, bench(artifact, images=images, duration=seconds, progress=progress).to_dict())
    return read_object(file)


def _engine(file: Path) -> dict[str, Any]:
    """The engine that a file of figures is of."""
    engine = read_object(file).get("engine")
    return engine if isinstance(engine, dict) else {}
