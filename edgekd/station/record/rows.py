"""What the record's tables hold of a trigger and of an answer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from edgekd.result import Region, Verdict
from edgekd.station.parts import Acquisition, Inspected, Outcome
from edgekd.verdicts import log
from edgekd.verdicts.text import printable

INSERT_VERDICT = (
    f"INSERT INTO verdict (id, time_ms, {', '.join(log.COLUMNS)}) VALUES "
    "(?, max(?, coalesce((SELECT time_ms FROM verdict ORDER BY id DESC LIMIT 1), 0)), "
    f"{', '.join('?' * len(log.COLUMNS))})"
)
RESULT = (
    *("id", "acquisition_id", "part", "serial", "error_code", "source", "triggered_ms", "published_ms"),
    *("acquire_ms", "check_ms", "height", "width", "area", "cx", "cy", "uncertain", "camera", "frame_id"),
    *("simulated", "self_test"),
)
INSERT_RESULT = f"INSERT INTO result ({', '.join(RESULT)}) VALUES ({', '.join('?' * len(RESULT))})"
ACQUISITION = ("id", "time_ms", "session_id", "part", "serial", "lot", "source", "triggered_ms")
INSERT_ACQUISITION = f"INSERT INTO acquisition ({', '.join(ACQUISITION)}) VALUES ({', '.join('?' * len(ACQUISITION))})"


def acquisition_row(acquisition: Acquisition, session_id: int, now_ms: int) -> tuple[Any, ...]:
    """The row of a trigger that was taken."""
    part = acquisition.part
    return (
        acquisition.acquisition_id,
        now_ms,
        session_id,
        part.part_id,
        printable(part.serial),
        printable(part.lot),
        acquisition.source,
        acquisition.triggered_utc_ms,
    )


def verdict_row(outcome: Outcome, session_id: int, operator: str, now_ms: int) -> tuple[Any, ...]:
    """The row of an answer in the table that all logs have."""
    seen = outcome.inspected
    times: Mapping[str, float] = {} if seen is None else seen.timings
    return (
        outcome.result_id,
        now_ms,
        session_id,
        printable(f"{outcome.station}#{outcome.result_id:06}"),
        None,
        str(outcome.part.part_id) if outcome.part.part_id else None,
        printable(outcome.part.lot) or None,
        printable(outcome.recipe_id) or None,
        printable(operator) or None,
        math.nan if seen is None else seen.score,  # SQLite keeps NaN as NULL.
        math.nan if seen is None else seen.severity,
        math.nan if seen is None else seen.threshold,
        outcome.verdict.value,
        printable(outcome.error_text) if outcome.verdict is Verdict.ERROR else None,
        json.dumps([asdict(region) for region in seen.regions]) if seen is not None and seen.regions else None,
        0,
        _checks(seen),
        None,
        0,
        *(times.get(stage) for stage in ("pre", "inference", "post")),
        outcome.total_ms,
    )


def result_row(outcome: Outcome) -> tuple[Any, ...]:
    """The row of an answer in the table of what only a station knows."""
    seen = outcome.inspected
    times: Mapping[str, float] = {} if seen is None else seen.timings
    height, width = (None, None) if seen is None or seen.pixels is None else seen.pixels
    area, centre = _anomaly(() if seen is None else seen.regions)
    return (
        outcome.result_id,
        outcome.acquisition_id or None,
        outcome.part.part_id,
        printable(outcome.part.serial),
        int(outcome.error),
        outcome.source,
        outcome.triggered_utc_ms,
        outcome.published_utc_ms,
        times.get("acquire"),
        times.get("check"),
        height,
        width,
        area,
        *centre,
        int(seen is not None and seen.uncertain),
        None if seen is None else printable(seen.camera),
        None if seen is None else seen.frame_id,
        int(outcome.simulated),
        int(outcome.self_test),
    )


def late_row(result_id: int, inspected: Inspected, now_ms: int) -> tuple[Any, ...]:
    """The row of what the inspector said too late: time, verdict, score, severity, threshold, code, text."""
    return (
        now_ms,
        result_id,
        inspected.score,
        inspected.severity,
        inspected.threshold,
        int(inspected.error),
        printable(inspected.error_text) or None,
    )


def _anomaly(regions: tuple[Region, ...]) -> tuple[int | None, tuple[float | None, float | None]]:
    """The area of all regions together, and the centre of the one with the highest peak."""
    if not regions:
        return None, (None, None)
    return sum(region.area for region in regions), max(regions, key=lambda region: region.peak).centroid


def _checks(seen: Inspected | None) -> str | None:
    if seen is None or not seen.checks:
        return None
    finite = {name: float(f"{value:.6g}") for name, value in seen.checks.items() if math.isfinite(value)}
    return json.dumps(finite)
