from __future__ import annotations

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.result import Verdict, verdict_of
from edgekd.verdicts.threshold import carried_threshold, threshold_from_good


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(0.0, 20), (0.049, 20), (0.05, 19), (0.099, 19), (0.1, 18), (0.5, 10)],
)
def test_the_threshold_is_the_score_that_leaves_the_share_above_it(rate: float, expected: int) -> None:
    shuffled = np.random.default_rng(0).permutation(np.arange(1, 21))
    assert threshold_from_good(shuffled, rate).value == expected


def test_a_share_that_floating_point_misses_is_still_met() -> None:
    assert 0.29 * 100 < 29
    assert threshold_from_good(np.arange(1, 101), 0.29).value == 71


def test_ties_are_rejected_together_or_not_at_all() -> None:
    scores = [1.0] * 15 + [2.0] * 5
    assert threshold_from_good(scores, 0.1).value == 2
    assert threshold_from_good(scores, 0.25).value == 1


@pytest.mark.parametrize("rate", [0.0, 0.03, 0.1, 0.37, 0.5])
@pytest.mark.parametrize("count", [10, 33, 60])
def test_no_smaller_threshold_keeps_the_rate(count: int, rate: float) -> None:
    scores = np.random.default_rng(count).gamma(2, size=count).round(1)
    value = threshold_from_good(scores, rate).value
    assert np.mean(scores > value) <= rate
    assert np.mean(scores > np.nextafter(value, -np.inf)) > rate


def test_the_image_at_the_threshold_is_judged_ok() -> None:
    scores = np.random.default_rng(1).random(12, np.float32)
    threshold = threshold_from_good(scores, 0.0)
    assert {verdict_of(float(score), threshold.value) for score in scores} == {Verdict.OK}


def test_the_origin_says_how_it_was_chosen() -> None:
    threshold = threshold_from_good(np.arange(40), 0.05)
    assert (threshold.false_reject_rate, threshold.good_images) == (0.05, 40)
    assert threshold.origin == "at most 5 % of 40 held-out good images above it"
    assert threshold_from_good(np.arange(40), 0.01).origin == "the highest score of 40 held-out good images"


def test_fewer_than_ten_images_are_refused() -> None:
    with pytest.raises(EdgekdError, match="at least 10 held-out good images, got 9"):
        threshold_from_good(np.arange(9), 0.1)


@pytest.mark.parametrize("rate", [-0.01, 0.51, float("nan")])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(EdgekdError, match=r"must be a share from 0 to 0\.5"):
        threshold_from_good(np.arange(20), rate)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_refused(broken: float) -> None:
    with pytest.raises(EdgekdError, match="those of 1 of 12 good images are NaN or infinite"):
        threshold_from_good([*range(11), broken], 0.1)


def test_a_carried_threshold_moves_as_the_scores_of_good_images_do():
    scores = np.linspace(1.0, 2.0, 11)
    rounded = scores + 0.1
    rounded[-1] *= 3  # One image that is rounded badly decides nothing.
    carried = carried_threshold(threshold_from_good(scores, 0.0), scores, rounded)
    assert carried.value == pytest.approx(2.1)
    assert carried.good_images == 11
    assert "which leaves 1 of them above it" in carried.origin


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_threshold_is_not_carried_over_lost_scores(broken):
    scores = np.linspace(1.0, 2.0, 11)
    with pytest.raises(EdgekdError, match="finite scores"):
        carried_threshold(threshold_from_good(scores, 0.0), scores, [*scores[:-1], broken])
