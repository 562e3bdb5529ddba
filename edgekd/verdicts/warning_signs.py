"""Signs that the scores of good images are a weak ground for a limit."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from edgekd.verdicts.good_scores import robust_deviation

APART = 1.0  # Medians, in robust deviations of the scores that were trained on.
HARDLY_FOUND = 0.7  # Image AUROC.


def learned_by_heart(held_out: ArrayLike, trained: ArrayLike) -> str | None:
    """A warning where held-out good images score otherwise than those that were trained on.

    Args:
        held_out: float [N], scores.
        trained: float [M], scores.
    """
    unseen, learned = np.asarray(held_out, np.float64), np.asarray(trained, np.float64)
    if not learned.size:
        return None
    between, spread = float(np.median(unseen) - np.median(learned)), robust_deviation(learned)
    if abs(between) <= APART * spread:
        return None
    return (
        f"the median score of held-out good images is {np.median(unseen):.4g}, of those that were trained on "
        f"{np.median(learned):.4g}: the detector knows these by heart, or they differ; more images help"
    )


def synthetic_overlap(held_out: ArrayLike, defects: ArrayLike) -> str | None:
    """A warning where synthetic defects hardly score above good images.

    Args:
        held_out: float [N], scores of good images.
        defects: float [M], scores of synthetic defects in them.
    """
    good, bad = np.asarray(held_out, np.float64), np.asarray(defects, np.float64)[:, None]
    auroc = float(((bad > good) + (bad == good) / 2).mean())
    if auroc >= HARDLY_FOUND:
        return None
    return (
        f"synthetic defects in held-out images hardly score above good ones (image AUROC {auroc:.2f}): "
        "a longer training or larger images may find more"
    )
