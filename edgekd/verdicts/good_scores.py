"""The scores of good images: which of them stand out, how those trained on are made comparable, their quantiles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scores = NDArray[np.float64]

OUTLYING = 3.5  # Robust standard deviations.
DEVIATION_OF_MEDIAN_DEVIATION = 1.4826  # So that it is the standard deviation where scores are normally distributed.
QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


def as_if_held_out(trained: Scores, held_out: Scores) -> Scores:
    """The scores of images that were trained on, shifted to the median of those held out.

    A detector scores what it learned from lower, and by about the same amount everywhere in the distribution.

    Args:
        trained: float64 [M].
        held_out: float64 [N], not empty.

    Returns:
        float64 [M].
    """
    if not trained.size:
        return trained
    return trained + (float(np.median(held_out)) - float(np.median(trained)))


def comparable(held_out: Scores, trained: Scores) -> Scores:
    """The scores of all good images on the scale of those held out, these first.

    Args:
        held_out: float64 [N], not empty.
        trained: float64 [M].
    """
    return np.concatenate([held_out, as_if_held_out(trained, held_out)])


def outlying(scores: Scores) -> NDArray[np.bool_]:
    """Which scores lie so far above the others that their images may not be good: 3.5 robust deviations and more.

    Deviations are those of the logarithm from its median, since scores are skewed, in units of their own median times
    1.4826 (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993). Scores of 0 and less are taken as they are.

    Args:
        scores: float64 [N], finite.

    Returns:
        bool [N].
    """
    values = np.log(scores) if scores.size and scores.min() > 0 else scores
    if not values.size:
        return np.zeros(0, np.bool_)
    deviation = robust_deviation(values)  # 0 where more than half are alike: then none can be told to stand out.
    return (values - np.median(values) > OUTLYING * deviation) & (deviation > 0)


def robust_deviation(values: Scores) -> float:
    """The standard deviation as outliers do not change it: 1.4826 times the median deviation from the median.

    Args:
        values: float64 [N], not empty.
    """
    return DEVIATION_OF_MEDIAN_DEVIATION * float(np.median(np.abs(values - np.median(values))))


def quantiles_of(scores: ArrayLike) -> dict[str, Any]:
    """The entry `good_scores` of a manifest, by which a line is watched.

    Args:
        scores: float [N], of good images, finite, not empty.

    Returns:
        `count`, and `quantiles` as pairs of a share and the score that this share is at or below.
    """
    values = np.asarray(scores, np.float64).ravel()
    scores_at = np.quantile(values, QUANTILES).tolist()
    return {"count": values.size, "quantiles": [list(pair) for pair in zip(QUANTILES, scores_at, strict=True)]}


def most_above(good_scores: Mapping[str, Any], limit: float) -> int:
    """The most good images that can be above a limit, as far as their quantiles tell.

    Args:
        good_scores: The entry `good_scores` of a manifest.
        limit: Of the score.

    Returns:
        0..count, never too few.
    """
    last = int(good_scores["count"]) - 1
    at_or_below = [share for share, value in good_scores["quantiles"] if value <= limit]
    # A quantile lies between two images: the one at this place, counted from 0, and all before it are at or below it.
    return last + 1 if not at_or_below else last - math.floor(max(at_or_below) * last)
