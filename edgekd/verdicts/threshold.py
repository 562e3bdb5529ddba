"""The threshold of a detector, from good images alone: no defective ones are available when a line starts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from edgekd.errors import EdgekdError

FEWEST_IMAGES = 10
HIGHEST_RATE = 0.5


@dataclass(frozen=True)
class Threshold:
    """A threshold and how it was chosen.

    Attributes:
        value: Scores above it are NG.
        false_reject_rate: The share of good images that was allowed to be NG, 0..0.5.
        good_images: How many it was chosen from.
        origin: How it was chosen, as text, for manifests and reports.
    """

    value: float
    false_reject_rate: float
    good_images: int
    origin: str


def threshold_from_good(scores: ArrayLike, false_reject_rate: float) -> Threshold:
    """The smallest threshold that rejects at most a given share of held-out good images.

    It is an order statistic, the score of one of the images: nothing is fitted or interpolated. So n images
    resolve the rate in steps of 1/n, and any rate below 1/n gives their highest score. Of future good parts,
    the share (k + 1) / (n + 1) is expected above the threshold, where k images were allowed above it: with 40
    images that is at least 2.4 %, whatever rate was requested.

    Args:
        scores: float [N], of good images that the detector was not trained on; at least 10.
        false_reject_rate: The share of them that may be NG, 0..0.5.

    Raises:
        EdgekdError: There are fewer than 10 scores, one is not finite, or the rate is out of range.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64).ravel())
    count = ordered.size
    if count < FEWEST_IMAGES:
        raise EdgekdError(f"a threshold needs at least {FEWEST_IMAGES} held-out good images, got {count}")
    broken = np.count_nonzero(~np.isfinite(ordered))
    if broken:
        raise EdgekdError(
            f"a threshold needs finite scores: those of {broken} of {count} good images are NaN or infinite"
        )
    if not 0 <= false_reject_rate <= HIGHEST_RATE:
        raise EdgekdError(f"the false reject rate must be a share from 0 to {HIGHEST_RATE}, got {false_reject_rate}")
    # The small term corrects products such as 0.29 * 100, which is 28.999999999999996.
    rejects = math.floor(false_reject_rate * count + 1e-9)
    value = float(ordered[count - 1 - rejects])
    return Threshold(value, false_reject_rate, count, _origin(false_reject_rate, count, rejects))


def carried_threshold(threshold: Threshold, scores: ArrayLike, rounded_scores: ArrayLike) -> Threshold:
    """The threshold of a detector in lower precision: the float32 one's, shifted as the scores of good images shift.

    Choosing it anew would depend on how one image, the highest of the good ones, happens to be rounded. The median
    over all of them is what the precision does to scores.

    Args:
        threshold: The float32 detector's.
        scores: float [N], the float32 detector's, of the good images that its threshold was chosen from.
        rounded_scores: float [N], of the same images, by the detector in lower precision.

    Raises:
        EdgekdError: A score is not finite.
    """
    change = np.asarray(rounded_scores, np.float64) - np.asarray(scores, np.float64)
    if not np.isfinite(change).all():
        raise EdgekdError("a threshold needs finite scores of the good images: the artifact's are NaN or infinite")
    median = float(np.median(change))
    value = threshold.value + median
    above = int(np.count_nonzero(np.asarray(rounded_scores, np.float64) > value))
    origin = (
        f"{threshold.origin}, by the float32 network; shifted by {median:+.3g}, the median change of their scores, "
        f"which leaves {above} of them above it"
    )
    return Threshold(value, threshold.false_reject_rate, threshold.good_images, origin)


def _origin(rate: float, count: int, rejects: int) -> str:
    if rejects == 0:
        return f"the highest score of {count} held-out good images"
    return f"at most {100 * rate:.3g} % of {count} held-out good images above it"
