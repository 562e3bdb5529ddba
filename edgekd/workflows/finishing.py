"""Finishing a run: what is there already is not done again."""

from __future__ import annotations

from pathlib import Path

from edgekd.artifact import read_manifest, require_current
from edgekd.errors import ArtifactError
from edgekd.progress import Progress
from edgekd.run_folder import DETECTOR_FILE, RECIPE_FILE, STUDENT_FILE, artifact_name
from edgekd.workflows.export import export
from edgekd.workflows.train import TrainOptions, train


def finish_training(training: TrainOptions, progress: Progress) -> None:
    """Trains a run, from its last checkpoint where it was interrupted.

    Args:
        training: Of the run.
        progress: Called while it works.
    """
    run = Path(training.run)
    if (run / STUDENT_FILE).exists():
        return
    if (run / RECIPE_FILE).exists():
        train(training.system, run=run, resume=True, device=training.device, progress=progress)
    else:
        train(**vars(training) | {"progress": progress})


def finish_export(run: Path, precision: str, progress: Progress) -> Path:
    """The run's artifact in a precision, exported unless that of the run's weights is there.

    Args:
        run: Folder of a trained run.
        precision: One of edgekd.precisions.
        progress: Called while it works.
    """
    artifact = run / artifact_name(DETECTOR_FILE, precision)
    if not is_current(artifact, run):
        export(run, precision=precision, progress=progress)
    return artifact


def is_current(artifact: Path, run: Path) -> bool:
    """Whether an artifact is there, and is of the weights that its run holds now."""
    try:
        require_current(artifact, read_manifest(artifact), run)
    except ArtifactError:
        return False
    return True
