"""Another limit of the table becomes the detector's threshold."""

from __future__ import annotations

import edgekd
from edgekd.station.page.teaching.project_files import TrainingFiles
from edgekd.station.page.teaching.reporting import Report


def set_threshold(training: TrainingFiles, false_reject_rate: float, report: Report) -> None:
    """Chooses a threshold for another share of false rejects, and writes it into the detector's manifest.

    Args:
        training: Whose detector.
        false_reject_rate: Share of good parts that may be rejected, 0..0.5.
        report: Is told how far it is.
    """
    with report.step("threshold") as step:
        result = edgekd.threshold(
            training.artifact, false_reject_rate=false_reject_rate, write=True, progress=report.progress
        )
        step.text = result.promise
