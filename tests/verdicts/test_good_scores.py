import numpy as np
import pytest

from edgekd.verdicts.good_scores import as_if_held_out, outlying, quantiles_of

USUAL = np.exp(np.random.default_rng(0).normal(0, 0.1, 100))


def test_scores_that_were_trained_on_are_shifted_to_the_median_of_those_held_out():
    assert as_if_held_out(np.array([1.0, 2.0, 4.0]), np.array([3.0, 3.0, 9.0])).tolist() == [2, 3, 5]
    assert as_if_held_out(np.array([-2.0, 0.0, 1.0]), np.array([2.0])).tolist() == [0, 2, 3]
    assert as_if_held_out(np.array([]), np.array([2.0])).tolist() == []


def test_an_image_far_above_the_others_stands_out_whatever_the_scale():
    for scale in (1e-3, 1, 1e3):
        assert np.flatnonzero(outlying(scale * np.append(USUAL, 1.6))).tolist() == [100]


def test_neither_usual_scores_nor_low_ones_stand_out():
    assert not outlying(np.append(USUAL, 0.1)).any()


def test_of_scores_that_are_mostly_alike_none_stands_out():
    assert not outlying(np.array([1.0] * 15 + [2.0] * 5)).any()


@pytest.mark.parametrize("scores", [[-1.0, 0.0, 1.0, 9.0], [-4.0, -3.0, -2.0, 6.0]])
def test_an_image_stands_out_among_scores_that_are_not_positive(scores):
    assert outlying(np.array(scores)).tolist() == [False, False, False, True]


def test_the_quantiles_are_the_scores_that_so_many_images_are_at_or_below():
    entry = quantiles_of(range(101))
    assert entry["count"] == 101
    assert dict(map(tuple, entry["quantiles"])) == {
        0.0: 0, 0.01: 1, 0.05: 5, 0.1: 10, 0.25: 25, 0.5: 50, 0.75: 75, 0.9: 90, 0.95: 95, 0.99: 99, 1.0: 100,
    }  # fmt: skip
