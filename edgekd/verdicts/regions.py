"""Where in a frame something is wrong: connected regions of the anomaly map above the pixel limit."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.result import Region

MOST_REGIONS = 100  # Listed of a frame; a map that is above the limit in more places is wrong as a whole.


class Regions(NamedTuple):
    """The regions of a frame.

    Attributes:
        listed: The highest peak first, at most a hundred.
        more: How many there are beyond them.
    """

    listed: tuple[Region, ...]
    more: int


NO_REGIONS = Regions((), 0)


def find_regions(anomaly_map: NDArray[np.float32], limit: float, height: int, width: int) -> Regions:
    """The connected regions where an anomaly map is above a limit.

    Pixels that touch at a corner are connected.

    Args:
        anomaly_map: Raw, float32 [h, w], of the whole frame; NaN where nothing is looked at, which is in no region.
        limit: Above it the map is part of a region; where it is not finite there are none.
        height, width: Of the frame, in pixels.
    """
    if not math.isfinite(limit):
        return NO_REGIONS
    above = anomaly_map > limit  # False for NaN.
    if not above.any():
        return NO_REGIONS
    count, labels, stats, centroids = cv2.connectedComponentsWithStats(above.astype(np.uint8), connectivity=8)
    peaks = np.full(count, -np.inf)
    np.maximum.at(peaks, np.asarray(labels, np.intp)[above], anomaly_map[above])
    down, across = height / anomaly_map.shape[0], width / anomaly_map.shape[1]
    order = sorted(range(1, count), key=lambda label: -peaks[label])  # Label 0 is what is not above the limit.
    listed = []
    for label in order[:MOST_REGIONS]:
        left, top, box_width, box_height, area = (int(value) for value in stats[label])
        x, y = math.floor(left * across), math.floor(top * down)
        right = min(width, math.ceil((left + box_width) * across))
        bottom = min(height, math.ceil((top + box_height) * down))
        # The centre of the map's first pixel is half a pixel of the map from the frame's edge.
        centre = tuple(
            float((at + 0.5) * scale - 0.5) for at, scale in zip(centroids[label], (across, down), strict=True)
        )
        listed.append(
            Region(
                max(1, round(area * down * across)),
                (x, y, right - x, bottom - y),
                (centre[0], centre[1]),
                float(peaks[label]),
            )
        )
    return Regions(tuple(listed), max(0, count - 1 - MOST_REGIONS))
