"""What operators found parts to be, as images to learn from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgekd.station.page.teaching.project import Project
from edgekd.station.record.reading import MOST, RecordReader

REVIEWED = "id < ? AND station = ? AND id IN (SELECT verdict_id FROM review WHERE time_ms >= ?)"


def reviewed_images(
    record: RecordReader, data: Path, project: Project, label: str, since_utc_ms: int
) -> Iterator[tuple[int, Path]]:
    """The recorded images of parts that people reviewed, those left out that the project has already.

    Args:
        record: Of the stations.
        data: Its folder.
        project: Which takes them; its station and its recipe's job count.
        label: "good" or "bad"; of several reviews the last one counts.
        since_utc_ms: Only what was reviewed since.

    Yields:
        The result's id and the image's file.
    """
    known = {image.result_id for image in project.images.all() if image.result_id is not None}
    before_id: float = float("inf")
    station = project.settings.station
    while page := record.newest(REVIEWED, (before_id, station, since_utc_ms), MOST):
        for recorded in page:
            outcome = recorded.outcome
            before_id = outcome.result_id
            original = next((image for image in recorded.images if image.kind == "original"), None)
            fits = bool(recorded.reviews) and recorded.reviews[-1].label == label
            if original is not None and fits and outcome.result_id not in known and outcome.job == project.settings.job:
                yield outcome.result_id, data / original.path
