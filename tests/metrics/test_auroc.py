from __future__ import annotations

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.metrics.auroc import image_auroc, pixel_auroc


@pytest.mark.parametrize(
    ("good", "defective", "expected"),
    [
        ([1, 2], [3, 4], 1.0),
        ([3, 4], [1, 2], 0.0),
        ([5, 5, 5], [5, 5], 0.5),
        ([1, 3], [2], 0.5),
        ([1, 2, 3], [2, 3, 4], (1.5 + 2.5 + 3) / 9),  # 2 and 3 each tie once, which counts one half.
    ],
)
def test_image_auroc_is_the_share_of_pairs_in_order(good: list[int], defective: list[int], expected: float) -> None:
    labels = [False] * len(good) + [True] * len(defective)
    assert image_auroc([*good, *defective], labels) == pytest.approx(expected, abs=1e-12)


def test_image_auroc_agrees_with_counting_every_pair() -> None:
    generator = np.random.default_rng(3)
    scores = generator.integers(0, 12, 80).astype(np.float32)
    defective = generator.random(80) < 0.4
    difference = scores[defective][:, None] - scores[~defective][None, :]
    expected = np.mean((difference > 0) + 0.5 * (difference == 0))
    assert image_auroc(scores, defective) == pytest.approx(expected, abs=1e-12)


def test_pixel_auroc_pools_the_pixels_of_all_images() -> None:
    # Each image alone is in perfect order; pooled, the defect at 1 lies below the good pixel at 2.
    maps = [np.array([[0, 1]], np.float32), np.array([[2, 3]], np.float32)]
    masks = [np.array([[False, True]])] * 2
    assert pixel_auroc(maps, masks) == pytest.approx(3 / 4, abs=1e-12)


def test_pixel_auroc_counts_the_pixels_of_good_images() -> None:
    maps = np.array([[[0, 2]], [[1, 3]]], np.float32)
    masks = np.array([[[False, True]], [[False, False]]])
    assert pixel_auroc(maps, masks) == pytest.approx(2 / 3, abs=1e-12)


def test_pixel_auroc_takes_images_of_different_sizes() -> None:
    maps = [np.array([[0, 9]], np.float32), np.array([[1], [8], [2]], np.float32)]
    masks = [np.array([[False, True]]), np.array([[False], [True], [False]])]
    assert pixel_auroc(maps, masks) == 1.0


@pytest.mark.parametrize(("label", "missing"), [(True, "good"), (False, "defective")])
def test_a_missing_class_is_named(label: bool, missing: str) -> None:
    with pytest.raises(EdgekdError, match=f"there are no {missing} images"):
        image_auroc([1.0, 2.0], [label, label])


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_counted_in_the_error(broken: float) -> None:
    with pytest.raises(EdgekdError, match="those of 1 of 3 images are NaN or infinite"):
        image_auroc([1.0, broken, 2.0], [False, True, True])
    with pytest.raises(EdgekdError, match="those of 1 of 2 pixels are NaN or infinite"):
        pixel_auroc([np.array([[0, broken]], np.float32)], [np.array([[True, False]])])


def test_scores_and_labels_of_different_number_are_refused() -> None:
    with pytest.raises(EdgekdError, match="3 scores and 2 labels"):
        image_auroc([1.0, 2.0, 3.0], [True, False])


def test_maps_and_masks_that_do_not_match_are_refused() -> None:
    with pytest.raises(EdgekdError, match="1 maps and 0 masks"):
        pixel_auroc([np.zeros((2, 2), np.float32)], [])
    with pytest.raises(EdgekdError, match=r"map of shape \(2, 2\) needs a mask of the same shape, got \(4, 4\)"):
        pixel_auroc([np.zeros((2, 2), np.float32)], [np.zeros((4, 4), np.bool_)])
