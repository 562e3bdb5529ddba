from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from edgekd.errors import EdgekdError
from edgekd.metrics.pixel_scores import PixelLevels, PixelScores, Region, collect, connected_regions
from edgekd.metrics.pro import pro, pro_rd4ad

Maps = Sequence[NDArray[np.float32]]
Masks = Sequence[NDArray[np.bool_]]


def one_row(scores: list[float], mask: list[int]) -> tuple[Maps, Masks]:
    return [np.array([scores], np.float32)], [np.array([mask], np.bool_)]


def random_set(seed: int) -> tuple[Maps, Masks]:
    """Maps with many ties, masks with regions of many sizes, good images among them."""
    generator = np.random.default_rng(seed)
    masks = [generator.random((12, 14)) < share for share in (0.1, 0.15, 0.0, 0.05, 0.0)]
    return [(generator.integers(0, 40, m.shape) + 15 * m).astype(np.float32) / 8 for m in masks], masks


# Regions {9, 7} and {8, 1}; good pixels 6, 5, 4, 3. From the highest score down, (rate, overlap) runs through
# (0, 1/4) at 9, (0, 1/2) at 8, (0, 3/4) at 7, then (1/4, 3/4), (1/2, 3/4), (3/4, 3/4), (1, 3/4), (1, 1).
TWO_REGIONS = one_row([9, 7, 6, 8, 1, 5, 4, 3], [1, 1, 0, 1, 1, 0, 0, 0])


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_pro_is_the_mean_over_the_regions(limit: float) -> None:
    assert pro(collect(*TWO_REGIONS), limit) == pytest.approx(0.75, abs=1e-12)


def test_pro_is_cut_at_the_limit_inside_a_slope() -> None:
    # The tie of a defective and a good pixel at 2 is one threshold: from (0, 1/2) at 3 to (1/2, 1), then to (1, 1).
    # At rate 0.3 the overlap is 0.5 + 0.3 = 0.8; the area is 0.3 * (0.5 + 0.8) / 2 and is divided by 0.3.
    levels = collect(*one_row([3, 2, 2, 1], [1, 1, 0, 0]))
    assert pro(levels, 0.3) == pytest.approx(0.65, abs=1e-12)
    # To 1: 0.5 * (0.5 + 1) / 2 + 0.5 * 1.
    assert pro(levels, 1.0) == pytest.approx(0.875, abs=1e-12)


def test_pro_counts_the_pixels_of_good_images() -> None:
    # With the good image's pixel at 9 the rate is 1/3 before anything is found: nothing below 0.3.
    maps, masks = one_row([3, 1, 1], [1, 0, 0])
    assert pro(collect(maps, masks)) == 1
    assert pro(collect([*maps, np.array([[9.0]], np.float32)], [*masks, np.array([[False]])])) == 0


def test_pixels_that_touch_at_a_corner_are_one_region() -> None:
    # One region of 3 pixels, 2 of them found without a false positive: 2/3. Were they two: (1/1 + 1/2) / 2 = 3/4.
    mask = np.array([[1, 0, 0], [0, 1, 1]], np.bool_)
    assert len(connected_regions(mask)) == 1
    levels = collect([np.array([[9, 2, 2], [2, 8, 1]], np.float32)], [mask])
    assert pro(levels) == pytest.approx(2 / 3, abs=1e-12)


@pytest.mark.parametrize("limit", [0.3, 1.0])
def test_a_constant_map_follows_the_diagonal(limit: float) -> None:
    # From (0, 0) to (1, 1) in one step: limit^2 / 2, divided by the limit.
    assert pro(collect(*one_row([4, 4, 4], [1, 0, 0])), limit) == pytest.approx(limit / 2, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("limit", "saturation"), [(0.3, 1.0), (0.05, 0.4), (1.0, 0.5)])
def test_pro_agrees_with_thresholding_at_every_score(seed: int, limit: float, saturation: float) -> None:
    maps, masks = random_set(seed)
    expected = naive_pro(maps, masks, limit, saturation)
    assert pro(saturated(maps, masks, saturation), limit) == pytest.approx(expected, abs=1e-12)


def test_spro_gives_full_marks_at_the_saturation_area() -> None:
    # A region of 4 pixels that 2 saturate: (0, 1/2) at 9, (0, 1) at 8; the pixels at 2 and 1 add nothing.
    levels = saturated(*one_row([9, 8, 2, 1, 5, 3], [1, 1, 1, 1, 0, 0]), share=0.5)
    assert pro(levels, 0.05) == 1
    # All 4 of it: 2 are found at rate 0, up to a rate of 1/2 and so to 0.05.
    assert pro(saturated(*one_row([9, 8, 2, 1, 5, 3], [1, 1, 1, 1, 0, 0]), share=1.0), 0.05) == 0.5


def test_spro_is_cut_at_its_limit() -> None:
    # 20 good pixels. A region of 2 of which both are needed: 9 is found before, and 7 with the good pixel at 7, the
    # rate 1/20: from (0, 1/2) to (0.05, 1). The area to 0.05 is 0.75 of it, to 0.01 (0.5 + 0.6) / 2 of that.
    levels = saturated(*one_row([9, 7, 7] + [1] * 19, [1, 1] + [0] * 20), share=1.0)
    assert pro(levels, 0.05) == pytest.approx(0.75, abs=1e-12)
    assert pro(levels, 0.01) == pytest.approx(0.55, abs=1e-12)


