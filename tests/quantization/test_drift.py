import numpy as np
import pytest
from scipy.stats import spearmanr

from edgekd.quantization.drift import map_noise, measure_drift, rank_correlation, verdict_flips


def test_noise_is_the_error_over_what_the_map_varies():
    maps = np.asarray([[[0.0, 2.0], [4.0, 6.0]]], np.float32)
    assert map_noise(maps, maps + 0.5) == pytest.approx(0.5 / np.sqrt(5))


def test_noise_of_equal_flat_maps_is_nothing_and_of_others_infinite():
    flat = np.ones((1, 2, 2), np.float32)
    assert map_noise(flat, flat) == 0
    assert map_noise(flat, flat + 1) == np.inf


def test_a_map_that_is_lost_drifts_infinitely():
    maps = np.asarray([[[0.0, 1.0]]], np.float32)
    assert map_noise(maps, np.asarray([[[np.nan, 1.0]]], np.float32)) == np.inf


def test_differences_are_over_the_range():
    maps = np.asarray([[[0.0, 10.0]]], np.float32)
    drift = measure_drift(maps, np.asarray([[[1.0, 10.0]]], np.float32), [1, 2, 3], [1, 3, 2])
    assert drift.largest == pytest.approx(0.1)
    assert drift.mean == pytest.approx(0.05)
    assert drift.rank_correlation == pytest.approx(0.5)


def test_rank_correlation_is_spearmans_with_ties():
    random = np.random.default_rng(0)
    left, right = random.integers(0, 9, 60), random.integers(0, 9, 60)
    assert rank_correlation(left, right) == pytest.approx(spearmanr(left, right).statistic)
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None


def test_a_flip_is_another_verdict_by_the_artifacts_own_threshold():
    assert verdict_flips([1.0, 2.0, 3.0], 1.5, [2.0, 2.6, 6.0], 2.5) == 0
    assert verdict_flips([1.0, 2.0, 3.0], 1.5, [1.0, 2.0, 3.0], 2.5) == 1
