"""The table of training times: how many times as fast this version reaches what an earlier one has after its minutes.

    python benchmarks/training_time/judge.py benchmarks/results/training_time.json

A pair's ratio is the CPU time in which the earlier version first has the image AUROC that it ends with, over the time
in which this one first has it; both are known to half a minute. The median over seeds counts, and that over pairs.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from edgekd.artifact import read_json

Curve = list[dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path)
    arguments = parser.parse_args()
    pairs: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in read_json(arguments.json).values():
        pairs[row["system"], row["data"]].append(row)
    table = Table("system", "data", "seeds", "ratio", "AUROC before", "AUROC after", "worst difference")
    medians, worst = [], math.inf
    for (system, data), rows in pairs.items():
        ratios = [ratio_of(row["before"]["curve"], row["after"]["curve"]) for row in rows]
        before, after = (
            np.array([row[side]["curve"][-1]["image_auroc"] for row in rows]) for side in ("before", "after")
        )
        least = float((after - before).min())
        medians.append(float(np.median(ratios)))
        worst = min(worst, least)
        figures = [f"{value:.3f}" for value in (np.median(before), np.median(after))]
        table.add_row(system, data, str(len(rows)), f"{medians[-1]:.1f}", *figures, f"{least:+.3f}")
    console = Console(width=120)
    console.print(table)
    console.print(f"median ratio of {len(medians)} pairs {np.median(medians):.2f}; worst difference {worst:+.3f}")


def ratio_of(before: Curve, after: Curve) -> float:
    """Of two curves; 0 where the later one never has what the earlier one ends with."""
    wanted = before[-1]["image_auroc"]
    return _first(before, wanted) / _first(after, wanted)


def _first(curve: Curve, auroc: float) -> float:
    return next((point["seconds"] for point in curve if point["image_auroc"] >= auroc), math.inf)


if __name__ == "__main__":
    main()
