"""The figures of an evaluation by their names, and how a report calls them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.layouts import Category, TestImage
from edgekd.data.loco import read_regions
from edgekd.errors import EdgekdError
from edgekd.metrics.auroc import image_auroc
from edgekd.metrics.average_precision import image_ap
from edgekd.metrics.decisions import decisions_at, decisions_at_best_f1
from edgekd.metrics.pixel_figures import PixelFigures, SproFigures
from edgekd.metrics.pixel_scores import Region
from edgekd.reports.evaluation import Metric, PaperFigures, PaperRow, ReportSample
from edgekd.runner.pipeline import Answer

PIXEL_METRICS = ("pixel_auroc", "pixel_ap", "pro", "pro_rd4ad", "iap", "iap_at_90")
DECISIONS = {"f1": "F1", "accuracy": "Accuracy", "sensitivity": "Sensitivity", "specificity": "Specificity"}
TITLES = {
    "image_auroc_logical": ("Image AUROC, logical", "good against logical anomalies"),
    "image_auroc_structural": ("Image AUROC, structural", "good against structural anomalies"),
    "image_auroc_pooled": ("Image AUROC, pooled", "good against all anomalies; Image AUROC is the mean of both kinds"),
    "image_ap": ("Image AP", "average precision over images"),
    "pixel_ap": ("Pixel AP", "average precision over all pixels, pooled"),
    "pro": ("PRO", "overlap by region, to 30 % false positives over the test set"),
    "pro_rd4ad": ("PRO as in RD4AD", "by image; not comparable with PRO"),
    "iap": ("IAP", "instance average precision"),
    "iap_at_90": ("IAP@90", "pixel precision where 90 % of the defects are found"),
    "spro": ("sPRO", "saturated overlap, to 5 % false positives; mean of the kinds"),
    "spro_logical": ("sPRO, logical", "to 5 % false positives"),
    "spro_structural": ("sPRO, structural", "to 5 % false positives"),
}
PRINTED_METRICS = {  # Of those that papers report.
    "image_auroc": "Image AUROC",
    "pixel_auroc": "Pixel AUROC",
    **{name: label for name, (label, _) in TITLES.items()},
    **{name: f"{label} (oracle's threshold)" for name, label in DECISIONS.items()},
}
FIGURES_IN_ORDER = ("image_auroc", "pixel_auroc", *TITLES)


class PixelMetrics:
    """The pixel metrics of a category, collected image by image: no map is kept in its full size.

    Args:
        category: With what is known of its test images.
    """

    def __init__(self, category: Category) -> None:
        self._pixels = PixelFigures() if category.has_masks else None
        self._rules = category.saturation_rules
        self._spro = SproFigures(_kinds(category)) if self._rules is not None else None

    def add(self, image: TestImage, reply: Answer, mask: NDArray[np.bool_] | None) -> None:
        """Counts an image.

        Args:
            image: Of the test set.
            reply: What the detector says of it, with its map.
            mask: bool [H, W] in the size of the map, the defective pixels; None for a good image.

        Raises:
            EdgekdError: Masks are not what the dataset's archive holds.
        """
        anomaly_map = reply.result.anomaly_map
        assert anomaly_map is not None
        if self._pixels is not None:
            self._pixels.add(anomaly_map, mask)
        if self._spro is None:
            return
        # sPRO is defined in the size of the original image, as its saturation areas are.
        assert self._rules is not None
        assert reply.image is not None
        height, width = reply.image.shape[:2]
        full = cv2.resize(anomaly_map, (width, height), interpolation=cv2.INTER_LINEAR)
        found = read_regions(image.mask, self._rules) if image.mask else []
        for region in found:
            if region.mask.shape != (height, width):
                raise EdgekdError(f"the masks in {image.mask} are not of the size of {image.path}: copy both again")
        regions = [Region(np.flatnonzero(region.mask), region.saturation_area) for region in found]
        self._spro.add(np.asarray(full, np.float32), _kind(image.defect) if image.defective else None, regions)

    def figures(self) -> dict[str, float | None]:
        """The figures, 0..1, by their names; None where the category has no masks."""
        figures: dict[str, float | None] = dict.fromkeys((*PIXEL_METRICS, "empty_masks"))
        if self._pixels is not None:
            figures |= self._pixels.figures() | {"empty_masks": self._pixels.empty_masks}
        return figures | (self._spro.figures() if self._spro is not None else {})


def _kind(defect: str) -> str:
    """A kind of anomaly of MVTec LOCO AD by its folder's name."""
    return defect.removesuffix("_anomalies")


def _kinds(category: Category) -> list[str]:
    return sorted({_kind(image.defect) for image in category.test if image.defective})


def image_figures(category: Category, samples: Sequence[ReportSample]) -> dict[str, float]:
    """Image metrics; MVTec LOCO AD's AUROC is the mean over its two kinds of anomalies, each against the good.

    Args:
        category: Of the images.
        samples: The test set.
    """
    scores, defective = [sample.score for sample in samples], [sample.defective for sample in samples]
    pooled, average_precision = image_auroc(scores, defective), {"image_ap": image_ap(scores, defective)}
    if category.layout != "mvtec_loco":
        return {"image_auroc": pooled} | average_precision
    by_kind = {}
    for kind in _kinds(category):
        compared = [sample for sample in samples if not sample.defective or _kind(sample.defect) == kind]
        figure = image_auroc([sample.score for sample in compared], [sample.defective for sample in compared])
        by_kind[f"image_auroc_{kind}"] = figure
    mean = float(np.mean(list(by_kind.values())))
    return {"image_auroc": mean} | by_kind | {"image_auroc_pooled": pooled} | average_precision


def decision_figures(samples: Sequence[ReportSample], threshold: float | None, origin: str) -> dict[str, Any]:
    """F1, accuracy, sensitivity and specificity, at the best threshold for F1 and at the detector's own.

    Args:
        samples: Of the test set.
        threshold: The detector's; None where it has none.
        origin: How that was chosen.
    """
    scores, defective = [sample.score for sample in samples], [sample.defective for sample in samples]
    best = decisions_at_best_f1(scores, defective)._asdict()
    own = None if threshold is None else decisions_at(threshold, origin, scores, defective)._asdict()
    named = {"f1_threshold": best.pop("threshold"), "f1_threshold_origin": best.pop("threshold_origin")}
    return best | named | {"at_threshold": own}


def report_metrics(figures: Mapping[str, Any]) -> list[Metric]:
    """What was measured beside image and pixel AUROC, for people.

    Args:
        figures: Of `evaluate --json`.
    """
    metrics = [
        Metric(label, figures[name], detail)
        for name, (label, detail) in TITLES.items()
        if figures.get(name) is not None
    ]
    if figures["at_threshold"] is not None:
        metrics.append(_f1("F1", figures["at_threshold"], "at the detector's threshold"))
    return [*metrics, _f1("F1, best", figures, "at a threshold chosen on the test scores: an oracle")]


def paper_figures(figures: Mapping[str, Any]) -> PaperFigures | None:
    """What the system's paper reports of the same category, for people; None where it reports nothing.

    Args:
        figures: Of `evaluate --json`.
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
