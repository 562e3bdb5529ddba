"""Reads a station's record while it is written: results by their ids, page by page, for OPC UA and the page."""

from __future__ import annotations

import json
import math
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from edgekd.result import Region, Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.parts import Inspected, Outcome, Part
from edgekd.station.ports import StoredImage
from edgekd.verdicts import audit
from edgekd.verdicts.log_reading import LogReader

Read = TypeVar("Read")
MOST = 1000  # Results of a page.
COLUMNS = (
    *("id", "acquisition_id", "station", "part", "serial", "lot", "job", "recipe", "revision", "recipe_digest"),
    *("verdict", "error_code", "error", "trigger_source", "triggered_ms", "published_ms", "end_to_end_ms"),
    *("simulated", "self_test", "score", "threshold", "severity", "uncertain", "regions", "height", "width"),
    *("checks", "acquire_ms", "check_ms", "pre_ms", "inference_ms", "post_ms", "camera", "frame_id"),
    *("operator", "delivered"),
)


@dataclass(frozen=True)
class Review:
    """What a person found a part to be; its verdict stays.

    Attributes:
        who: A name.
        label: "good" or "bad".
        note: In that person's words; mostly "".
        time_utc_ms: When it was put on record.
    """

    who: str
    label: str
    note: str
    time_utc_ms: int


@dataclass(frozen=True)
class Recorded:
    """An answer on record, and what became of it.

    Attributes:
        outcome: The answer.
        operator: Who was at the line; "" where it is not known.
        delivered: acked, unread or late; "" where nobody acknowledged it yet.
        images: That are still there.
        reviews: What people found the part to be, the oldest first; the last one counts.
    """

    outcome: Outcome
    operator: str
    delivered: str
    images: tuple[StoredImage, ...]
    reviews: tuple[Review, ...] = ()


