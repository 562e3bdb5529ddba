"""PRO, the per-region overlap, in two forms that are not comparable: over the test set, and as RD4AD computes it.

The first is that of Bergmann et al., The MVTec Anomaly Detection Dataset (IJCV 2021); with saturation areas it is the
sPRO of Bergmann et al., Beyond Dents and Scratches (IJCV 2022). The second follows hq-deng/RD4AD, test.py,
`compute_pro`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import EdgekdError
from edgekd.metrics.pixel_scores import PixelLevels, Region, refuse_broken, require

PRO_LIMIT = 0.3
SPRO_LIMIT = 0.05
SPRO_FURTHER_LIMITS = (0.01, 0.1, 0.3, 1.0)
RD4AD_THRESHOLDS = 200


def pro(levels: PixelLevels, limit: float = PRO_LIMIT) -> float:
    """Area under the mean overlap with the regions, over the false positive rate, up to a limit.

    The rate is over all good pixels of the test set, those of good images too. Every score is a threshold, and the
    curve is linear in between, also where it crosses the limit. The regions' saturation areas make it the sPRO.

    Args:
        levels: The test set's, with the 8-connected components of its masks as regions.
        limit: False positive rate to integrate to, above 0, at most 1.

    Returns:
        The area divided by the limit, 0..1; limit / 2 for a constant map.

    Raises:
        EdgekdError: There are no good pixels, no defective pixels, or no regions.
    """
    require("PRO", levels, regions=True)
    rates = np.cumsum(levels.good) / levels.good.sum()
    overlaps = np.cumsum(levels.overlap) / levels.half_found.size
    return _area(np.concatenate([[0.0], rates]), np.concatenate([[0.0], overlaps]), limit)


def pro_rd4ad(anomaly_map: NDArray[np.float32], regions: Sequence[Region]) -> float:
    """PRO of one defective image alone, as RD4AD computes it; a test set's is the mean over its defective images.

    200 thresholds in equal steps from the lowest score up, the false positive rate is that of this image, and the
    points below a rate of 0.3 are stretched to fill 0 to 1.

    Args:
        anomaly_map: float32 [H, W], higher is more anomalous.
        regions: The 8-connected components of the image's mask; at least one.

    Returns:
        The area, 0..1. Where RD4AD's code has no result: 0 for a constant map, or where no threshold gives a rate below
        0.3; the highest overlap without a false positive where no other rate is below 0.3.

    Raises:
        EdgekdError: There is no region or no good pixel, or a pixel's score is not finite.
    """
    scores = np.asarray(anomaly_map, np.float32).ravel()
    refuse_broken(scores)
    if not regions:
        raise EdgekdError("PRO of an image needs a defective region: its mask marks no pixel")
    good = np.delete(scores, np.concatenate([region.pixels for region in regions]))
    if good.size == 0:
        raise EdgekdError("PRO of an image needs good pixels: its mask marks all of them")
    low, high = float(scores.min()), float(scores.max())
    thresholds = np.linspace(low, high, RD4AD_THRESHOLDS, endpoint=False, dtype=np.float64)[::-1]
    rates = _share_above(good, thresholds)
    overlaps = np.mean([_share_above(scores[region.pixels], thresholds) for region in regions], axis=0)
    below = rates < PRO_LIMIT
    if low == high or not below.any():
        return 0.0
    rates, overlaps = rates[below], overlaps[below]
    if rates[-1] == 0:
        return float(overlaps.max())
    return _trapezoids(rates / rates[-1], overlaps)


def _share_above(scores: NDArray[np.float32], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    not_above = np.searchsorted(np.sort(scores).astype(np.float64), thresholds, side="right")
    return (scores.size - not_above) / scores.size


def _area(rates: NDArray[np.float64], overlaps: NDArray[np.float64], limit: float) -> float:
    """The area under a curve up to a limit, divided by it.

    Args:
        rates: float64 [L], ascending from 0 to 1.
        overlaps: float64 [L], at these rates.
        limit: Above 0, at most 1.
    """
    inside = int(np.searchsorted(rates, limit, side="right"))
    area = _trapezoids(rates[:inside], overlaps[:inside])
    if inside < rates.size:
        last, beyond = inside - 1, limit - rates[inside - 1]
        slope = (overlaps[inside] - overlaps[last]) / (rates[inside] - rates[last])
        area += float(beyond * (overlaps[last] + slope * beyond / 2))
    return area / limit


def _trapezoids(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
