"""The input of all pixel metrics: how many good and defective pixels have each score, counted image by image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.errors import EdgekdError
from edgekd.metrics.score_histogram import ScoreHistogram, bits_to_drop, distinct_keys, ordered_keys


class Region(NamedTuple):
    """One defect.

    Attributes:
        pixels: int64 [n], indices into the flattened image.
        saturation_area: How many of them must be found for an overlap of 1, 1..n.
    """

    pixels: NDArray[np.int64]
    saturation_area: int


class PixelLevels(NamedTuple):
    """The pixels of a test set by their scores: an entry per level, from the highest score down.

    Attributes:
        good: float64 [L], the good pixels at each level.
        defective: float64 [L], the defective pixels.
        overlap: float64 [L], what the pixels add to the overlap with the regions, summed over the regions; over all
            levels each region sums to 1.
        half_found: int64 [R], for each region the level at which more than half its pixels are found.
    """

    good: NDArray[np.float64]
    defective: NDArray[np.float64]
    overlap: NDArray[np.float64]
    half_found: NDArray[np.int64]


class PixelScores:
    """Collects the anomaly maps of a test set, one at a time; no map is kept.

    Memory is bounded: it holds three of `ScoreHistogram`.
    """

    def __init__(self) -> None:
        self._good, self._defective, self._overlap = ScoreHistogram(), ScoreHistogram(), ScoreHistogram()
        self._half_scores: list[np.float32] = []

    def add(self, anomaly_map: NDArray[np.float32], mask: NDArray[np.bool_], regions: Sequence[Region] = ()) -> None:
        """Counts the pixels of an image.

        Args:
            anomaly_map: float32 [H, W], higher is more anomalous.
            mask: bool [H, W], True where defective; all False for a good image.
            regions: The mask's; they may overlap each other.

        Raises:
            EdgekdError: Map and mask differ in size, or a pixel's score is not finite.
        """
        scores = np.asarray(anomaly_map, np.float32).ravel()
        if np.shape(anomaly_map) != np.shape(mask):
            raise EdgekdError(
                f"an anomaly map of shape {np.shape(anomaly_map)} needs a mask of the same shape, got {np.shape(mask)}"
            )
        refuse_broken(scores)
        defective = np.asarray(mask, np.bool_).ravel()
        self._good.add(scores[~defective])
        self._defective.add(scores[defective])
        for region in regions:
            self._add_region(np.sort(scores[region.pixels])[::-1], region.saturation_area)

    def levels(self) -> PixelLevels:
        """The counts so far, for the metrics."""
        histograms = (self._good, self._defective, self._overlap)
        shift = max(histogram.shift for histogram in histograms)
        keys = distinct_keys(self._good.levels(shift)[0], self._defective.levels(shift)[0])
        dropped = bits_to_drop(keys)
        shift, keys = shift + dropped, distinct_keys(keys >> np.uint32(dropped))
        good, defective, overlap = (_at_levels(histogram, shift, keys) for histogram in histograms)
        half_keys = ordered_keys(np.array(self._half_scores, np.float32)) >> np.uint32(shift)
        return PixelLevels(good, defective, overlap, keys.size - 1 - np.searchsorted(keys, half_keys))

    def _add_region(self, descending: NDArray[np.float32], saturation_area: int) -> None:
        # The overlap min(found / saturation area, 1) is a sum over pixels: only the highest ones add to it.
        self._overlap.add(descending[:saturation_area], np.full(saturation_area, 1 / saturation_area))
        self._half_scores.append(descending[descending.size // 2])


def connected_regions(mask: NDArray[np.bool_]) -> list[Region]:
    """The 8-connected components of a mask; each must be found as a whole for an overlap of 1.

    Args:
        mask: bool [H, W].
    """
    pixels = np.flatnonzero(mask)
    count, labels = cv2.connectedComponents(np.asarray(mask, np.uint8), connectivity=8)
    order = np.argsort(labels.ravel()[pixels], kind="stable")
    sizes = np.bincount(labels.ravel()[pixels], minlength=count)[1:]
    parts = np.split(pixels[order], np.cumsum(sizes)[:-1]) if pixels.size else []
    return [Region(part, part.size) for part in parts]


def seen(
    anomaly_map: NDArray[np.float32],
    mask: NDArray[np.bool_],
    regions: Sequence[Region],
    unseen: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_], list[Region]]:
    """Leaves out the pixels of an image where the view does not look.

    Args:
        anomaly_map: float32 [H, W].
        mask: bool [H, W], True where defective.
        regions: The mask's.
        unseen: bool [H, W], True where the view does not look; None where it looks everywhere.

    Returns:
        All three as they are where there is no such pixel; else float32 [n] and bool [n], and what is left of the
        regions, with indices into those; the saturation area of a region shrinks as the region does.
    """
    if unseen is None or np.shape(anomaly_map) != np.shape(mask) or not unseen.any():
        return anomaly_map, mask, list(regions)
    places = np.cumsum(~unseen.ravel()) - 1
    left = []
    for region in regions:
        pixels = region.pixels[~unseen.ravel()[region.pixels]]
        if pixels.size:
            area = max(1, round(region.saturation_area * pixels.size / region.pixels.size))
            left.append(Region(places[pixels], area))
    return anomaly_map[~unseen], mask[~unseen], left


def collect(maps: Iterable[NDArray[np.float32]], masks: Iterable[NDArray[np.bool_]]) -> PixelLevels:
    """Counts the pixels of a test set, with the connected components of its masks as regions.

    Args:
        maps: One anomaly map per image, float32 [H, W], higher is more anomalous.
        masks: One mask per image, bool [H, W] of the same size, True where defective; all False for a good image.

    Raises:
        EdgekdError: Maps and masks do not match, or a pixel's score is not finite.
    """
    scores = PixelScores()
    for anomaly_map, mask in zip(maps, masks, strict=True):
        scores.add(anomaly_map, mask, connected_regions(mask))
    return scores.levels()


def require(metric: str, levels: PixelLevels, *, regions: bool = False) -> None:
    """Refuses a test set for which a pixel metric is not defined.

    Args:
        metric: Its name, for the error.
        levels: The test set's.
        regions: Whether the metric needs regions.

    Raises:
        EdgekdError: There are no good pixels, no defective pixels, or no regions.
    """
    for counts, kind in ((levels.good, "good"), (levels.defective, "defective")):
        if not counts.any():
            raise EdgekdError(f"{metric} needs good and defective pixels: there are no {kind} pixels")
    if regions and levels.half_found.size == 0:
        raise EdgekdError(f"{metric} needs defective regions: the masks came without any")


def refuse_broken(scores: NDArray[np.float32]) -> None:
    """Refuses scores that are not finite.

    Raises:
        EdgekdError: Some are not; the message says how many.
    """
    broken = np.count_nonzero(~np.isfinite(scores))
    if broken:
        raise EdgekdError(
            f"pixel metrics need finite scores: those of {broken} of {scores.size} pixels are NaN or infinite"
        )


def _at_levels(histogram: ScoreHistogram, shift: int, keys: NDArray[np.uint32]) -> NDArray[np.float64]:
    """A histogram's totals at given keys, from the highest down."""
    own, totals = histogram.levels(shift)
    spread = np.zeros(keys.size, np.float64)
    spread[np.searchsorted(keys, own)] = totals
    return spread[::-1]
