from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from edgekd.errors import EdgekdError
from edgekd.metrics.iap import instance_average_precision
from edgekd.metrics.pixel_scores import collect


def levels_of(scores: list[float], mask: list[int]):
    return collect([np.array([scores], np.float32)], [np.array([mask], np.bool_)])


def test_iap_worked_by_hand() -> None:
    # Region {9, 6, 5}: index floor(3 / 2) = 1, its score is 6. Region {8, 7}: index 1, its score is 7. Good: 7, 6.5, 1.
    # From the lowest: at 6, recall 1, the pixels 9 8 7 7 6.5 6 are rejected, 4 of the 6 defective: 2/3.
    # At 7, recall 1/2: 9 8 7 7, of which 3: 3/4. IAP = (2/3 + 3/4) / 2. The recall of at least 0.9 is 1: 2/3.
    found = instance_average_precision(levels_of([9, 6, 5, 7, 8, 7, 6.5, 1], [1, 1, 1, 0, 1, 1, 0, 0]))
    assert found.iap == pytest.approx((2 / 3 + 3 / 4) / 2, abs=1e-12)
    assert found.iap_at_90 == pytest.approx(2 / 3, abs=1e-12)


def test_a_recall_has_the_best_precision_of_the_higher_ones() -> None:
    # Regions {1} and {9}; good: 10, 0. At 1, recall 1: 2 of 3. At 9, recall 1/2: 1 of 2, which 2/3 replaces.
    found = instance_average_precision(levels_of([1, 0, 9, 10], [1, 0, 1, 0]))
    assert found.iap == pytest.approx(2 / 3, abs=1e-12)


def test_iap_at_90_leaves_out_one_region_of_ten() -> None:
    # Nine regions at 9, one at 1, a good pixel at 5. Recall 1: 10 of 11; recall 0.9: 9 of 9.
    scores, mask = [9.0, 0.0] * 9 + [1.0, 0.0, 5.0], [1, 0] * 9 + [1, 0, 0]
    found = instance_average_precision(levels_of(scores, mask))
    assert found.iap_at_90 == 1
    assert found.iap == pytest.approx((10 / 11 + 9) / 10, abs=1e-12)


def test_a_constant_map_has_the_share_of_defective_pixels() -> None:
    assert instance_average_precision(levels_of([4, 4, 4, 4], [1, 0, 0, 0])) == (0.25, 0.25)


@pytest.mark.parametrize("seed", range(6))
def test_iap_agrees_with_its_definition_on_random_maps(seed: int) -> None:
    generator = np.random.default_rng(seed)
    masks = [generator.random((20, 15)) < share for share in (0.1, 0.05, 0.0, 0.2)]
    maps = [(generator.integers(-20, 20, m.shape) + 9 * m).astype(np.float32) / 7 for m in masks]
    assert instance_average_precision(collect(maps, masks)) == pytest.approx(naive_iap(maps, masks), abs=1e-12)


@pytest.mark.parametrize(("mask", "missing"), [([0, 0], "defective"), ([1, 1], "good")])
def test_pixels_that_are_missing_are_named(mask: list[int], missing: str) -> None:
    with pytest.raises(EdgekdError, match=f"IAP needs good and defective pixels: there are no {missing} pixels"):
        instance_average_precision(levels_of([1, 2], mask))


def naive_iap(maps: list[NDArray[np.float32]], masks: list[NDArray[np.bool_]]) -> tuple[float, float]:
    scores, defective = np.concatenate([m.ravel() for m in maps]), np.concatenate([m.ravel() for m in masks])
    halves = []
    for each, mask in zip(maps, masks, strict=True):
        labels, count = scipy.ndimage.label(mask, np.ones((3, 3)))
        halves += [sorted(each[labels == n], reverse=True)[np.sum(labels == n) // 2] for n in range(1, count + 1)]
    halves.sort()
    precisions = [np.sum(defective[scores >= half]) / np.sum(scores >= half) for half in halves]
    best = [max(precisions[: n + 1]) for n in range(len(halves))]
    recalls = [1 - n / len(halves) for n in range(len(halves))]
    return float(np.mean(best)), best[max(n for n, recall in enumerate(recalls) if recall >= 0.9)]
