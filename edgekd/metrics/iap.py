"""IAP, instance average precision: the precision over pixels at which defects, large or small, are found.

Source: Zhang et al., DeSTSeg (CVPR 2023), and apple/ml-destseg, model/metrics.py, `IAPS`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgekd.metrics.pixel_scores import PixelLevels, require


class InstanceAveragePrecision(NamedTuple):
    """IAP and IAP@90.

    Attributes:
        iap: The mean precision over the regions' recalls, 0..1.
        iap_at_90: The precision at the lowest recall of at least 0.9, 0..1.
    """

    iap: float
    iap_at_90: float


def instance_average_precision(levels: PixelLevels) -> InstanceAveragePrecision:
    """IAP and IAP@90 of a test set.

    A region is found where more than half its pixels score at least the threshold. Every region's own threshold is a
    point: the share of regions found there, and the precision over all pixels of the test set, or a higher one that
    the detector reaches at a higher recall.

    Args:
        levels: The test set's, with the connected components of its masks as regions.

    Raises:
        EdgekdError: There are no good pixels, no defective pixels, or no regions.
    """
    require("IAP", levels, regions=True)
    found = np.cumsum(levels.defective)
    precisions = found / (found + np.cumsum(levels.good))
    thresholds = np.sort(levels.half_found)[::-1]  # From the lowest score, where all regions are found.
    envelope = np.maximum.accumulate(precisions[thresholds])
    recalls = 1 - np.arange(envelope.size) / envelope.size
    at_90 = np.flatnonzero(recalls >= 0.9)[-1]
    return InstanceAveragePrecision(float(envelope.mean()), float(envelope[at_90]))
