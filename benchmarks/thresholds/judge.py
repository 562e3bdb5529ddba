"""The rule of thresholds judged on collected scores: the old rule beside the new one.

    python benchmarks/thresholds/judge.py SCORES... [--redraws 100] [--json FILE]

SCORES are files of `collect.py`. For each, the threshold is chosen from the held-out images as they were, and from
redraws of as many among all good images that the detector was not trained on, judged on the rest: the measured false
rejects, the share expected, how often the measured ones lie within the printed 95 % bound, the missed defects, and the
balanced error over the best possible one. Half an image is added to each kind of error, so that a best error of none
can be divided by.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edgekd.artifact import read_json, write_json
from edgekd.metrics.auroc import image_auroc
from edgekd.verdicts.false_rejects import expected_share, share_bound
from edgekd.verdicts.threshold import threshold_from_good

Scores = NDArray[np.float64]

RATE = 0.01
SEPARATED = 0.95  # Image AUROC from which on a system is one that a line would take.


class Judged(NamedTuple):
    """A threshold on a test set; shares are 0..1."""

    false_rejects: float
    expected: float
    bound: float
    missed: float
    over_best: float


def highest_held_out(held_out: Scores, trained: Scores) -> tuple[float, float, float]:
    """The old rule: value, expected share and bound of the smallest held-out score that at most the rate is above."""
    above = math.floor(RATE * held_out.size + 1e-9)
    value = float(np.sort(held_out)[-1 - above])
    return value, expected_share(above, held_out.size), share_bound(above, held_out.size)


def pooled(held_out: Scores, trained: Scores) -> tuple[float, float, float]:
    """The rule of edgekd.verdicts.threshold."""
    threshold = threshold_from_good(held_out, RATE, trained)
    return threshold.value, threshold.expected, threshold.bound


RULES: dict[str, Callable[[Scores, Scores], tuple[float, float, float]]] = {"old": highest_held_out, "new": pooled}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", nargs="+", type=Path)
    parser.add_argument("--redraws", type=int, default=100, help="of each file and rule")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = [row for path in sorted(arguments.scores) for row in judge(read_json(path), arguments.redraws)]
    print_table(rows)
    content = {"rate": RATE, "redraws": arguments.redraws, "summary": summary(rows), "rows": rows}
    for line in content["summary"]:
        print(line)
    if arguments.json is not None:
        write_json(arguments.json, content)


def judge(row: dict[str, Any], redraws: int) -> list[dict[str, Any]]:
    """Each rule on a system, a data set and a seed."""
    held_out, trained, good, bad = (
        np.array([image["score"] for image in row[part]])
        for part in ("held_out", "trained", "test_good", "test_defective")
    )
    unseen = np.concatenate([held_out, good])
    auroc = image_auroc([*good, *bad], [False] * good.size + [True] * bad.size)
    found = []
    for name, rule in RULES.items():
        split = judged(rule, held_out, trained, good, bad)
        random = np.random.default_rng(row["seed"])
        orders = [random.permutation(unseen) for _ in range(redraws)]
        drawn = [judged(rule, each[: held_out.size], trained, each[held_out.size :], bad) for each in orders]
        found.append(
            {
                **{key: row[key] for key in ("category", "system", "seed", "iterations")},
                "rule": name,
                "image_auroc": auroc,
                "held_out": held_out.size,
                "as_split": split._asdict(),
                "redrawn": {
                    field: float(np.mean([getattr(each, field) for each in drawn])) for field in Judged._fields
                },
                "over_best_median": float(np.median([each.over_best for each in drawn])),
                "within_bound": float(np.mean([each.false_rejects <= each.bound for each in drawn])),
            }
        )
    return found


def judged(
    rule: Callable[[Scores, Scores], tuple[float, float, float]],
    held_out: Scores,
    trained: Scores,
    good: Scores,
    bad: Scores,
) -> Judged:
    """A rule's threshold on good and defective images that it has not seen."""
    value, expected, bound = rule(held_out, trained)
    half = (0.5 / good.size + 0.5 / bad.size) / 2
    rejected, missed = float((good > value).mean()), float((bad <= value).mean())
    every = np.append(-np.inf, np.unique(np.concatenate([good, bad])))
    best = min(((good > each).mean() + (bad <= each).mean()) / 2 for each in every)
    return Judged(rejected, expected, bound, missed, ((rejected + missed) / 2 + half) / (best + half))


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By rule, over all files and over those whose system tells good from defective."""
    return [
        {
            "rule": rule,
            "image_auroc_from": least,
            "files": len(chosen),
            "over_best_as_split_median": float(np.median([row["as_split"]["over_best"] for row in chosen])),
            "over_best_redrawn_median": float(np.median([row["over_best_median"] for row in chosen])),
            "false_rejects": float(np.mean([row["redrawn"]["false_rejects"] for row in chosen])),
            "expected": float(np.mean([row["redrawn"]["expected"] for row in chosen])),
            "missed": float(np.mean([row["redrawn"]["missed"] for row in chosen])),
            "within_bound": float(np.mean([row["within_bound"] for row in chosen])),
        }
        for least in (0.0, SEPARATED)
        for rule in RULES
        if (chosen := [row for row in rows if row["rule"] == rule and row["image_auroc"] >= least])
    ]


def print_table(rows: list[dict[str, Any]]) -> None:
    table = Table(title=f"thresholds for {RATE:.0%} false rejects; redrawn held-out images, shares in per cent")
    for column in (
        "data",
        "system",
        "seed",
        "AUROC",
        "rule",
        "expected",
        "rejected",
        "in bound",
        "missed",
        "over best",
    ):
        table.add_column(column, justify="left" if column in ("data", "system", "rule") else "right")
    for row in rows:
        shares = (
            row["redrawn"]["expected"],
            row["redrawn"]["false_rejects"],
            row["within_bound"],
            row["redrawn"]["missed"],
        )
        table.add_row(
            row["category"],
            row["system"],
            str(row["seed"]),
            f"{row['image_auroc']:.3f}",
            row["rule"],
            *(f"{100 * share:.1f}" for share in shares),
            f"{row['over_best_median']:.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
