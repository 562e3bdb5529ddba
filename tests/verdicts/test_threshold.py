from __future__ import annotations

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.result import Verdict, verdict_of
from edgekd.verdicts.threshold import carried_threshold, threshold_from_good

USUAL = np.exp(np.random.default_rng(0).normal(0, 0.1, 100))


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
    scores = np.random.default_rng(count).normal(9, size=count).round(1)  # None stands out.
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
    assert threshold_from_good(np.arange(40), 0.0).origin == "the highest score of 40 held-out good images"


def test_one_image_is_too_few() -> None:
    with pytest.raises(EdgekdError, match="at least 2 held-out good images, got 1"):
        threshold_from_good([3.0], 0.1)


def test_the_promise_rests_on_the_held_out_images_alone() -> None:
    threshold = threshold_from_good(USUAL[:30], 0.0, trained=USUAL[30:])
    assert (threshold.good_images, threshold.trained_images, threshold.above) == (30, 70, 0)
    assert threshold.bound == pytest.approx(0.095, abs=1e-3)
    assert threshold.images_wanted is None  # Nothing brings the bound to 0.
    assert threshold_from_good(USUAL[:30], 0.01, trained=USUAL[30:]).images_wanted == 269


def test_images_that_were_trained_on_count_at_the_median_of_those_held_out() -> None:
    # Half lower: shifted by a half, the highest of them decides, as if it had been held out.
    alone = threshold_from_good(USUAL, 0.0)
    pooled = threshold_from_good(USUAL, 0.0, trained=USUAL - 0.5)
    assert pooled.value == pytest.approx(alone.value)
    held_out = np.sort(USUAL)[10:90]
    assert threshold_from_good(held_out, 0.0).value < threshold_from_good(held_out, 0.0, trained=USUAL - 0.5).value


def test_what_is_expected_is_counted_on_all_good_images() -> None:
    threshold = threshold_from_good(USUAL[:30], 0.0, trained=USUAL[30:])
    assert threshold.expected == pytest.approx(1 / 101)
    assert threshold.bound == pytest.approx(0.095, abs=1e-3)


def test_more_held_out_images_above_the_limit_than_chance_explains_raise_it() -> None:
    # Of 200 images two may be above a limit for 1 %: 1.28 and 1.3. Both of only ten that were held out are too many.
    held_out, trained = np.append(np.ones(7), [1.25, 1.28, 1.3]), np.linspace(0.8, 1.2, 190)
    threshold = threshold_from_good(held_out, 0.01, trained)
    assert (threshold.value, threshold.above) == (1.28, 1)
    assert threshold_from_good(held_out, 0.1, trained).value < 1.25


def test_one_odd_image_neither_decides_nor_is_left_out_in_silence() -> None:
    names = [f"{index}.png" for index in range(101)]
    scores = np.append(USUAL, 3.0)
    threshold = threshold_from_good(scores, 0.0, names=names)
    assert threshold.value == USUAL.max()
    assert threshold.suspicious == ({"name": "100.png", "score": 3.0},)
    assert threshold.origin.endswith("; 1 set aside as an outlier")
    # It may be good all the same, so it counts as rejected.
    assert (threshold.above, threshold.expected) == (1, pytest.approx(2 / 102))


def test_an_odd_image_that_was_trained_on_is_named_with_its_own_score() -> None:
    trained = np.append(USUAL / 2, 1.5)
    names = [f"{index}.png" for index in range(201)]
    threshold = threshold_from_good(USUAL, 0.0, trained, names)
    assert threshold.suspicious == ({"name": "200.png", "score": 1.5},)
    assert threshold.above == 0


def test_the_table_of_limits_holds_the_rate_that_was_asked_for_and_others() -> None:
    limits = {limit.false_reject_rate: limit for limit in threshold_from_good(USUAL, 0.03).limits}
    assert sorted(limits) == [0, 0.01, 0.02, 0.03, 0.05, 0.1]
    assert [limits[rate].above for rate in sorted(limits)] == [0, 1, 2, 3, 5, 10]
    assert limits[0.1].expected == pytest.approx(11 / 101)


def test_the_median_of_the_good_images_does_not_depend_on_what_is_set_aside() -> None:
    threshold = threshold_from_good(np.append(USUAL, [3.0] * 5), 0.01)
    assert threshold.median_good == pytest.approx(np.median(USUAL))


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
    before = threshold_from_good(scores, 0.0)
    carried = carried_threshold(before, scores, rounded)
    assert carried.value == pytest.approx(2.1)
    assert carried.median_good == pytest.approx(1.6)
    assert carried.good_images == 11
    assert "which leaves 1 of the held-out ones above it" in carried.origin
    assert (carried.above, carried.expected, before.above) == (1, pytest.approx(2 / 12), 0)
    assert [limit.value - other.value for limit, other in zip(carried.limits, before.limits, strict=True)] == (
        pytest.approx([0.1] * 5)
    )


def test_what_a_carried_threshold_promises_rests_on_the_held_out_images() -> None:
    scores, names = np.append(USUAL, 3.0), [str(index) for index in range(101)]
    before = threshold_from_good(scores[:50], 0.0, scores[50:], names)
    carried = carried_threshold(before, scores, scores + 0.25, 50, names)
    assert carried.bound == pytest.approx(before.bound)
    assert carried.suspicious == ({"name": "100", "score": 3.25},)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_threshold_is_not_carried_over_lost_scores(broken):
    scores = np.linspace(1.0, 2.0, 11)
    with pytest.raises(EdgekdError, match="finite scores"):
        carried_threshold(threshold_from_good(scores, 0.0), scores, [*scores[:-1], broken])
