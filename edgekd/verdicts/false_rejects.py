"""What good images can promise of a limit: the share of new good parts above it, from how many of n images are.

The images must be like those that follow, and the detector must not have learned from them. Then the share of new good
parts above the score that k of n images exceed is distributed as Beta(k + 1, n - k), whatever the scores look like.
"""

from __future__ import annotations

import math

CONFIDENCE = 0.95
MOST_IMAGES = 100_000  # Nobody collects more to have a promise kept.


def expected_share(above: int, count: int) -> float:
    """The share of new parts that is expected above a limit: the mean of Beta(above + 1, count - above).

    Args:
        above: Images above the limit.
        count: Images in all.

    Returns:
        0..1; 1 where all are above it, or there is none.
    """
    return min(1.0, (above + 1) / (count + 1))


def share_bound(above: int, count: int) -> float:
    """The share of new parts above a limit that is not exceeded with a confidence of 95 %.

    It is the upper limit of Clopper and Pearson (Biometrika 1934): the share at which so few images, or fewer, would be
    above the limit in one of twenty draws.

    Args:
        above: Images above the limit.
        count: Images in all.

    Returns:
        0..1; 1 where all are above it, or there is none.
    """
    if above >= count:
        return 1.0
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        if _at_most(above, count, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def explained_by_chance(count: int, share: float) -> int:
    """The most images that may be above a limit before a share of new parts above it becomes doubtful.

    Args:
        count: Images in all.
        share: Of all parts, that are above the limit, 0..1.

    Returns:
        The largest number that so many images, or more, reach in one of twenty draws and oftener.
    """
    above = 0
    while above < count and 0 < share < 1 and 1 - _at_most(above, count, share) >= 1 - CONFIDENCE:
        above += 1
    return above


def images_wanted(above: int, count: int, share: float) -> int | None:
    """How many more images, none of them above the limit, would bring the bound to a share.

    Args:
        above: Images above the limit.
        count: Images in all.
        share: That the bound should not exceed, 0..1.

    Returns:
        The number; None where the bound is there already, or is out of reach.
    """
    if share_bound(above, count) <= share:
        return None
    low, high = count, MOST_IMAGES
    if share_bound(above, high) > share:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if share_bound(above, middle) <= share:
            high = middle
        else:
            low = middle
    return high - count


def _at_most(above: int, count: int, share: float) -> float:
    """The chance that at most so many of `count` images are above a limit that a share of all, in (0, 1), is above."""
    total = 0.0
    for number in range(above + 1):
        ways = math.lgamma(count + 1) - math.lgamma(number + 1) - math.lgamma(count - number + 1)
        total += math.exp(ways + number * math.log(share) + (count - number) * math.log1p(-share))
    return total
