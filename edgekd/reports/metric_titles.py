"""The titles of metrics for people, and the paper's metrics beside the measured ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekd.reports.evaluation import Metric, PaperFigures, PaperRow

DECISIONS = {"f1": "F1", "accuracy": "Accuracy", "sensitivity": "Sensitivity", "specificity": "Specificity"}
TITLES = {
    "image_auroc_logical": ("Image AUROC, logical", "good against logical anomalies"),
    "image_auroc_structural": ("Image AUROC, structural", "good against structural anomalies"),
    "image_auroc_pooled": ("Image AUROC, pooled", "good against all anomalies; Image AUROC is the mean of both kinds"),
    "image_ap": ("Image AP", "average precision over images"),
    "pixel_ap": ("Pixel AP", "average precision over all pixels, pooled"),
    "pro": ("PRO", "per-region overlap, to 30 % false positives over the test set"),
    "pro_rd4ad": ("PRO as in RD4AD", "image by image; not comparable with PRO"),
    "iap": ("IAP", "instance average precision"),
    "iap_at_90": ("IAP@90", "pixel precision where 90 % of the defects are found"),
    "spro": ("sPRO", "saturated overlap, to 5 % false positives; mean over the kinds"),
    "spro_logical": ("sPRO, logical", "to 5 % false positives"),
    "spro_structural": ("sPRO, structural", "to 5 % false positives"),
}
PRINTED_METRICS = {  # The metrics that papers report.
    "image_auroc": "Image AUROC",
    "pixel_auroc": "Pixel AUROC",
    **{name: label for name, (label, _) in TITLES.items()},
    **{name: f"{label} (best threshold)" for name, label in DECISIONS.items()},
}
FIGURES_IN_ORDER = ("image_auroc", "pixel_auroc", *TITLES)


def report_metrics(figures: Mapping[str, Any]) -> list[Metric]:
    """The metrics other than image and pixel AUROC, for people.

    Args:
        figures: The content of `evaluate --json`.
    """
    metrics = [
        Metric(label, figures[name], detail)
        for name, (label, detail) in TITLES.items()
        if figures.get(name) is not None
    ]
    if figures["at_threshold"] is not None:
        metrics.append(_f1("F1", figures["at_threshold"], "at the detector's threshold"))
    return [*metrics, _f1("F1, best", figures, "at the best threshold for the test scores: an upper bound")]


def paper_figures(figures: Mapping[str, Any]) -> PaperFigures | None:
    """What the system's paper reports for the same category, for people; None where it reports nothing.

    Args:
        figures: The content of `evaluate --json`.
    """
    paper = figures["paper"]
    if paper is None:
        return None
    rows = [
        PaperRow(PRINTED_METRICS[name], figures[name], printed["value"], printed["note"])
        for name, printed in paper["metrics"].items()
    ]
    return PaperFigures(f"{paper['dataset']}, {paper['category']}", rows, paper["differences"])


def _f1(label: str, decisions: Mapping[str, Any], where: str) -> Metric:
    rest = ", ".join(f"{name} {decisions[name]:.4f}" for name in ("accuracy", "sensitivity", "specificity"))
    return Metric(label, decisions["f1"], f"{where}; {rest}")
