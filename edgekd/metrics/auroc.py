"""AUROC, of images and of pixels: the chance that a defective one scores higher than a good one, ties one half."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgekd.errors import EdgekdError, missing_package
from edgekd.metrics.pixel_scores import PixelLevels, PixelScores, require


def image_auroc(scores: ArrayLike, defective: ArrayLike) -> float:
    """AUROC over images.

    Args:
        scores: float [N], higher is more anomalous.
        defective: bool [N].

    Returns:
        The area under the ROC curve, 0..1.

    Raises:
        EdgekdError: Good or defective images are missing, or a score is not finite.
        MachineError: scikit-learn is not installed.
    """
    checked, labels = check_images("image AUROC", scores, defective)
    return float(scikit_learn_metrics().roc_auc_score(labels, checked))


def pixel_auroc(maps: Iterable[NDArray[np.float32]], masks: Iterable[NDArray[np.bool_]]) -> float:
    """AUROC over all pixels of all test images, pooled.

    Args:
        maps: One anomaly map an image, float32 [H, W], higher is more anomalous.
        masks: One mask an image, bool [H, W] of the same size; all False for a good image.

    Returns:
        The area under the ROC curve, 0..1.

    Raises:
        EdgekdError: Maps and masks do not match, good or defective pixels are missing, or a pixel is not finite.
    """
    maps, masks = list(maps), list(masks)
    if len(maps) != len(masks):
        raise EdgekdError(f"pixel AUROC got {len(maps)} maps and {len(masks)} masks: one mask a map is needed")
    scores = PixelScores()
    for anomaly_map, mask in zip(maps, masks, strict=True):
        scores.add(anomaly_map, mask)
    return pixel_auroc_of(scores.levels())


def pixel_auroc_of(levels: PixelLevels) -> float:
    """AUROC over all pixels of a test set that was counted image by image; see `pixel_auroc`.

    Args:
        levels: Of the test set.

    Returns:
        0..1; 0.5 of a constant map.

    Raises:
        EdgekdError: Good or defective pixels are missing.
    """
    require("pixel AUROC", levels)
    good = levels.good.sum()
    good_below = good - np.cumsum(levels.good)
    pairs_in_order = np.sum(levels.defective * (good_below + levels.good / 2))
    return float(pairs_in_order / good / levels.defective.sum())


def scikit_learn_metrics() -> ModuleType:
    """scikit-learn's metrics, which take a second to import.

    Raises:
        MachineError: scikit-learn is not installed.
    """
    try:
        import sklearn.metrics
    except ImportError as error:
        raise missing_package("scikit-learn", "evaluation") from error
    metrics: ModuleType = sklearn.metrics
    return metrics


def check_images(
    metric: str, scores: ArrayLike, defective: ArrayLike
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Refuses images that a metric over good and defective ones is not defined on.

    Args:
        metric: To name in the error.
        scores: float [N].
        defective: bool [N].

    Returns:
        Scores and labels as arrays.

    Raises:
        EdgekdError: Scores and labels differ in number, good or defective images are missing, or a score is not
            finite.
    """
    checked, labels = np.asarray(scores), np.asarray(defective, dtype=np.bool_)
    if checked.shape != labels.shape or checked.ndim != 1:
        raise EdgekdError(f"{metric} got {checked.size} scores and {labels.size} labels: one an image is needed")
    for wanted, kind in ((~labels, "good"), (labels, "defective")):
        if not wanted.any():
            raise EdgekdError(f"{metric} needs good and defective images: there is no {kind} image")
    broken = np.count_nonzero(~np.isfinite(checked))
    if broken:
        raise EdgekdError(f"{metric} needs finite scores: {broken} of {checked.size} images have none")
    return checked, labels
