"""Closes what a crash or a power cut left open, so that no part is without an answer."""

from __future__ import annotations

from typing import Any

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.parts import Outcome, Part
from edgekd.station.record.record import add_answer, add_delivery, set_meta
from edgekd.verdicts.log_file import LogFile

NOT_JUDGED = "the station ended before this part was judged"
CLOSED_UP_TO = "closed_up_to"  # The name of what `meta` holds of it: all triggers up to it have their answers.
LAST_ANSWERS = 100  # Are looked at; no more than one waits to be acknowledged, and a few come late.
OPEN = """SELECT acquisition.id, acquisition.session_id, part, serial, lot, source, triggered_ms,
        station, job, recipe, revision, digest
    FROM acquisition JOIN recipe_session ON recipe_session.id = acquisition.session_id
    WHERE acquisition.id > ? AND NOT EXISTS (SELECT 1 FROM result WHERE acquisition_id = acquisition.id)
    ORDER BY acquisition.id"""
UNREAD = """SELECT id FROM result WHERE id > (SELECT max(id) FROM result) - ?
    AND NOT EXISTS (SELECT 1 FROM delivery WHERE verdict_id = result.id) ORDER BY id"""


def note_answered(log: LogFile) -> None:
    """Notes up to which trigger all have their answers: a start looks at those after it.

    Args:
        log: The record.
    """

    def note() -> None:
        after = _closed_up_to(log)
        query = f"SELECT min(id) FROM ({OPEN})"
        first_open = log.execute(query, (after,)).fetchone()[0]
        last = log.execute("SELECT coalesce(max(id), 0) FROM acquisition").fetchone()[0]
        set_meta(log, CLOSED_UP_TO, str(last if first_open is None else first_open - 1))

    log.atomically(note)


def close_open_parts(log: LogFile) -> tuple[int, int]:
    """Makes an ERROR of each trigger without an answer, and notes which answers nobody acknowledged.

    Args:
        log: The record, within a transaction.

    Returns:
        How many triggers and how many answers, of those before.
    """
    triggers = log.execute(OPEN, (_closed_up_to(log),)).fetchall()
    unread = log.execute(UNREAD, (LAST_ANSWERS,)).fetchall()
    last = int(log.execute("SELECT coalesce(max(id), 0) FROM verdict").fetchone()[0])
    for number, trigger in enumerate(triggers, last + 1):
        add_answer(log, _error(log, number, trigger), trigger[1])
    added = range(last + 1, last + 1 + len(triggers))
    for result_id in (*(answer[0] for answer in unread), *added):
        add_delivery(log, result_id, "unread")
    newest = log.execute("SELECT coalesce(max(id), 0) FROM acquisition").fetchone()[0]
    set_meta(log, CLOSED_UP_TO, str(newest))
    return len(triggers), len(unread)


def _closed_up_to(log: LogFile) -> int:
    row = log.execute("SELECT value FROM meta WHERE name = ?", (CLOSED_UP_TO,)).fetchone()
    return 0 if row is None else int(row[0])


def _error(log: LogFile, result_id: int, trigger: tuple[Any, ...]) -> Outcome:
    acquisition_id, _, part, serial, lot, source, triggered_ms, station, job, recipe, revision, digest = trigger
    now = log.clock.now_ms()
    return Outcome(
        result_id=result_id,
        acquisition_id=acquisition_id,
        station=station,
        part=Part(part, serial, lot),
        job=job,
        recipe_id=recipe,
        revision=revision,
        recipe_digest=digest,
        verdict=Verdict.ERROR,
        error=ErrorCode.SYSTEM,
        error_text=NOT_JUDGED,
        inspected=None,
        source=source,
        triggered_utc_ms=triggered_ms,
        published_utc_ms=now,
        total_ms=float(max(0, now - triggered_ms)),
    )
