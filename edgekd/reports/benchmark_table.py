"""The table of a benchmark: a row for each category, system and precision, and the means over the categories."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from edgekd.preprocessing import parse_size, size_text

METRICS = ("image_auroc", "pixel_auroc", "pixel_ap", "pro", "iap", "spro")
PAPER = "paper_image_auroc"

MEASURED = (*METRICS, PAPER)

Row = dict[str, Any]
SCHEMA = pl.Schema(
    {
        "category": pl.String(),
        "system": pl.String(),
        "precision": pl.String(),
        "size": pl.String(),
        "iterations": pl.Int64(),
        **dict.fromkeys(MEASURED, pl.Float64()),
        "missed_defects": pl.String(),
        "false_rejects": pl.String(),
        "latency_ms": pl.Float64(),
        "throughput_fps": pl.Float64(),
        "peak_share": pl.Float64(),
        "backend": pl.String(),
        "error": pl.String(),
    }
)


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
    "error": ("failed", str),
}


def benchmark_row(evaluation: Mapping[str, Any], bench: Mapping[str, Any]) -> Row:
    """The row of one detector.

    Args:
        evaluation: The content of `evaluate --json`.
        bench: The content of `bench --json`, for the same artifact.
    """
    verdicts = evaluation["verdicts"]
    paper = (evaluation.get("paper") or {"metrics": {}})["metrics"].get("image_auroc")
    return {
        "category": evaluation["category"],
        "system": evaluation["system"],
        "precision": evaluation["precision"],
        "size": size_text(parse_size(evaluation["size"])),
        "iterations": evaluation["iterations"],
        **{name: evaluation.get(name) for name in METRICS},
        PAPER: paper and paper["value"],
        "missed_defects": verdicts and f"{verdicts['missed_defects']} of {evaluation['test_defective']}",
        "false_rejects": verdicts and f"{verdicts['false_rejects']} of {evaluation['test_good']}",
        "latency_ms": bench["latency_ms"]["end_to_end"]["median"],
        "throughput_fps": max(bench["throughput_fps"].values()),
        "peak_share": bench["peak_share"],
        "backend": bench["engine"]["backend"],
        "error": None,
    }


def failed_row(category: str, system: str, precision: str, error: str) -> Row:
    """The row of a detector that there is none of.

    Args:
        category: That it was to be trained on.
        system: Its name.
        precision: That it was to be exported in.
        error: Why training, export or evaluation failed.
    """
    return {"category": category, "system": system, "precision": precision, "error": error}


def as_frame(rows: Sequence[Row]) -> pl.DataFrame:
    """The rows as a table; what a row lacks is null.

    Args:
        rows: Of `with_means`.
    """
    return pl.DataFrame(rows, schema=SCHEMA)


def with_means(rows: Sequence[Row]) -> list[Row]:
    """The rows, and for each system and precision with several categories the mean of what all of these have.

    Args:
        rows: Of `benchmark_row`.
    """
    means_of_complete = [pl.when(pl.col(name).null_count() == 0).then(pl.col(name).mean()) for name in MEASURED]
    groups = as_frame(rows).group_by("system", "precision", maintain_order=True)
    means = groups.agg(pl.len().alias("count"), *means_of_complete).filter(pl.col("count") > 1)
    named = means.select(pl.format("mean of {}", "count").alias("category"), pl.exclude("count"))
    return [*rows, *({name: value for name, value in row.items() if value is not None} for row in named.to_dicts())]


def as_markdown(rows: Sequence[Row]) -> str:
    """The table in Markdown, its columns aligned for those who read it as it is.

    Args:
        rows: Of `with_means`.
    """
    frame = as_frame(rows)
    used = [name for name in COLUMNS if frame[name].null_count() < frame.height]
    columns = [[COLUMNS[name][0], "---", *_cells(frame[name], COLUMNS[name][1])] for name in used]
    padded = [[cell.ljust(max(map(len, column))) for cell in column] for column in columns]
    return "".join(f"| {' | '.join(line)} |\n" for line in zip(*padded, strict=True))


def _cells(column: pl.Series, text: Callable[[Any], str]) -> list[str]:
    return ["" if value is None else text(value) for value in column]
