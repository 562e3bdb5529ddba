"""Signs that the scores of good images are a weak ground for a limit.

Each has a code and its figures, of which a page makes a sentence in its reader's language, and a sentence in English.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from edgekd.verdicts.good_scores import robust_deviation

APART = 1.0  # Medians, in robust deviations of the scores that were trained on.
HARDLY_FOUND = 0.7  # Image AUROC.
Sign: TypeAlias = dict[str, Any]  # `code`, `text`, and figures by their names.


def learned_by_heart(held_out: ArrayLike, trained: ArrayLike) -> Sign | None:
    """A warning where held-out good images score otherwise than those that were trained on.

    Args:
        held_out: float [N], scores.
        trained: float [M], scores.
    """
    unseen, learned = np.asarray(held_out, np.float64), np.asarray(trained, np.float64)
    if not learned.size:
        return None
    held_out_median, trained_median = float(np.median(unseen)), float(np.median(learned))
    if abs(held_out_median - trained_median) <= APART * robust_deviation(learned):
        return None
    text = (
        f"the median score of held-out good images is {held_out_median:.4g}, of those that were trained on "
        f"{trained_median:.4g}: the detector knows these by heart, or they differ; more images help"
    )
    return {"code": "known_by_heart", "held_out": held_out_median, "trained": trained_median, "text": text}


def synthetic_overlap(held_out: ArrayLike, defects: ArrayLike) -> Sign | None:
    """A warning where synthetic defects hardly score above good images.

    Args:
        held_out: float [N], scores of good images.
        defects: float [M], scores of synthetic defects in them.
    """
    good, bad = np.asarray(held_out, np.float64), np.asarray(defects, np.float64)[:, None]
    auroc = float(((bad > good) + (bad == good) / 2).mean())
    if auroc >= HARDLY_FOUND:
        return None
    text = (
        f"synthetic defects in held-out images hardly score above good ones (image AUROC {auroc:.2f}): "
        "a longer training or larger images may find more"
    )
    return {"code": "hardly_found", "auroc": auroc, "text": text}


def folders_swapped(good: ArrayLike, defective: ArrayLike) -> Sign | None:
    """A warning where defective images score below good ones: what was given as good may be what is not.

    Args:
        good: float [N], scores.
        defective: float [M], scores; none where none were given.
    """
    scores = np.asarray(defective, np.float64)
    if not scores.size:
        return None
    good_median, defective_median = float(np.median(np.asarray(good, np.float64))), float(np.median(scores))
    if defective_median >= good_median:
        return None
    text = (
        f"the median score of the defective images is {defective_median:.4g}, below {good_median:.4g}, that of the "
        "good ones: look whether the two folders are swapped"
    )
    return {"code": "folders_swapped", "good": good_median, "defective": defective_median, "text": text}
