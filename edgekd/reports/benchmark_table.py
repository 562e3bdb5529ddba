"""The table of a benchmark: a row for each category, system and precision, and the means over the categories."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

METRICS = ("image_auroc", "pixel_auroc", "pixel_ap", "pro", "iap", "spro")
PAPER = "paper_image_auroc"

Row = dict[str, Any]


def _share(value: float) -> str:
    return f"{value:.3f}"


# Key -> heading and how a value is written. Columns without any value are left out.
COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "category": ("category", str),
    "system": ("system", str),
    "precision": ("precision", str),
    "size": ("size", str),
    "image_auroc": ("image AUROC", _share),
    PAPER: ("the paper's", _share),
    "pixel_auroc": ("pixel AUROC", _share),
    "pixel_ap": ("pixel AP", _share),
    "pro": ("PRO", _share),
    "iap": ("IAP", _share),
    "spro": ("sPRO", _share),
    "missed_defects": ("defects missed", str),
    "false_rejects": ("good rejected", str),
    "latency_ms": ("latency, ms", "{:.1f}".format),
    "throughput_fps": ("frames a second", "{:.1f}".format),
    "peak_share": ("of the peak", "{:.0%}".format),
}


def benchmark_row(evaluation: Mapping[str, Any], bench: Mapping[str, Any]) -> Row:
    """The row of one detector.

    Args:
        evaluation: Of `evaluate --json`.
        bench: Of `bench --json`, of the same artifact.
    """
    verdicts = evaluation["verdicts"]
    paper = (evaluation.get("paper") or {"metrics": {}})["metrics"].get("image_auroc")
    return {
        "category": evaluation["category"],
        "system": evaluation["system"],
        "precision": evaluation["precision"],
        "size": evaluation["size"],
        "iterations": evaluation["iterations"],
        **{name: evaluation.get(name) for name in METRICS},
        PAPER: paper and paper["value"],
        "missed_defects": verdicts and f"{verdicts['missed_defects']} of {evaluation['test_defective']}",
        "false_rejects": verdicts and f"{verdicts['false_rejects']} of {evaluation['test_good']}",
        "latency_ms": bench["latency_ms"]["end_to_end"]["median"],
        "throughput_fps": max(bench["throughput_fps"].values()),
        "peak_share": bench["peak_share"],
        "backend": bench["engine"]["backend"],
    }


def with_means(rows: Sequence[Row]) -> list[Row]:
    """The rows, and for each system and precision with several categories the mean of what all of these have.

    Args:
        rows: Of `benchmark_row`.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["system"], row["precision"]), []).append(row)
    means = [
        {"category": f"mean of {len(group)}", "system": system, "precision": precision} | _means(group)
        for (system, precision), group in groups.items()
        if len(group) > 1
    ]
    return [*rows, *means]


def _means(group: Sequence[Row]) -> dict[str, float]:
    complete = [name for name in (*METRICS, PAPER) if all(row[name] is not None for row in group)]
    return {name: sum(row[name] for row in group) / len(group) for name in complete}


def as_markdown(rows: Sequence[Row]) -> str:
    """The table in Markdown, its columns aligned for those who read it as it is.

    Args:
        rows: Of `with_means`.
    """
    used = [name for name in COLUMNS if any(row.get(name) is not None for row in rows)]
    cells = [["" if row.get(name) is None else COLUMNS[name][1](row[name]) for name in used] for row in rows]
    lines = [[COLUMNS[name][0] for name in used], ["---"] * len(used), *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in padded)
