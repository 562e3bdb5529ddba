"""The whole way on real images: solar cells of the package elpv-dataset, in minutes on two cores."""

from __future__ import annotations

import logging
import shlex
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekd.artifact import write_json
from edgekd.progress import Progress, silent
from edgekd.run_folder import RECIPE_FILE, STUDENT_FILE
from edgekd.workflows.bench import BenchResult, bench
from edgekd.workflows.calling import takes_options
from edgekd.workflows.evaluate import EvaluateResult, evaluate
from edgekd.workflows.export import export
from edgekd.workflows.train import train

SYSTEM, SIZE = "hkt", 128
ITERATIONS, SHUFFLE_SEED = 240, 0
SECONDS = 5.0  # For each timing.

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DemoOptions:
    """Options of `demo`.

    Attributes:
        out: Folder of the images, the run and the report. A run in it that is trained already is not trained again.
        shuffle: Whether to mix the cells of all modules, which is harder: modules differ in ways that are no defects.
        iterations: Optimizer steps of the training.
        duration: Seconds for each timing.
        progress: Called while it works.
    """

    out: str | Path = "demo"
    shuffle: bool = False
    iterations: int = ITERATIONS
    duration: float = SECONDS
    progress: Progress = field(default=silent, repr=False, compare=False)


@dataclass(frozen=True)
class DemoResult:
    """What `demo` made and measured.

    Attributes:
        data: The category of solar cells.
        run: The run folder, with the detector.
        report: HTML report with heat maps.
        evaluation: The detector's accuracy.
        bench: Its speed.
        seconds: That all of it took.
    """

    data: Path
    run: Path
    report: Path
    evaluation: EvaluateResult
    bench: BenchResult
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """What `edgekd demo --json` writes; `evaluation` and `bench` are the JSON of these commands."""
        return {
            "data": str(self.data),
            "run": str(self.run),
            "report": str(self.report),
            "evaluation": self.evaluation.to_dict(),
            "bench": self.bench.to_dict(),
            "seconds": self.seconds,
        }


@takes_options(DemoOptions)
def demo(options: DemoOptions) -> DemoResult:
    """Trains, exports, times and evaluates HKT on images of solar cells, as anyone would on images of their own parts.

    Writes evaluation.json, bench.json and report.html into the folder, and logs each step as the command that does it.

    Args: the fields of `DemoOptions`, as keywords.

    Returns:
        What was measured, and where the report is.

    Raises:
        EdgekdError: The folder holds other images.
        MachineError: The package elpv-dataset, or one that training needs, is not installed.
        KeyboardInterrupt: Passed on, after saving; the same call continues.
    """
    from edgekd.data.elpv import write_category

    start = time.monotonic()
    out = Path(options.out)
    data, run, report = out / "solar_cells", out / "run", out / "report.html"
    logger.info("copying images of solar cells to %s: good ones to train on, defective ones only to test", data)
    write_category(data, SHUFFLE_SEED if options.shuffle else None)
    _train(run, data, options)
    _log_command("export", run)
    artifact = export(run, progress=options.progress).artifact
    images, seconds = data / "test", options.duration
    _log_command("bench", "--engine", artifact, "--images", images, "--duration", f"{seconds:g}")
    timing = bench(artifact, images=images, duration=seconds, progress=options.progress)
    write_json(out / "bench.json", timing.to_dict())
    _log_command("evaluate", "--engine", run, "--data", data, "--html", report)
    evaluation = evaluate(run, data=data, html=report, progress=options.progress)
    write_json(out / "evaluation.json", evaluation.to_dict())
    return DemoResult(data, run, report, evaluation, timing, time.monotonic() - start)


def _train(run: Path, data: Path, options: DemoOptions) -> None:
    if (run / STUDENT_FILE).exists():
        logger.info("%s is trained already; delete %s to start anew", run, run.parent)
        return
    words: list[object] = ["train", SYSTEM, "--run", run]
    if (run / RECIPE_FILE).exists():
        _log_command(*words, "--resume")
        train(SYSTEM, run=run, resume=True, progress=options.progress)
        return
    _log_command(*words, "--data", data, "--size", SIZE, "--iterations", options.iterations)
    train(SYSTEM, data=data, run=run, size=SIZE, iterations=options.iterations, progress=options.progress)


def _log_command(*words: object) -> None:
    """Logs a step as the command that does it, to be pasted."""
    logger.info("edgekd %s", shlex.join(map(str, words)))
