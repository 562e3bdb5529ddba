"""Drift: how far what ships is from what was trained, in the terms that matter to its user."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Drift(NamedTuple):
    """The difference of a graph's outputs from a reference's, over the same images.

    Attributes:
        noise: Root mean square of the maps' difference over the standard deviation of the reference's maps: what
            rounding adds, beside what the map varies. `--max-drift` limits this.
        largest, mean: Absolute difference of maps, over the range of the reference's maps.
        rank_correlation: Spearman's, of the scores; None where the reference's are all alike.
    """

    noise: float
    largest: float
    mean: float
    rank_correlation: float | None


def map_noise(reference: NDArray[np.float32], maps: NDArray[np.float32]) -> float:
    """Root mean square of the difference over the reference's standard deviation; infinite where it is NaN.

    Args:
        reference, maps: float32 [N, H, W].
    """
    error = float(np.sqrt(np.mean(np.square(maps - reference, dtype=np.float64))))
    if not np.isfinite(error):
        return float("inf")
    spread = float(reference.std(dtype=np.float64))
    return error / spread if spread else (float("inf") if error else 0.0)


def measure_drift(
    reference: NDArray[np.float32], maps: NDArray[np.float32], reference_scores: ArrayLike, scores: ArrayLike
) -> Drift:
    """The drift of maps [N, H, W] and scores [N] from a reference's."""
    spread = float(reference.max() - reference.min()) or 1.0
    difference = np.abs(maps - reference)
    return Drift(
        map_noise(reference, maps),
        float(difference.max()) / spread,
        float(difference.mean()) / spread,
        rank_correlation(reference_scores, scores),
    )


def rank_correlation(left: ArrayLike, right: ArrayLike) -> float | None:
    """Spearman's correlation of two rows of numbers; None where one of them is constant."""
    ranks = [_ranks(np.asarray(row, np.float64)) for row in (left, right)]
    if min(row.std() for row in ranks) == 0:
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def verdict_flips(reference_scores: ArrayLike, reference_threshold: float, scores: ArrayLike, threshold: float) -> int:
    """How many images get another verdict, each artifact by its own threshold."""
    before = np.asarray(reference_scores) > reference_threshold
    return int(np.count_nonzero(before != (np.asarray(scores) > threshold)))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0 upward; equal values share their mean rank."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    shared: NDArray[np.float64] = (last - counts + last - 1)[group] / 2
    return shared
