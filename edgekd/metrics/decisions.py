"""F1, accuracy, sensitivity and specificity of the verdicts at a threshold, with the threshold's origin."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from edgekd.metrics.auroc import check_images

ORACLE = "oracle: the threshold of the highest F1 on the test scores themselves, which is unknown in production"


class Decisions(NamedTuple):
    """The figures of the verdicts at a threshold; defective is positive.

    Attributes:
        f1: 2 TP / (2 TP + FP + FN), 0..1.
        accuracy: The share of right verdicts, 0..1.
        sensitivity: The share of defective images that are NG, 0..1.
        specificity: The share of good images that are OK, 0..1.
        threshold: Scores above it are NG.
        threshold_origin: How the threshold was chosen.
    """

    f1: float
    accuracy: float
    sensitivity: float
    specificity: float
    threshold: float
    threshold_origin: str


def decisions_at(threshold: float, origin: str, scores: ArrayLike, defective: ArrayLike) -> Decisions:
    """The figures at a threshold.

    Args:
        threshold: Scores above it are NG.
        origin: How it was chosen.
        scores: float [N], higher is more anomalous.
        defective: bool [N].

    Raises:
        EdgekdError: Good or defective images are missing, or a score is not finite.
    """
    checked, labels = check_images("F1", scores, defective)
    rejected = checked.astype(np.float64) > threshold  # Of float32 scores NumPy would round the threshold.
    hits, false_alarms = int(np.sum(rejected & labels)), int(np.sum(rejected & ~labels))
    positives, negatives = int(labels.sum()), int((~labels).sum())
    return Decisions(
        f1=2 * hits / (hits + false_alarms + positives),
        accuracy=(hits + negatives - false_alarms) / labels.size,
        sensitivity=hits / positives,
        specificity=1 - false_alarms / negatives,
        threshold=threshold,
        threshold_origin=origin,
    )


def decisions_at_best_f1(scores: ArrayLike, defective: ArrayLike) -> Decisions:
    """The figures at the threshold of the highest F1; of several, the highest threshold.

    It is chosen on the test scores, so it is an upper bound and not what a detector reaches.

    Args:
        scores: float [N], higher is more anomalous.
        defective: bool [N].

    Returns:
        The figures; the threshold is the highest score that is OK, and just below the lowest where all are NG.

    Raises:
        EdgekdError: Good or defective images are missing, or a score is not finite.
    """
    checked, labels = check_images("F1", scores, defective)
    different, places = np.unique(checked.astype(np.float64), return_inverse=True)
    hits = np.bincount(places, labels)[::-1].cumsum()[::-1]
    rejected = np.bincount(places)[::-1].cumsum()[::-1]
    f1 = 2 * hits / (rejected + labels.sum())
    best = f1.size - 1 - int(np.argmax(f1[::-1]))
    threshold = different[best - 1] if best else np.nextafter(different[0], -np.inf)
    return decisions_at(float(threshold), ORACLE, checked, labels)
