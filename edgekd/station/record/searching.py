"""Finds results in a station's record by time, part, verdict, recipe and more, however many there are.

There may be millions, and most of what is asked for has no index. So the record is read backwards, a stretch at a time,
until a page is full or some time is over; the next page goes on where this one ended.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edgekd.result import Verdict
from edgekd.station.record.reading import MOST, Recorded, RecordReader

Reviewed = Literal["good", "bad", "any", "none"]
SECONDS = 1.0  # For a page.
FIRST_STRETCH, LONGEST_STRETCH = 2_000, 50_000  # Ids.
# Rows of two stations may be written in another order than their ids, a moment apart; and no row is older than the one
# before it.
SLACK_MS = 60_000
LAST_LABEL = "(SELECT label FROM review WHERE verdict_id = verdicts.id ORDER BY review.id DESC LIMIT 1)"
REVIEWED: dict[Reviewed, str] = {
    "good": f"{LAST_LABEL} = 'good'",
    "bad": f"{LAST_LABEL} = 'bad'",
    "any": f"{LAST_LABEL} IS NOT NULL",
    "none": f"{LAST_LABEL} IS NULL",
}


@dataclass(frozen=True)
class Search:
    """What is looked for; None and "" leave something open.

    Attributes:
        station: Its name.
        since_ms: From then on, UTC in milliseconds.
        until_ms: Before then, likewise.
        part: The PLC's number of the part.
        serial: How its serial number begins.
        lot: How its lot begins.
        verdict: OK, NG or ERROR.
        recipe: Name of the recipe.
        revision: Of the recipe.
        error: The error code.
        reviewed: What people found the part to be: the last review counts.
    """

    station: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    part: int | None = None
    serial: str = ""
    lot: str = ""
    verdict: Verdict | None = None
    recipe: str = ""
    revision: int | None = None
    error: int | None = None
    reviewed: Reviewed | None = None

    def condition(self) -> tuple[str, list[object]]:
        """The same in SQL, of the view `verdicts`, and its values."""
        wanted: list[tuple[str, object]] = [
            ("station = ?", self.station),
            ("time_ms >= ?", self.since_ms),
            ("time_ms < ?", self.until_ms),
            ("coalesce(part_id, '0') = ?", None if self.part is None else str(self.part)),
            ("serial GLOB ?", _begins(self.serial)),
            ("lot GLOB ?", _begins(self.lot)),
            ("verdict = ?", self.verdict and self.verdict.value),
            ("recipe = ?", self.recipe or None),
            ("revision = ?", self.revision),
            ("error_code = ?", self.error),
        ]
        named = [(text, value) for text, value in wanted if value is not None]
        texts = [text for text, _ in named] + ([REVIEWED[self.reviewed]] if self.reviewed else [])
        return " AND ".join(["error_code IS NOT NULL", *texts]), [value for _, value in named]


@dataclass(frozen=True)
class FoundResults:
    """A page of what was found.

    Attributes:
        results: The newest first; there may be more although the page is not full.
        next_before_id: Where the next page goes on; None where all was looked at.
    """

    results: tuple[Recorded, ...]
    next_before_id: int | None


def search(
    record: RecordReader, wanted: Search, count: int, before_id: int | None = None, seconds: float = SECONDS
) -> FoundResults:
    """Finds results.

    Args:
        record: Where.
        wanted: Which.
        count: Of a page, at most a thousand.
        before_id: Only older ones; None begins with the newest.
        seconds: How long to look; at least one stretch of the record is looked at.
    """
    end, count = time.monotonic() + seconds, min(count, MOST)
    condition, values = wanted.condition()
    lowest, highest = record.read(lambda log: id_range(log, wanted.since_ms, wanted.until_ms))
    found: list[Recorded] = []
    for low, high in _stretches(lowest, highest if before_id is None else min(highest, before_id)):
        more = record.newest(f"id >= ? AND id < ? AND {condition}", (low, high, *values), count - len(found))
        found.extend(more)
        if len(found) == count:
            return FoundResults(tuple(found), found[-1].outcome.result_id)
        if time.monotonic() > end and low > lowest:
            return FoundResults(tuple(found), low)
    return FoundResults(tuple(found), None)


def id_range(log: sqlite3.Connection, since_ms: int | None, until_ms: int | None) -> tuple[int, int]:
    """The ids among which all results of a time are, and some others: the first, and the one after the last.

    Args:
        log: The record.
        since_ms: From then on, UTC in milliseconds; None from the beginning.
        until_ms: Before then, likewise.
    """
    first, last = log.execute("SELECT coalesce(min(id), 1), coalesce(max(id), 0) FROM verdict").fetchone()
    low = first if since_ms is None else _first_at(log, first, last + 1, since_ms - SLACK_MS)
    return low, last + 1 if until_ms is None else _first_at(log, low, last + 1, until_ms + SLACK_MS)


def _first_at(log: sqlite3.Connection, low: int, high: int, time_ms: int) -> int:
    """The first id at a time or after it, between two ids: times rise with ids, so that it is halved."""
    while low < high:
        middle = (low + high) // 2
        row = log.execute("SELECT id, time_ms FROM verdict WHERE id >= ? ORDER BY id LIMIT 1", (middle,)).fetchone()
        if row is None or row[1] >= time_ms:
            high = middle
        else:
            low = row[0] + 1
    return low


def _stretches(lowest: int, highest: int) -> Iterator[tuple[int, int]]:
    """The ids from the highest down, in stretches that grow."""
    length = FIRST_STRETCH
    while highest > lowest:
        low = max(lowest, highest - length)
        yield low, highest
        highest, length = low, min(4 * length, LONGEST_STRETCH)


def _begins(text: str) -> str | None:
    """A pattern for GLOB; None for anything."""
    if not text:
        return None
    return "".join(f"[{each}]" if each in "*?[" else each for each in text) + "*"
