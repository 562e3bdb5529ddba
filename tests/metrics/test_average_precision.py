from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from edgekd.errors import EdgekdError
from edgekd.metrics.average_precision import image_ap, pixel_ap
from edgekd.metrics.pixel_scores import collect


def test_image_ap_worked_by_hand() -> None:
    # Down from 4: defective (recall 1/2, precision 1), good, defective (recall 1, precision 2/3), good.
    assert image_ap([4, 3, 2, 1], [True, False, True, False]) == pytest.approx(1 / 2 + 1 / 2 * 2 / 3, abs=1e-12)


def test_pixel_ap_pools_the_pixels_of_all_images_and_takes_ties_together() -> None:
    # 4 defective: recall 1/3 at precision 1. The tie of two at 3, one defective: recall 2/3 at 2/3. Then a good one at
    # 2, and the last defective at 1: recall 1 at 3/5.
    maps = [np.array([[4, 3]], np.float32), np.array([[3, 2, 1]], np.float32)]
    masks = [np.array([[True, True]]), np.array([[False, False, True]])]
    assert pixel_ap(collect(maps, masks)) == pytest.approx(1 / 3 * (1 + 2 / 3 + 3 / 5), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_pixel_ap_agrees_with_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    maps = [generator.integers(-30, 30, (9, 11)).astype(np.float32) / 3 for _ in range(5)]
    masks = [generator.random((9, 11)) < 0.2 for _ in range(5)]
    expected = average_precision_score(np.ravel(masks), np.ravel(maps))
    assert pixel_ap(collect(maps, masks)) == pytest.approx(expected, abs=1e-12)


def test_equal_scores_have_the_share_of_defective_ones() -> None:
    assert image_ap([1, 1, 1, 1], [True, False, False, False]) == 0.25
    assert pixel_ap(collect([np.ones((1, 4), np.float32)], [np.array([[True, False, False, False]])])) == 0.25


@pytest.mark.parametrize(("label", "missing"), [(True, "good"), (False, "defective")])
def test_a_missing_class_is_named(label: bool, missing: str) -> None:
    with pytest.raises(EdgekdError, match=f"image AP needs good and defective images: there are no {missing}"):
        image_ap([1.0, 2.0], [label, label])
    with pytest.raises(EdgekdError, match=f"pixel AP needs good and defective pixels: there are no {missing}"):
        pixel_ap(collect([np.ones((1, 2), np.float32)], [np.full((1, 2), label)]))
