"""What the steps from trigger to answer took, beside the time that there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd.errors import EdgekdError
from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.line.payloads import number
from edgekd.station.page.trends import percentiles
from edgekd.station.parts import Outcome
from edgekd.station.recipe_store import read_recipe
from edgekd.station.recipes import NAME
from edgekd.station.record.reading import RecordReader

STEPS = ("acquire", "check", "pre", "inference", "post")
ANSWER = "answer"  # What the total has beyond them: between the processes, the decision, the row on the disk.
DRAWN = 120  # Of the newest results, each of which is drawn.


def timings_of(record: RecordReader, recipes: Path, station: str, last: int) -> dict[str, Any]:
    """What the last results of a station took, as JSON has it.

    Args:
        record: The record.
        recipes: Folder of the recipes.
        station: Its name.
        last: How many results; those that no image was judged for are left out.

    Returns:
        `budget_ms` of the recipe that judged last (null where it is not known), `steps` and `total` with p50, p95 and
        max, `recent` with the steps of each of the newest results, `late` (answers after the budget), `n`.
    """
    found = [each.outcome for each in record.newest("station = ? AND acquisition_id IS NOT NULL", (station,), last)]
    whole = [outcome for outcome in found if outcome.inspected is not None and outcome.inspected.timings]
    rows = [_steps(outcome) for outcome in whole]
    totals = [outcome.total_ms for outcome in found]
    return {
        "station": station,
        "n": len(found),
        "budget_ms": _budget(recipes, found),
        "steps": {name: _figures([row.get(name) for row in rows]) for name in (*STEPS, ANSWER)},
        "total": _figures(totals),
        "late": sum(outcome.error is ErrorCode.ANSWER_LATE for outcome in found),
        "recent": [
            {
                "result_id": outcome.result_id,
                "published_utc_ms": outcome.published_utc_ms,
                "verdict": outcome.verdict.value,
                "total_ms": number(outcome.total_ms),
                "steps": row,
            }
            for outcome, row in list(zip(whole, rows, strict=True))[:DRAWN]
        ],
    }


def _steps(outcome: Outcome) -> dict[str, float]:
    """The milliseconds of each step; what remains of the total is the answer's."""
    assert outcome.inspected is not None
    steps = {name: outcome.inspected.timings[name] for name in STEPS if name in outcome.inspected.timings}
    if outcome.verdict is not Verdict.ERROR:
        steps[ANSWER] = max(0.0, outcome.total_ms - sum(steps.values()))
    return steps


def _figures(values: Sequence[float | None]) -> dict[str, float | None]:
    known = [value for value in values if value is not None]
    return {**percentiles(known, 50, 95), "max": max(known, default=None)}


def _budget(recipes: Path, found: Sequence[Outcome]) -> float | None:
    """The time that the recipe which judged last gives an answer."""
    last = next((outcome for outcome in found if outcome.revision and NAME.fullmatch(outcome.recipe_id)), None)
    if last is None:
        return None
    try:
        return read_recipe(recipes / last.recipe_id / str(last.revision)).deadline_ms
    except EdgekdError:  # It was removed from the disk.
        return None
