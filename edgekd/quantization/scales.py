"""The scale of each activation in INT8, from the magnitudes that it takes on real images."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from edgekd.precisions import CalibrationMethod
from edgekd.quantization.histogram import BINS, Histogram
from edgekd.quantization.qdq import LEVELS

PERCENTILE = 99.99
ENTROPY_STRIDE = 16  # Bins between the limits that entropy tries.


def min_max(histogram: Histogram) -> float:
    """The largest magnitude: nothing is clipped."""
    return histogram.largest


def percentile(histogram: Histogram) -> float:
    """The magnitude that 99.99 % of the values stay below."""
    below = np.cumsum(histogram.counts)
    bin_above = int(np.searchsorted(below, below[-1] * PERCENTILE / 100))
    return min((bin_above + 1) * histogram.limit / BINS, histogram.largest)


def entropy(histogram: Histogram) -> float:
    """The limit at which 128 steps represent the distribution best: least Kullback-Leibler divergence.

    Source: Migacz, 8-bit Inference with TensorRT (GTC 2017).
    """
    steps = LEVELS + 1
    limits = range(steps, BINS + 1, ENTROPY_STRIDE)
    divergences = [_divergence(histogram.counts, limit, steps) for limit in limits]
    best = limits[int(np.argmin(divergences))]
    return min(best * histogram.limit / BINS, histogram.largest)


METHODS: dict[CalibrationMethod, Callable[[Histogram], float]] = {
    "min-max": min_max,
    "percentile": percentile,
    "entropy": entropy,
}


def scales_of(histograms: Mapping[str, Histogram], method: CalibrationMethod) -> dict[str, float]:
    """The scale of each tensor by a calibration method.

    Args:
        histograms: By tensor.
        method: How activation scales are computed.
    """
    limits = {name: METHODS[method](histogram) if histogram.largest else 1.0 for name, histogram in histograms.items()}
    return {name: limit / LEVELS for name, limit in limits.items()}


def _divergence(counts: NDArray[np.int64], limit: int, steps: int) -> float:
    """Of the distribution clipped at a bin from the same in steps, each bin of a step an equal share of its count."""
    reference = counts[:limit].astype(np.float64)
    occupied = reference > 0
    step_of = np.arange(limit) * steps // limit
    totals = np.bincount(step_of, weights=reference, minlength=steps)
    members = np.bincount(step_of, weights=occupied, minlength=steps)
    candidate = np.where(occupied, totals[step_of] / np.maximum(members[step_of], 1), 0.0)
    reference[-1] += counts[limit:].sum()  # What is clipped lands in the last bin, in the reference only.
    if candidate[-1] == 0 and reference[-1] > 0:
        return float("inf")
    p, q = reference / reference.sum(), candidate / candidate.sum()
    return float(np.sum(p[p > 0] * np.log(p[p > 0] / q[p > 0])))
