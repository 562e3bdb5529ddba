from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from edgekd.errors import EdgekdError
from edgekd.metrics import score_histogram
from edgekd.metrics.auroc import pixel_auroc, pixel_auroc_of
from edgekd.metrics.average_precision import pixel_ap
from edgekd.metrics.iap import instance_average_precision
from edgekd.metrics.pixel_figures import PixelFigures
from edgekd.metrics.pixel_scores import PixelScores, collect, connected_regions
from edgekd.metrics.pro import pro
from edgekd.metrics.score_histogram import ScoreHistogram, ordered_keys


def random_set():
    generator = np.random.default_rng(5)
    masks = [np.zeros((32, 40), np.bool_) for _ in range(8)]
    for mask in masks[::2]:
        mask[4:9, 5:20] = True
        mask[20:23, 30:33] = True
    return [(generator.normal(0.4, 0.2, m.shape) + 0.2 * m).astype(np.float32) for m in masks], masks


def test_keys_are_in_the_order_of_the_scores() -> None:
    scores = np.array([-np.float32(3e38), -2, -1e-30, -1e-45, -0.0, 0.0, 1e-45, 1e-30, 0.5, 2, 3e38], np.float32)
    keys = ordered_keys(scores).astype(np.int64)
    np.testing.assert_array_equal(np.sign(np.diff(keys)), np.sign(np.diff(scores.astype(np.float64))))


def test_pixel_auroc_agrees_with_scikit_learn() -> None:
    maps, masks = random_set()
    assert pixel_auroc(maps, masks) == pytest.approx(roc_auc_score(np.ravel(masks), np.ravel(maps)), abs=1e-12)


def test_a_constant_map_has_a_pixel_auroc_of_a_half() -> None:
    assert pixel_auroc([np.ones((1, 3), np.float32)], [np.array([[True, False, False]])]) == 0.5


def test_merging_often_changes_nothing(monkeypatch) -> None:
    maps, masks = random_set()
    at_once = collect(maps, masks)
    monkeypatch.setattr(score_histogram, "MOST_PENDING", 500)
    for one, other in zip(at_once, collect(maps, masks), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_more_scores_than_fit_are_counted_in_fewer_levels_and_the_figures_hardly_move(monkeypatch) -> None:
    maps, masks = random_set()
    exact = collect(maps, masks)
    monkeypatch.setattr(score_histogram, "MOST_PENDING", 500)
    monkeypatch.setattr(score_histogram, "MOST_LEVELS", 4000)
    coarse = collect(maps, masks)
    assert exact.good.size > 2 * coarse.good.size
    assert coarse.good.size <= 4000
    assert coarse.good.sum() == exact.good.sum()
    assert coarse.overlap.sum() == pytest.approx(coarse.half_found.size)
    labels, scores = np.ravel(masks), np.ravel(maps)
    assert pixel_auroc_of(coarse) == pytest.approx(roc_auc_score(labels, scores), abs=1e-4)
    assert pixel_ap(coarse) == pytest.approx(average_precision_score(labels, scores), abs=2e-3)
    assert pro(coarse) == pytest.approx(pro(exact), abs=1e-3)
    assert instance_average_precision(coarse) == pytest.approx(instance_average_precision(exact), abs=5e-3)


def test_a_histogram_drops_no_more_bits_than_it_must(monkeypatch) -> None:
    monkeypatch.setattr(score_histogram, "MOST_LEVELS", 4)
    histogram = ScoreHistogram()
    histogram.add(np.array([1, 2, 3, 4, 4], np.float32))
    assert histogram.shift == 0
    assert histogram.levels(0)[1].tolist() == [1, 1, 1, 2]
    # 1 and the next float32 after it differ in the lowest bit alone.
    histogram.add(np.nextafter(np.array([1], np.float32), np.float32(2)))
    assert histogram.shift == 1
    assert histogram.levels(1)[1].tolist() == [2, 1, 1, 2]


def test_an_empty_mask_has_no_region() -> None:
    assert connected_regions(np.zeros((4, 5), np.bool_)) == []


def test_a_region_holds_the_pixels_of_its_component() -> None:
    regions = connected_regions(np.array([[1, 1, 0, 0], [0, 0, 0, 1]], np.bool_))
    assert [sorted(region.pixels.tolist()) for region in regions] == [[0, 1], [7]]
    assert [region.saturation_area for region in regions] == [2, 1]


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(EdgekdError, match=r"map of shape \(2, 2\) needs a mask of the same shape, got \(1, 4\)"):
        PixelScores().add(np.zeros((2, 2), np.float32), np.zeros((1, 4), np.bool_))


def test_pixels_that_are_not_looked_at_are_left_out_and_counted():
    rng = np.random.default_rng(2)
    good, scored = rng.normal(0, 1, (2, 20, 30)).astype(np.float32)
    mask = np.zeros((20, 30), np.bool_)
    mask[4:8, 3:9] = mask[12:16, 20:26] = True
    scored[mask] += 1.5
    unseen = np.zeros((20, 30), np.bool_)
    unseen[:, 15:] = True
    seen_part, whole = PixelFigures(), PixelFigures()
    for anomaly_map, marked in ((good, None), (scored, mask)):
        covered = np.where(unseen, np.nan, anomaly_map).astype(np.float32)
        seen_part.add(covered, marked, unseen)
        whole.add(anomaly_map[:, :15], None if marked is None else marked[:, :15])
    assert seen_part.figures() == pytest.approx(whole.figures())
    assert (seen_part.unseen_pixels, seen_part.unseen_defects) == (0.5, 0)
    elsewhere = np.zeros((20, 30), np.bool_)
    elsewhere[12:16, 20:26] = True
    seen_part.add(np.where(unseen, np.nan, scored).astype(np.float32), elsewhere, unseen)
    assert seen_part.unseen_defects == 1
    assert seen_part.figures() == pytest.approx(whole.figures())
