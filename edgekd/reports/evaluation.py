"""The content of an evaluation report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.data.images import Image
from edgekd.result import Verdict


@dataclass(frozen=True)
class ReportSample:
    """One test image and the detector's result for it.

    Attributes:
        name: Its path in the test set.
        defect: The name of its class; "good" for a good one.
        defective: Whether it shows a defect.
        score: The raw image score; NaN where there is none.
        verdict: The detector's; only ERROR counts where the report has no threshold.
        image: uint8 [H, W, 3], BGR, in the size for the report, such as 256 pixels; None to show none.
        anomaly_map: Raw, float32 [h, w] of any size; None where there is none.
        mask: bool [h, w] of any size, True where defective; None where there is none.
        severity: The score on the scale of typical good images, 0, to the threshold, 1; NaN where it is not known.
    """

    name: str
    defect: str
    defective: bool
    score: float
    verdict: Verdict
    image: Image | None
    anomaly_map: NDArray[np.float32] | None
    mask: NDArray[np.bool_] | None
    severity: float = math.nan

    @property
    def scored(self) -> bool:
        """Whether the score is finite."""
        return math.isfinite(self.score)


class Metric(NamedTuple):
    """A figure of merit.

    Attributes:
        label: Its name for people.
        value: 0..1.
        detail: What it is computed over.
    """

    label: str
    value: float
    detail: str


class PaperRow(NamedTuple):
    """A metric beside the one that the system's paper reports.

    Attributes:
        label: The metric's name for people.
        ours, paper: 0..1.
        note: What is wrong with the printed figure; empty where nothing is known.
    """

    label: str
    ours: float
    paper: float
    note: str


class PaperFigures(NamedTuple):
    """What the system's paper reports for the same category.

    Attributes:
        of: Dataset and category.
        rows: The metrics that both have.
        differences: What differs in the set-up, one line each.
    """

    of: str
    rows: list[PaperRow]
    differences: list[str]


@dataclass(frozen=True)
class EvaluationReport:
    """The figures of an evaluation and the images behind them.

    Attributes:
        title: The headline, such as the detector's and the category's name.
        image_auroc: 0..1.
        pixel_auroc: 0..1; None where the dataset has no masks.
        metrics: The other metrics, in the order in which to show them.
        threshold: Above which a score is NG; None where the detector has none, and no verdict is reported.
        threshold_origin: How the threshold was chosen.
        samples: Every test image.
        provenance: System, training, teacher, graph, engine and device; name -> text.
        latency: Stage -> min, mean, median, p90, p95, p99 in milliseconds; None where it was not measured.
        paper: What the system's paper reports; None where it reports nothing for this category.
        notes: What a reader must know, one sentence each.
        pixel_limit: Above which the map is in a region, which the gallery outlines; NaN where there is none.
        limits: What the detector's limits promised and what they do to the test set, as `evaluate --json` has them.
        view: What of an image is looked at, in words; empty where that is the whole image, stretched.
        view_image: The view drawn over a test image, uint8 [h, w, 3] BGR; None where the whole image is looked at.
    """

    title: str
    image_auroc: float
    pixel_auroc: float | None
    metrics: list[Metric]
    threshold: float | None
    threshold_origin: str
    samples: list[ReportSample]
    provenance: dict[str, str]
    latency: dict[str, dict[str, float]] | None
    paper: PaperFigures | None
    notes: list[str]
    pixel_limit: float = math.nan
    limits: Sequence[Mapping[str, Any]] = ()
    view: str = ""
    view_image: Image | None = None
