"""The figures of an evaluation by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.artifact import Manifest
from edgekd.data.layouts import Category, TestImage
from edgekd.data.loco import read_regions
from edgekd.errors import EdgekdError
from edgekd.metrics.auroc import image_auroc
from edgekd.metrics.average_precision import image_ap
from edgekd.metrics.decisions import decisions_at, decisions_at_best_f1
from edgekd.metrics.pixel_figures import PixelFigures, SproFigures
from edgekd.metrics.pixel_scores import Region
from edgekd.reports.evaluation import ReportSample
from edgekd.result import Verdict
from edgekd.runner.pipeline import Answer
from edgekd.view import WHOLE, View

PIXEL_METRICS = ("pixel_auroc", "pixel_ap", "pro", "pro_rd4ad", "iap", "iap_at_90")
COUNTED = ("empty_masks", "unseen_defects", "unseen_pixels")  # What the pixel metrics leave out.


class PixelMetrics:
    """The pixel metrics of a category, collected image by image: no map is kept in its full size.

    Args:
        category: Whose test images are evaluated.
        view: Of the detector.
    """

    def __init__(self, category: Category, view: View = WHOLE) -> None:
        self._leaves_out = view.leaves_out
        self._pixels = PixelFigures() if category.has_masks else None
        self._rules = category.saturation_rules
        self._spro = SproFigures(_kinds(category)) if self._rules is not None else None

    def add(self, image: TestImage, answer: Answer, mask: NDArray[np.bool_] | None) -> None:
        """Counts an image.

        Args:
            image: Of the test set.
            answer: The detector's, with the anomaly map and, for sPRO, the image.
            mask: bool [H, W] in the size of the map, True where defective; None for a good image.

        Raises:
            EdgekdError: The masks differ from those in the dataset's archive.
        """
        anomaly_map = answer.result.anomaly_map
        assert anomaly_map is not None
        if self._pixels is not None:
            self._pixels.add(anomaly_map, mask, np.isnan(anomaly_map) if self._leaves_out else None)
        if self._spro is None:
            return
        # sPRO is defined in the size of the original image, as its saturation areas are.
        assert self._rules is not None
        assert answer.image is not None
        height, width = answer.image.shape[:2]
        full = cv2.resize(anomaly_map, (width, height), interpolation=cv2.INTER_LINEAR)
        found = read_regions(image.mask, self._rules) if image.mask else []
        for region in found:
            if region.mask.shape != (height, width):
                raise EdgekdError(
                    f"the masks in {image.mask} differ in size from {image.path}: copy both from the dataset again"
                )
        regions = [Region(np.flatnonzero(region.mask), region.saturation_area) for region in found]
        unseen = np.isnan(full) if self._leaves_out else None
        kind = _kind(image.defect) if image.defective else None
        self._spro.add(np.asarray(full, np.float32), kind, regions, unseen)

    def figures(self) -> dict[str, float | None]:
        """The figures, 0..1, by their names; None where the category has no masks."""
        figures: dict[str, float | None] = dict.fromkeys((*PIXEL_METRICS, *COUNTED))
        if self._pixels is not None:
            figures |= self._pixels.figures() | {name: getattr(self._pixels, name) for name in COUNTED}
        return figures | (self._spro.figures() if self._spro is not None else {})


def image_figures(category: Category, samples: Sequence[ReportSample]) -> dict[str, float]:
    """Image metrics; MVTec LOCO AD's AUROC is the mean over its two kinds of anomalies, each against the good images.

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
        samples: The test set.
        threshold: The detector's; None where it has none.
        origin: How that was chosen.
    """
    scores, defective = [sample.score for sample in samples], [sample.defective for sample in samples]
    best = decisions_at_best_f1(scores, defective)._asdict()
    own = None if threshold is None else decisions_at(threshold, origin, scores, defective)._asdict()
    named = {"f1_threshold": best.pop("threshold"), "f1_threshold_origin": best.pop("threshold_origin")}
    return best | named | {"at_threshold": own}


def limit_counts(samples: Sequence[ReportSample], manifest: Manifest) -> list[dict[str, Any]] | None:
    """What each limit of the detector promised, and what it does to the test set.

    Args:
        samples: The test set.
        manifest: Of the artifact.

    Returns:
        By the rate that was asked for: `value`, `expected`, `bound`; `rejected` of the `good` images, `missed` of the
        defective ones, `ng`. None where the artifact holds no threshold, or one of an earlier version.
    """
    threshold = manifest.get("threshold") or {}
    if not threshold.get("limits"):
        return None
    good = np.array([sample.score for sample in samples if not sample.defective])
    bad = np.array([sample.score for sample in samples if sample.defective])
    return [
        {name: limit[name] for name in ("false_reject_rate", "value", "expected", "bound")}
        | {"good": good.size, "rejected": int(np.count_nonzero(good > limit["value"]))}
        | {"ng": bad.size, "missed": int(np.count_nonzero(bad <= limit["value"]))}
        for limit in threshold["limits"]
    ]


def verdict_counts(samples: Sequence[ReportSample]) -> dict[str, int]:
    """How many verdicts of each kind there are, and how many of them are wrong.

    Args:
        samples: The test set.
    """
    counts = {verdict.value: sum(sample.verdict is verdict for sample in samples) for verdict in Verdict}
    false_rejects = sum(sample.verdict is Verdict.NG and not sample.defective for sample in samples)
    missed = sum(sample.verdict is Verdict.OK and sample.defective for sample in samples)
    return counts | {"false_rejects": false_rejects, "missed_defects": missed}


def _kind(defect: str) -> str:
    """A kind of anomaly of MVTec LOCO AD by its folder's name."""
    return defect.removesuffix("_anomalies")


def _kinds(category: Category) -> list[str]:
    return sorted({_kind(image.defect) for image in category.test if image.defective})
