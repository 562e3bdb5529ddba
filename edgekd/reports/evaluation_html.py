"""The evaluation report: one self-contained HTML file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgekd.metrics.auroc import image_auroc
from edgekd.reports.charts import Scores, histogram_svg, roc_svg
from edgekd.reports.evaluation import EvaluationReport, ReportSample
from edgekd.reports.gallery import data_uri, gallery
from edgekd.reports.page import Tile, render_page, write_page
from edgekd.reports.threshold_text import COLUMNS, limit_row
from edgekd.result import Verdict

__all__ = ["EvaluationReport", "ReportSample", "write_evaluation_report"]

STATISTICS = ("min", "mean", "median", "p90", "p95", "p99")
NOTHING = "\N{EN DASH}"


class ClassRow(NamedTuple):
    """A row of the table by class."""

    defect: str
    images: int
    rejected: str
    mean_score: str
    mean_severity: str
    auroc: str


def write_evaluation_report(path: Path, report: EvaluationReport) -> None:
    """Writes an evaluation as one HTML file, with images and charts inside, for any browser.

    Args:
        path: The file to write; its folder is made.
        report: The content.

    Raises:
        MachineError: scikit-learn is not installed, or the disk is full.
    """
    write_page(path, _render(report))


def _render(report: EvaluationReport) -> str:
    good, defective = _scores(report.samples, defective=False), _scores(report.samples, defective=True)
    return render_page(
        "evaluation.html.jinja",
        {"figure": _figure, "share": _share},
        report=report,
        good_count=sum(not sample.defective for sample in report.samples),
        tiles=_tiles(report),
        histogram=histogram_svg(good, defective, report.threshold) if good.size + defective.size else None,
        roc=roc_svg(good, defective, report.threshold) if good.size and defective.size else None,
        groups=gallery(report),
        classes=_classes(report),
        view_image=None if report.view_image is None else data_uri(report.view_image),
        errors=[sample.name for sample in report.samples if not sample.scored],
        statistics=STATISTICS,
        limit_columns=COLUMNS,
        limits=[limit_row(row) for row in report.limits],
    )


def _tiles(report: EvaluationReport) -> list[Tile]:
    pixel_detail = "all pixels of all images, pooled" if report.pixel_auroc is not None else "not measured: no masks"
    tiles = [
        Tile("Image AUROC", _share(report.image_auroc), "good against defective images"),
        Tile("Pixel AUROC", _share(report.pixel_auroc), pixel_detail),
        Tile("Threshold", _figure(report.threshold), report.threshold_origin),
    ]
    if report.threshold is None:
        return tiles
    good = [sample for sample in report.samples if not sample.defective]
    defective = [sample for sample in report.samples if sample.defective]
    verdicts = " · ".join(f"{each.value} {_count(report.samples, each)}" for each in Verdict)
    missed, rejected = _count(defective, Verdict.OK), _count(good, Verdict.NG)
    return [
        *tiles,
        Tile("Missed defects", _of(missed, len(defective)), "defective but judged OK"),
        Tile("False rejects", _of(rejected, len(good)), "good but judged NG"),
        Tile("Verdicts", verdicts, f"of {len(report.samples)} images"),
    ]


def _classes(report: EvaluationReport) -> list[ClassRow]:
    """The table by class: the good images first, then the defects by name."""
    good = [sample for sample in report.samples if not sample.defective]
    rows = [_class_row("good", good, [], report.threshold)] if good else []
    for defect in sorted({sample.defect for sample in report.samples if sample.defective}):
        samples = [sample for sample in report.samples if sample.defective and sample.defect == defect]
        rows.append(_class_row(defect, samples, good, report.threshold))
    return rows


def _class_row(
    defect: str, samples: Sequence[ReportSample], good: Sequence[ReportSample], threshold: float | None
) -> ClassRow:
    scored = [sample for sample in (*good, *samples) if sample.scored]
    labels = [sample.defective for sample in scored]
    auroc = image_auroc([sample.score for sample in scored], labels) if {*labels} == {True, False} else None
    scores = [sample.score for sample in samples if sample.scored]
    rejected = NOTHING if threshold is None else _of(_count(samples, Verdict.NG), len(samples))
    mean_score = _figure(sum(scores) / len(scores)) if scores else NOTHING
    severities = [sample.severity for sample in samples if math.isfinite(sample.severity)]
    mean_severity = f"{sum(severities) / len(severities):.2f}" if severities else NOTHING
    return ClassRow(defect, len(samples), rejected, mean_score, mean_severity, _share(auroc))


def _scores(samples: Sequence[ReportSample], *, defective: bool) -> Scores:
    return np.array([sample.score for sample in samples if sample.defective is defective and sample.scored])


def _count(samples: Sequence[ReportSample], verdict: Verdict) -> int:
    return sum(sample.verdict is verdict for sample in samples)


def _of(count: int, total: int) -> str:
    return f"{count} of {total}"


def _share(value: float | None) -> str:
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.4f}"


def _figure(value: float | None) -> str:
    """A score or a time, with four significant digits."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:#.4g}".rstrip(".")