def test_regions_that_overlap_each_count() -> None:
    # Two regions share the pixel at 9: both are half found by it. The good pixel at 5 comes before their others.
    scores = PixelScores()
    regions = [Region(np.array([0, 1]), 2), Region(np.array([0, 2]), 2)]
    scores.add(np.array([[9, 1, 1, 5]], np.float32), np.array([[True, True, True, False]]), regions)
    assert pro(scores.levels(), 0.05) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize(("mask", "missing"), [([0, 0], "defective"), ([1, 1], "good")])
def test_pixels_that_are_missing_are_named(mask: list[int], missing: str) -> None:
    with pytest.raises(EdgekdError, match=f"there are no {missing} pixels"):
        pro(collect(*one_row([1, 2], mask)))


def test_masks_without_regions_are_named() -> None:
    scores = PixelScores()
    scores.add(np.array([[1, 2]], np.float32), np.array([[False, True]]))
    with pytest.raises(EdgekdError, match="needs defective regions"):
        pro(scores.levels())


def test_pro_of_rd4ad_worked_by_hand() -> None:
    # Scores 0 to 200, so the thresholds are 0, 1, ... 199. Region {200, 50}; good pixels 150, 0 x 3, so the rate is
    # 1/4 while the threshold is below 150 and 0 from there on (a pixel at 0 is never above it: no rate is higher).
    # Stretched, the rates are 0 for 150..199 with overlap 1/2, and 1 with overlap 1/2 (50..149) or 1 (0..49). The
    # area is one step from rate 0 to rate 1 between 1/2 and 1/2.
    maps, masks = one_row([200, 50, 150, 0, 0, 0], [1, 1, 0, 0, 0, 0])
    assert pro_rd4ad(maps[0], connected_regions(masks[0])) == pytest.approx(0.5, abs=1e-12)
    # With the region's second pixel at 150 too they are crossed together: from 1/2 to 1.
    maps, masks = one_row([200, 150, 150, 0, 0, 0], [1, 1, 0, 0, 0, 0])
    assert pro_rd4ad(maps[0], connected_regions(masks[0])) == pytest.approx(0.75, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_pro_of_rd4ad_agrees_with_thresholding_one_by_one(seed: int) -> None:
    generator = np.random.default_rng(seed)
    mask = generator.random((16, 16)) < 0.1
    anomaly_map = (generator.random(mask.shape) + 0.4 * mask).astype(np.float32)
    expected = naive_pro_rd4ad(anomaly_map, mask)
    assert pro_rd4ad(anomaly_map, connected_regions(mask)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([1, 1, 0, 0], 1.0), ([2, 1, 0, 0], 1.0), ([3, 3, 3, 3], 0.0), ([0, 0, 1, 1], 0.0)],
    ids=["perfect", "perfect in steps", "constant", "wrong throughout"],
)
def test_pro_of_rd4ad_where_its_code_has_no_answer(scores: list[float], expected: float) -> None:
    maps, masks = one_row(scores, [1, 1, 0, 0])
    assert pro_rd4ad(maps[0], connected_regions(masks[0])) == expected


def test_pro_of_rd4ad_needs_a_region_and_a_good_pixel() -> None:
    anomaly_map = np.array([[1, 2]], np.float32)
    with pytest.raises(EdgekdError, match="marks no pixel"):
        pro_rd4ad(anomaly_map, [])
    with pytest.raises(EdgekdError, match="marks all of them"):
        pro_rd4ad(anomaly_map, connected_regions(np.ones((1, 2), np.bool_)))


def saturated(maps: Maps, masks: Masks, share: float) -> PixelLevels:
    scores = PixelScores()
    for each, mask in zip(maps, masks, strict=True):
        regions = [Region(part, max(1, int(share * part.size))) for part, _ in connected_regions(mask)]
        scores.add(each, mask, regions)
    return scores.levels()


def components(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    labels, count = scipy.ndimage.label(mask, np.ones((3, 3)))
    return [labels == number for number in range(1, count + 1)]


def naive_pro(maps: Maps, masks: Masks, limit: float, saturation: float) -> float:
    """From the definition, threshold by threshold; `saturation` is the share of a region that must be found."""
    good = sum(np.sum(~mask) for mask in masks)
    rates, overlaps = [0.0], [0.0]
    for threshold in sorted({float(score) for each in maps for score in each.ravel()}, reverse=True):
        pairs = list(zip(maps, masks, strict=True))
        rates.append(sum(np.sum((each >= threshold) & ~mask) for each, mask in pairs) / good)
        parts = [(each[part], max(1, int(saturation * part.sum()))) for each, m in pairs for part in components(m)]
        overlaps.append(np.mean([min(np.sum(scores >= threshold) / area, 1) for scores, area in parts]))
    area = 0.0
    for left, right, low, high in zip(rates, rates[1:], overlaps, overlaps[1:], strict=False):
        if left >= limit or left == right:
            continue
        end = min(right, limit)
        at_end = low + (high - low) * (end - left) / (right - left)
        area += (end - left) * (low + at_end) / 2
    return area / limit


def naive_pro_rd4ad(anomaly_map: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    low, high = float(anomaly_map.min()), float(anomaly_map.max())
    rates, overlaps = [], []
    for step in range(200):
        binary = anomaly_map > low + step * (high - low) / 200
        rate = np.sum(binary & ~mask) / np.sum(~mask)
        if rate < 0.3:
            rates.append(rate)
            overlaps.append(np.mean([binary[part].mean() for part in components(mask)]))
    stretched = np.array(rates) / max(rates)
    return float(np.sum((stretched[:-1] - stretched[1:]) * (np.array(overlaps)[:-1] + np.array(overlaps)[1:]) / 2))
