"""Average precision of images and of pixels: the sum of (R_n - R_(n-1)) P_n over the thresholds, not interpolated."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from edgekd.metrics.auroc import check_images, scikit_learn_metrics
from edgekd.metrics.pixel_scores import PixelLevels, require


def image_ap(scores: ArrayLike, defective: ArrayLike) -> float:
    """Average precision over images.

    Args:
        scores: float [N], higher is more anomalous.
        defective: bool [N].

    Returns:
        0..1; for scores that are all equal, the share of defective images.

    Raises:
        EdgekdError: Good or defective images are missing, or a score is not finite.
        MachineError: scikit-learn is not installed.
    """
    checked, labels = check_images("image AP", scores, defective)
    return float(scikit_learn_metrics().average_precision_score(labels, checked))


def pixel_ap(levels: PixelLevels) -> float:
    """Average precision over all pixels of all test images, pooled.

    Args:
        levels: The test set's.

    Returns:
        0..1; for a constant map, the share of defective pixels.

    Raises:
        EdgekdError: Good or defective pixels are missing.
    """
    require("pixel AP", levels)
    found, wrong = np.cumsum(levels.defective), np.cumsum(levels.good)
    return float(np.sum(levels.defective * found / (found + wrong)) / found[-1])