class RecordReader:
    """A record that is open for reading, beside its writer. Any thread may call it; what it reads takes milliseconds.

    Args:
        path: The database.

    Raises:
        EdgekdError: There is none, it is damaged or of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._log = LogReader(path, any_thread=True)

    def last(self, count: int, before_id: int | None = None, station: str | None = None) -> tuple[Recorded, ...]:
        """The last results, the newest first; the next page is that before the last one's id.

        Args:
            count: How many, at most a thousand.
            before_id: Only older ones; None for the newest.
            station: Of one station; None for all.
        """
        limit = math.inf if before_id is None else before_id
        return self.newest("id < ? AND station = coalesce(?, station)", (limit, station), count)

    def newest(self, condition: str, values: Sequence[object], count: int) -> tuple[Recorded, ...]:
        """The last results of which a condition holds, the newest first.

        Args:
            condition: In SQL, of the view `verdicts`; a constant of the program, never made of what somebody sends.
            values: That it names by "?".
            count: How many, at most a thousand.
        """
        where = f"error_code IS NOT NULL AND {condition} ORDER BY id DESC LIMIT ?"
        return self._results(where, (*values, min(count, MOST)))

    def result(self, result_id: int) -> Recorded | None:
        """A result by its id; None where there is none."""
        found = self._results("id = ? AND error_code IS NOT NULL", (result_id,))
        return found[0] if found else None

    def trail(self) -> audit.Trail:
        """Whether the chain of the audit trail is whole."""
        with self._lock:
            return self._log.read(audit.verify_trail)

    def entries(self, count: int, before_id: int | None = None) -> tuple[audit.Entry, ...]:
        """The last entries of the audit trail, the newest first.

        Args:
            count: How many, at most a thousand.
            before_id: Only older ones; None for the newest.
        """
        names = ", ".join(audit.Entry._fields)
        query = f"SELECT {names} FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?"
        limit = math.inf if before_id is None else before_id
        return tuple(audit.Entry(*row) for row in self._fetch(query, (limit, min(count, MOST))))

    def read(self, query: Callable[[sqlite3.Connection], Read]) -> Read:
        """Runs a function that reads; others wait meanwhile.

        Raises:
            EdgekdError: It failed, in words.
        """
        with self._lock:
            return self._log.read(query)

    def close(self) -> None:
        """Closes the file. Closing twice does no harm."""
        with self._lock:
            self._log.close()

    def _results(self, where: str, values: Sequence[object]) -> tuple[Recorded, ...]:
        # The part's number stands as text in the columns that all logs have.
        columns = ", ".join("coalesce(part_id, 0) AS part" if name == "part" else name for name in COLUMNS)
        found = self._fetch(f"SELECT {columns} FROM verdicts WHERE {where}", values)
        ids = [row[0] for row in found]
        images, reviews = self._images(ids), self._reviews(ids)
        return tuple(_recorded(dict(zip(COLUMNS, row, strict=True)), images, reviews) for row in found)

    def _images(self, ids: Sequence[int]) -> dict[int, list[StoredImage]]:
        places = ", ".join("?" * len(ids))
        query = "SELECT verdict_id, kind, path, coalesce(sha256, ''), bytes FROM image WHERE removed_ms IS NULL"
        found: dict[int, list[StoredImage]] = {}
        for row in self._fetch(f"{query} AND verdict_id IN ({places}) ORDER BY id", ids):
            found.setdefault(row[0], []).append(StoredImage(*row))
        return found

    def _reviews(self, ids: Sequence[int]) -> dict[int, list[Review]]:
        places = ", ".join("?" * len(ids))
        query = f"SELECT verdict_id, who, label, note, time_ms FROM review WHERE verdict_id IN ({places}) ORDER BY id"
        found: dict[int, list[Review]] = {}
        for result_id, *review in self._fetch(query, ids):
            found.setdefault(result_id, []).append(Review(*review))
        return found

    def _fetch(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        return self.read(lambda connection: connection.execute(query, values).fetchall())

    def __enter__(self) -> RecordReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _recorded(row: dict[str, Any], images: dict[int, list[StoredImage]], reviews: dict[int, list[Review]]) -> Recorded:
    number = row["id"]
    return Recorded(
        _outcome(row),
        row["operator"] or "",
        row["delivered"] or "",
        tuple(images.get(number, ())),
        tuple(reviews.get(number, ())),
    )


def _outcome(row: dict[str, Any]) -> Outcome:
    return Outcome(
        result_id=row["id"],
        acquisition_id=row["acquisition_id"] or 0,
        station=row["station"],
        part=Part(int(row["part"]), row["serial"], row["lot"] or ""),
        job=row["job"],
        recipe_id=row["recipe"] or "",
        revision=row["revision"],
        recipe_digest=row["recipe_digest"],
        verdict=Verdict(row["verdict"]),
        error=ErrorCode(row["error_code"]),
        error_text=row["error"] or "",
        inspected=_inspected(row),
        source=row["trigger_source"],
        triggered_utc_ms=row["triggered_ms"],
        published_utc_ms=row["published_ms"],
        total_ms=row["end_to_end_ms"],
        simulated=bool(row["simulated"]),
        self_test=bool(row["self_test"]),
    )


def _inspected(row: dict[str, Any]) -> Inspected | None:
    """What the inspector said; None where it said nothing in time."""
    if row["camera"] is None:
        return None
    times = {name: row[f"{name}_ms"] for name in ("acquire", "check", "pre", "inference", "post")}
    return Inspected(
        acquisition_id=row["acquisition_id"] or 0,
        recipe_digest=row["recipe_digest"],
        error=ErrorCode(row["error_code"]),
        error_text=row["error"] or "",
        score=_number(row["score"]),
        threshold=_number(row["threshold"]),
        severity=_number(row["severity"]),
        uncertain=bool(row["uncertain"]),
        regions=tuple(_region(each) for each in json.loads(row["regions"] or "[]")),
        pixels=None if row["height"] is None else (row["height"], row["width"]),
        checks=json.loads(row["checks"] or "{}"),
        timings={name: value for name, value in times.items() if value is not None},
        camera=row["camera"],
        frame_id=row["frame_id"],
    )


def _region(entry: dict[str, Any]) -> Region:
    x, y, width, height = entry["box"]
    return Region(entry["area"], (x, y, width, height), (entry["centroid"][0], entry["centroid"][1]), entry["peak"])


def _number(value: float | None) -> float:
    return math.nan if value is None else value
