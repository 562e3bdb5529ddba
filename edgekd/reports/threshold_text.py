"""How limits on the score are put into words, in the terminal and on pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekd.verdicts.promise import share

COLUMNS = ("asked for", "limit", "expected", "at most", "good rejected", "defects missed")
NOTHING = "\N{EN DASH}"


def limit_row(row: Mapping[str, Any], name: str | None = None) -> tuple[str, ...]:
    """A row of the table of limits, by `COLUMNS`; the last cell is empty where no defective image was scored.

    Args:
        row: Of `edgekd.workflows.threshold.ThresholdResult.limits`.
        name: In place of the rate that was asked for.
    """
    missed = ""
    if row.get("ng"):
        missed = f"{row['missed']} of {row['ng']}"
        if row.get("missed_bound") is not None:
            missed += f" (\N{LESS-THAN OR EQUAL TO} {share(row['missed_bound'])})"
    return (
        name or share(row["false_reject_rate"]),
        f"{row['value']:.4g}",
        NOTHING if row.get("expected") is None else share(row["expected"]),
        NOTHING if row.get("bound") is None else share(row["bound"]),
        f"{row['rejected']} of {row['good']}",
        missed,
    )
