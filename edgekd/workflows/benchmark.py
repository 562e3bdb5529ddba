"""Benchmarks systems on a whole dataset: trains, exports, evaluates and times each on each category, into one table."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.artifact import read_json, read_manifest, require_current, require_writable, write_beside, write_json
from edgekd.errors import ArtifactError, EdgekdError, unknown_name
from edgekd.precisions import PRECISIONS
from edgekd.progress import Progress, silent
from edgekd.recipe import Preset, Schedule
from edgekd.run_folder import (
    BENCH_SUFFIX,
    DETECTOR_FILE,
    EVALUATION_SUFFIX,
    RECIPE_FILE,
    STUDENT_FILE,
    artifact_name,
)
from edgekd.workflows.bench import bench
from edgekd.workflows.benchmark_runs import BenchmarkRun, planned_runs
from edgekd.workflows.calling import takes_options
from edgekd.workflows.evaluate import evaluate
from edgekd.workflows.export import export
from edgekd.workflows.train import train

if TYPE_CHECKING:
    import polars as pl

TABLE_FILE, MARKDOWN_FILE = "benchmark.json", "benchmark.md"

Teachers = str | Path | Sequence[str | Path]

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
        iterations: Optimizer steps of all stages together, in place of a time.
        preset: "timed" for what was measured to be best within minutes, "paper" for each paper's own training; None for
            "timed".
        size: Side of the images, in pixels; None for 256.
        batch: Images a step.
        learning_rate: Learning rate of the first stage.
        schedule: Learning-rate schedule.
        seed: Of the initial weights, the order of images and the choice of those held out; None for 0.
        teacher: Teachers of all systems, by name or file; or by system, such as {"hkt": "pdn_small"}. None for each
            system's default.
        textures: Folder of images that synthetic anomalies take their texture from, for the systems that learn from
            such; None for noise.
        settings: Settings where they differ from the papers', such as {"cbam": False}; each system must have them.
        quantization_aware: Whether to train with INT8 arithmetic (hkt, hkt_plus).
        device: What trains: "auto" for a GPU where there is one, "cpu", "cuda" or "cuda:1".
        progress: Called while it works.
    """

    systems: str | Sequence[str] = field(kw_only=False)
    data: str | Path
    out: str | Path
    categories: Sequence[str] | None = None
    precision: str | Sequence[str] = ("fp32", "int8")
    duration: float = 5.0
    iterations: int | None = None
    preset: Preset | None = None
    size: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    schedule: Schedule | None = None
    seed: int | None = None
    teacher: Teachers | Mapping[str, Teachers] | None = None
    textures: str | Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    quantization_aware: bool = False
    device: str = "auto"
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
    """

    out: Path
    rows: list[dict[str, Any]]

    @property
    def table(self) -> pl.DataFrame:
        """The rows as a polars frame."""
        from edgekd.reports.benchmark_table import as_frame

        return as_frame(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """`out` as text, and `rows`, which are what `edgekd benchmark --json` writes."""
        return {"out": str(self.out), "rows": self.rows}


@takes_options(BenchmarkOptions)
def benchmark(options: BenchmarkOptions) -> BenchmarkResult:
    """Trains, exports, evaluates and times systems on each category of a dataset, into one table.

    The table is written after each of its rows. The same call continues where an earlier one was interrupted: what is
    finished in `out` is not done again.

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
    for file in (TABLE_FILE, MARKDOWN_FILE):
        require_writable(Path(options.out) / file)


def _measure_all(options: BenchmarkOptions, runs: Sequence[BenchmarkRun]) -> list[dict[str, Any]]:
    """Does what is not done yet, and writes the table after each row of it."""
    from edgekd.reports.benchmark_table import as_markdown, benchmark_row, with_means

    out = Path(options.out)
    rows: list[dict[str, Any]] = []
    table = rows
    for run in runs:
        progress = _of_run(run, options.progress)
        _train(run, progress)
        for precision in options.precisions:
            artifact = _export(run, precision, progress)
            evaluation = _evaluation(run, artifact, progress)
            rows.append(benchmark_row(evaluation, _timing(run, artifact, options.duration, progress)))
            table = with_means(rows)
            write_json(out / TABLE_FILE, table)
            with write_beside(out / MARKDOWN_FILE) as part:
                part.write_text(as_markdown(table), encoding="utf-8")
    return table


def _of_run(run: BenchmarkRun, progress: Progress) -> Progress:
    """A progress callback whose steps name the run: each run counts on its own."""

    def named(step: str, done: int, total: int | None = None, loss: float | None = None) -> None:
        progress(f"{run.name}: {step}", done, total, loss)

    return named


def _train(run: BenchmarkRun, progress: Progress) -> None:
    if (run.folder / STUDENT_FILE).exists():
        return
    run.log("training")
    if (run.folder / RECIPE_FILE).exists():
        train(run.training.system, run=run.folder, resume=True, device=run.training.device, progress=progress)
    else:
        train(**vars(run.training) | {"progress": progress})


def _export(run: BenchmarkRun, precision: str, progress: Progress) -> Path:
    """The run's artifact in a precision, exported unless it is there already."""
    artifact = run.folder / artifact_name(DETECTOR_FILE, precision)
    try:
        require_current(artifact, read_manifest(artifact), run.folder)
    except ArtifactError:  # It is not there yet, or was made before more training.
        run.log(f"exporting in {precision}")
        export(run.folder, precision=precision, progress=progress)
    return artifact


def _evaluation(run: BenchmarkRun, artifact: Path, progress: Progress) -> dict[str, Any]:
    """What `evaluate` finds; what it found before, if that was the same artifact."""
    file, manifest = artifact.with_suffix(EVALUATION_SUFFIX), read_manifest(artifact)
    if not file.exists() or read_json(file).get("sha256") != manifest["sha256"]:
        run.log(f"evaluating {manifest['precision']}")
        page = artifact.with_suffix(".html")
        write_json(file, evaluate(artifact, data=run.category, html=page, progress=progress).to_dict())
    return dict(read_json(file))


def _timing(run: BenchmarkRun, artifact: Path, seconds: float, progress: Progress) -> dict[str, Any]:
    """What `bench` finds; what it found before, if that was the same artifact."""
    from edgekd.data.layouts import read_category

    file, manifest = artifact.with_suffix(BENCH_SUFFIX), read_manifest(artifact)
    if not file.exists() or read_json(file).get("engine", {}).get("sha256") != manifest["sha256"]:
        run.log(f"timing {manifest['precision']}")
        images = read_category(run.category).test[0].path.parent
        write_json(file, bench(artifact, images=images, duration=seconds, progress=progress).to_dict())
    return dict(read_json(file))
