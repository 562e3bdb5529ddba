"""The last scores that a detector gave on the line, and what people found its parts to be."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

from edgekd.verdicts.log_reading import LogReader

MOST = 1000
MOST_LOOKED_AT = 500_000  # Rows: those of a detector that judged long ago are not searched for a minute.
QUERY = """
SELECT verdict.id, score, verdict, recipe_session.recipe, recipe_session.revision, verdict.time_ms,
    (SELECT label FROM review WHERE verdict_id = verdict.id ORDER BY review.id DESC LIMIT 1),
    EXISTS (SELECT 1 FROM image WHERE verdict_id = verdict.id AND kind = 'original' AND removed_ms IS NULL)
FROM verdict JOIN result ON result.id = verdict.id JOIN recipe_session ON recipe_session.id = verdict.session_id
WHERE verdict.session_id IN (SELECT id FROM session WHERE artifact_sha256 = ?)
    AND verdict.id > (SELECT coalesce(max(id), 0) FROM verdict) - ?
    AND score IS NOT NULL AND verdict != 'ERROR' AND NOT self_test
ORDER BY verdict.id DESC LIMIT ?
"""


class RecordedScore(NamedTuple):
    """A part that a detector judged.

    Attributes:
        result_id: By which its images are found.
        score: Raw.
        verdict: OK or NG, as it was published.
        recipe, revision: That judged.
        time_utc_ms: When.
        review: "good" or "bad", the last that somebody found it to be; None where nobody looked.
        image: Whether its image is kept.
    """

    result_id: int
    score: float
    verdict: str
    recipe: str
    revision: int
    time_utc_ms: int
    review: str | None
    image: bool


def recorded_scores(record: Path, artifact_sha256: str, most: int = MOST) -> list[RecordedScore]:
    """The last parts that a detector judged, by whatever recipe, the newest first.

    Scores of one detector are comparable whatever the threshold was; parts of self-tests and ERRORs are left out.

    Args:
        record: The database.
        artifact_sha256: Hash of the detector's file.
        most: Parts.

    Raises:
        EdgekdError: The record cannot be read.
    """

    def read(connection: sqlite3.Connection) -> list[RecordedScore]:
        rows = connection.execute(QUERY, (artifact_sha256, MOST_LOOKED_AT, most))
        return [RecordedScore(*row)._replace(image=bool(row[-1])) for row in rows]

    with LogReader(record) as log:
        return log.read(read)
