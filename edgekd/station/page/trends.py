"""How a station's verdicts, severities, image checks and times developed, in stretches of time of one length.

Verdicts and errors are counted. Percentiles of very many results come from a part of them, evenly chosen by their ids.
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.result import Verdict
from edgekd.station.error_codes import TEXTS, ErrorCode
from edgekd.station.line.payloads import number
from edgekd.station.record.counting import MISSED
from edgekd.station.record.searching import id_range

HOUR_MS = 3_600_000
MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440)  # That a stretch may take.
MOST_BUCKETS = 60
MOST_SAMPLED = 20_000
HIGHEST_SEVERITY, BINS = 2.0, 50  # Of the histogram; what lies beyond stands in its first and last bins.
# The same as the counters count: answers that were published, without those of master-part tests.
COUNTED = """id >= :low AND id < :high AND time_ms >= :since AND time_ms < :until AND station = :station
    AND (:recipe = '' OR recipe = :recipe) AND (:revision = 0 OR revision = :revision)
    AND error_code IS NOT NULL AND NOT self_test
    AND NOT EXISTS (SELECT 1 FROM delivery WHERE verdict_id = verdicts.id AND how = 'late')"""
GROUPS = f"""SELECT (time_ms - :since) / :width, verdict, error_code, count(*), max(severity), max(end_to_end_ms)
    FROM verdicts WHERE {COUNTED} GROUP BY 1, 2, 3"""
# Two stations that take turns have even and odd ids: so the choice goes by a number that follows no such pattern.
SAMPLE = f"""SELECT (time_ms - :since) / :width, verdict, severity, end_to_end_ms, checks
    FROM verdicts WHERE {COUNTED} AND (id * 40503) % 65536 < :share ORDER BY 1"""
REVIEWS = f"""SELECT verdict, (SELECT label FROM review WHERE verdict_id = verdicts.id ORDER BY review.id DESC LIMIT 1),
        count(*)
    FROM verdicts WHERE {COUNTED} AND id IN (SELECT verdict_id FROM review WHERE verdict_id >= :low) GROUP BY 1, 2"""


@dataclass(frozen=True)
class Span:
    """Whose results are looked at.

    Attributes:
        station: Its name.
        hours: So many of the last.
        recipe: Name of a recipe; "" for all.
        revision: Of the recipe; 0 for all.
    """

    station: str
    hours: float
    recipe: str = ""
    revision: int = 0


def trends_of(log: sqlite3.Connection, span: Span, now_ms: int | None = None) -> dict[str, Any]:
    """How the results of some hours developed, as JSON has it.

    Args:
        log: The record.
        span: Whose, and of how many hours.
        now_ms: UTC in milliseconds; None for now.
    """
    width = bucket_ms(span.hours)
    now = int(time.time() * 1000) if now_ms is None else now_ms
    until = (now // width + 1) * width
    since = until - max(1, round(span.hours * HOUR_MS / width)) * width
    low, high = id_range(log, since, until)
    values: dict[str, Any] = {
        **{"low": low, "high": high, "since": since, "until": until, "width": width},
        **{"station": span.station, "recipe": span.recipe, "revision": span.revision},
    }
    groups = log.execute(GROUPS, values).fetchall()
    total = sum(group[3] for group in groups)
    share = 65536 if total <= MOST_SAMPLED else max(1, 65536 * MOST_SAMPLED // total)
    sample = log.execute(SAMPLE, {**values, "share": share}).fetchall()
    errors = _errors(groups)
    return {
        "from": since,
        "to": until,
        "bucket_ms": width,
        "buckets": _buckets(groups, sample, since, width, (until - since) // width),
        "errors": errors,
        "error_texts": {code: TEXTS[ErrorCode(code)].what for code in errors if code in ErrorCode._value2member_map_},
        "missed": sum(errors.get(int(code), 0) for code in MISSED),
        "severities": _histogram(sample),
        "reviews": _reviews(log.execute(REVIEWS, values).fetchall()),
        "n": total,
        "sampled": len(sample),
    }


def bucket_ms(hours: float) -> int:
    """The length of a stretch: so that there are at most sixty, where a day is not too short."""
    minutes = next((each for each in MINUTES if hours * 60 / each <= MOST_BUCKETS), MINUTES[-1])
    return minutes * 60_000


def percentiles(values: Sequence[float | None] | NDArray[np.float64], *shares: int) -> dict[str, float | None]:
    """Percentiles by their names, such as p95; None where there is no value.

    Args:
        values: None and what is not finite are left out.
        shares: In percent.
    """
    known = np.array(values, np.float64)
    known = known[np.isfinite(known)]
    if not known.size:
        return {f"p{share}": None for share in shares}
    found = np.percentile(known, shares)
    return {f"p{share}": number(value) for share, value in zip(shares, found, strict=True)}


def _buckets(
    groups: Sequence[tuple[Any, ...]], sample: Sequence[tuple[Any, ...]], since: int, width: int, count: int
) -> list[dict[str, Any]]:
    counts = [dict.fromkeys(Verdict, 0) for _ in range(count)]
    severest: list[float | None] = [None] * count
    longest: list[float | None] = [None] * count
    for bucket, verdict, _, rows, severity, total_ms in groups:
        counts[bucket][Verdict(verdict)] += rows
        severest[bucket] = _larger(severest[bucket], severity)
        longest[bucket] = _larger(longest[bucket], total_ms)
    rows_of: list[list[tuple[Any, ...]]] = [[] for _ in range(count)]
    for row in sample:
        rows_of[row[0]].append(row)
    return [
        {
            "from": since + index * width,
            "to": since + (index + 1) * width,
            "n": sum(counts[index].values()),
            "ok": counts[index][Verdict.OK],
            "ng": counts[index][Verdict.NG],
            "error": counts[index][Verdict.ERROR],
            "severity": {**percentiles([row[2] for row in rows], 50, 95), "max": severest[index]},
            "checks": _checks([row[4] for row in rows if row[4]]),
            "total_ms": {**percentiles([row[3] for row in rows], 50, 95), "max": longest[index]},
        }
        for index, rows in enumerate(rows_of)
    ]


def _checks(texts: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Percentiles of each image check."""
    values: dict[str, list[float]] = {}
    for text in texts:
        for name, value in json.loads(text).items():
            values.setdefault(name, []).append(value)
    return {name: percentiles(each, 5, 50, 95) for name, each in values.items()}


def _histogram(sample: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """How often severities occur, of OK and of NG."""
    counts = {}
    for verdict in ("OK", "NG"):
        values = np.array([row[2] for row in sample if row[1] == verdict], np.float64)
        inside = np.clip(values[~np.isnan(values)], 0, HIGHEST_SEVERITY)
        counts[verdict.lower()] = np.histogram(inside, BINS, (0, HIGHEST_SEVERITY))[0].tolist()
    return {"from": 0.0, "to": HIGHEST_SEVERITY, **counts}


def _errors(groups: Sequence[tuple[Any, ...]]) -> dict[int, int]:
    errors: dict[int, int] = {}
    for _, verdict, code, rows, *_ in groups:
        if verdict == Verdict.ERROR.value:
            errors[code] = errors.get(code, 0) + rows
    return dict(sorted(errors.items(), key=lambda item: -item[1]))


def _reviews(rows: Sequence[tuple[str, str, int]]) -> dict[str, dict[str, int]]:
    """What people found parts to be, by the verdict that these had got."""
    found = {verdict.value: {"good": 0, "bad": 0} for verdict in Verdict}
    for verdict, label, count in rows:
        found[verdict][label] = count
    return found


def _larger(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None and math.isfinite(value)]
    return max(known, default=None)
