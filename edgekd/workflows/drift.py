"""Compares a run's artifacts with the network that was trained, on the same test images, on every CPU back end."""

from __future__ import annotations

import functools
import logging
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.artifact import Manifest, read_manifest, require_current, write_manifest
from edgekd.errors import EdgekdError
from edgekd.precisions import PRECISIONS
from edgekd.preprocessing import Size
from edgekd.progress import Progress, silent
from edgekd.run_folder import DETECTOR_FILE, artifact_name
from edgekd.workflows.calling import takes_options

if TYPE_CHECKING:
    from edgekd.engines import Frames
    from edgekd.quantization.drift_report import Row

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DriftOptions:
    """Options of `drift`.

    Attributes:
        run: Folder of a run whose artifacts were exported.
        data: Category to compare on; docs/datasets.md lists the layouts.
        progress: Called while it works.
    """

    run: str | Path
    data: str | Path
    progress: Progress = field(default=silent, repr=False, compare=False)


@dataclass(frozen=True)
class DriftResult:
    """How far each artifact is from the network in torch.

    Attributes:
        system: Such as "hkt".
        iterations: Of the training.
        category: Its name.
        images: Test images that were compared.
        size: Height and width of a frame, in pixels.
        learned_as_int8: Whether the run was trained with INT8 rounding; then its float rows are not what was trained.
        rows: Of torch first, then of each artifact on each back end: precision, backend, noise, largest, mean,
            rank_correlation, image_auroc, pixel_auroc, threshold, verdict_flips; see
            `edgekd.quantization.drift.Drift`.
    """

    system: str
    iterations: int
    category: str
    images: int
    size: Size
    learned_as_int8: bool
    rows: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON has it."""
        return asdict(self) | {"size": list(self.size)}


@takes_options(DriftOptions)
def drift(options: DriftOptions) -> DriftResult:
    """Compares every exported precision of a run with the trained network; each manifest keeps its own rows.

    Args: see `DriftOptions`.

    Returns:
        The drift of each artifact on each back end, and its accuracy beside torch's.

    Raises:
        EdgekdError: The folder is not a run or holds no artifact, or the data is not a category.
        ArtifactError: An artifact is damaged, or was made of other weights than the run holds now.
    """
    from edgekd.data.good_images import read_placed_frames
    from edgekd.data.layouts import read_category
    from edgekd.metrics.auroc import scikit_learn_metrics
    from edgekd.quantization.drift_report import Prepared, drift_report
    from edgekd.recipe import read_recipe

    run = Path(options.run)
    recipe = read_recipe(run)
    artifacts = _artifacts(run)
    for path in artifacts:
        require_current(path, read_manifest(path), run)
    scikit_learn_metrics()  # Where it is missing, that is reported before the work.
    category = read_category(Path(options.data))
    frames, placements = read_placed_frames([test.path for test in category.test], recipe.preprocessing)
    names = [str(test.path) for test in category.test for _ in range(recipe.preprocessing.tiles)]
    rows = [_in_torch(run, artifacts, frames, options.progress)]
    for path in artifacts:
        rows += _on_engines(path, frames, names, options.progress)
    report = drift_report(rows, Prepared(recipe.preprocessing, placements), category)
    learned = recipe.quantization_aware_from is not None
    result = DriftResult(recipe.system, recipe.iterations, category.name, len(placements), recipe.size, learned, report)
    for path in artifacts:
        _record(path, result)
    if rows[0].threshold is None:
        logger.info(
            "verdicts that flip are not counted: they need the threshold of the float32 artifact (edgekd export %s)",
            shlex.quote(str(run)),
        )
    if learned:
        logger.info(
            "this run was trained with INT8 rounding: the float rows, torch's too, are not what was trained; compare "
            "the accuracy of its INT8 rows with that of a run trained in float"
        )
    return result


def _artifacts(run: Path) -> list[Path]:
    paths = [run / artifact_name(DETECTOR_FILE, precision) for precision in PRECISIONS]
    there = [path for path in paths if path.is_file()]
    if not there:
        raise EdgekdError(f"{run} holds no artifact to compare: edgekd export {shlex.quote(str(run))} --precision int8")
    return there


def _in_torch(run: Path, artifacts: list[Path], frames: Frames, progress: Progress) -> Row:
    import numpy as np
    import torch

    from edgekd.engines.cores import usable_cores
    from edgekd.graph.parity import torch_outputs
    from edgekd.quantization.drift_report import Row
    from edgekd.quantization.running import GraphOutputs
    from edgekd.training.run import load_run

    detector, _ = load_run(run)
    answers, threads = [], torch.get_num_threads()
    torch.set_num_threads(usable_cores())
    try:
        for index in range(len(frames)):
            answers.append(torch_outputs(detector, frames[index : index + 1]))
            progress("images in torch", index + 1, len(frames))
    finally:
        torch.set_num_threads(threads)
    outputs = GraphOutputs(*(np.concatenate(parts) for parts in zip(*answers, strict=True)))
    # The network itself has no threshold; that of its float graph, equal to 1e-4, stands in.
    manifest = read_manifest(artifacts[0])
    return Row("fp32", "torch", outputs, _threshold(manifest) if manifest["precision"] == "fp32" else None)


def _on_engines(path: Path, frames: Frames, names: Sequence[str], progress: Progress) -> list[Row]:
    from edgekd.engines import cpu_backends, open_engine
    from edgekd.quantization.drift_report import Row, outputs_of

    manifest = read_manifest(path)
    rows = []
    for backend in cpu_backends(manifest):
        on_frames = functools.partial(progress, f"{path.name} on {backend}", total=len(frames))
        with open_engine(path, backend) as engine:
            outputs = outputs_of(engine, frames, on_frames, names)
        rows.append(Row(manifest["precision"], backend, outputs, _threshold(manifest)))
    return rows


def _record(path: Path, result: DriftResult) -> None:
    """Keeps the rows of an artifact, and the reference's, in its manifest."""
    manifest = read_manifest(path)
    own = [row for row in result.rows if row["precision"] == manifest["precision"] and row["backend"] != "torch"]
    figures = {name: value for name, value in result.to_dict().items() if name not in ("system", "iterations")}
    write_manifest(path, manifest | {"drift": figures | {"reference": result.rows[0], "rows": own}})


def _threshold(manifest: Manifest) -> float | None:
    return manifest["threshold"]["value"] if manifest.get("threshold") else None
