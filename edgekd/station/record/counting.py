"""A station's counters, from its answers on record."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.snapshot import Counters
from edgekd.verdicts.log_file import LogFile

MISSED = (ErrorCode.TRIGGER_NOT_READY, ErrorCode.TRIGGER_DISABLED, ErrorCode.OVERRUN)
# Of a station after an id: answers that were published, those of self-tests left out.
ANSWERS = """SELECT verdict.verdict, result.error_code FROM verdict
    JOIN result ON result.id = verdict.id
    JOIN recipe_session ON recipe_session.id = verdict.session_id
    WHERE verdict.id > ? AND recipe_session.station = ? AND NOT result.self_test
        AND NOT EXISTS (SELECT 1 FROM delivery WHERE verdict_id = verdict.id AND how = 'late')
    ORDER BY verdict.id"""
SAVE = """INSERT INTO counter (station, since_ms, upto_id, counts) VALUES (?, ?, ?, ?)
    ON CONFLICT (station) DO UPDATE SET since_ms = excluded.since_ms, upto_id = excluded.upto_id,
        counts = excluded.counts"""
COUNTED = ("ok", "ng", "error", "missed", "ng_in_a_row", "errors_in_a_row")


def count(counters: Counters, answers: Iterable[tuple[str, int]]) -> Counters:
    """Counts answers on.

    Args:
        counters: Of before.
        answers: Verdict and error code of each.
    """
    totals = {Verdict.OK.value: counters.ok, Verdict.NG.value: counters.ng, Verdict.ERROR.value: counters.error}
    missed, ng_in_a_row, errors_in_a_row = counters.missed, counters.ng_in_a_row, counters.errors_in_a_row
    for verdict, code in answers:
        totals[verdict] += 1
        if code in MISSED:  # A trigger that was not taken neither breaks a row nor makes one.
            missed += 1
            continue
        ng_in_a_row = ng_in_a_row + 1 if verdict == Verdict.NG.value else 0
        errors_in_a_row = errors_in_a_row + 1 if verdict == Verdict.ERROR.value else 0
    ok, ng, error = totals.values()
    return Counters(ok, ng, error, missed, ng_in_a_row, errors_in_a_row, counters.since_utc_ms)


def counters_of(log: LogFile, station: str) -> Counters:
    """A station's counters since their reset."""
    row = log.execute("SELECT since_ms, upto_id, counts FROM counter WHERE station = ?", (station,)).fetchone()
    since_ms, upto_id, saved = row or (0, 0, "{}")
    return count(Counters(**json.loads(saved), since_utc_ms=since_ms), log.execute(ANSWERS, (upto_id, station)))


def reset(log: LogFile, station: str, since_ms: int) -> None:
    """Counts from here."""
    log.insert(SAVE, (station, since_ms, _last_id(log), "{}"))


def save_all(log: LogFile) -> None:
    """Saves the counters of all stations, so that a later start has few answers to count."""
    last = _last_id(log)
    stations = [row[0] for row in log.execute("SELECT DISTINCT station FROM recipe_session")]

    def save() -> None:
        for station in stations:
            counters = asdict(counters_of(log, station))
            counts = json.dumps({name: counters[name] for name in COUNTED})
            log.insert(SAVE, (station, counters["since_utc_ms"], last, counts))

    log.atomically(save)


def _last_id(log: LogFile) -> int:
    return int(log.execute("SELECT coalesce(max(id), 0) FROM verdict").fetchone()[0])
