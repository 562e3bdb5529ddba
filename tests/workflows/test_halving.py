"""How the time of `choose` is laid out, and which candidates go on."""

import pytest

from edgekd.workflows.candidates import Candidate, Trial
from edgekd.workflows.halving import OVERHEAD, Round, first_round, next_round, rank

SMALL = [Candidate(f"system{number}", (128, 128), ("teacher",)) for number in range(6)]
ALL = [*SMALL, *(Candidate(each.system, (256, 256), each.teachers) for each in SMALL)]


MEAN_OVERHEAD = OVERHEAD * (1 + 4) / 2  # Images of 256 pixels have four times those of 128.


def trial(candidate, auroc, minutes=0.5, overhead=20.0, error=None):
    return Trial(*candidate, 1, "run", minutes, 100, auroc, 60 * minutes + overhead, error)


def test_a_third_of_the_time_is_for_all_candidates_alike():
    plan = first_round(ALL, 7200, at_once=1)
    assert plan.candidates == ALL
    assert 12 * (60 * plan.minutes + MEAN_OVERHEAD) == pytest.approx(2400)


def test_side_by_side_each_has_more_time():
    plan = first_round(ALL, 3600, at_once=5)
    assert 3 * (60 * plan.minutes + MEAN_OVERHEAD) == pytest.approx(1200)  # Twelve on five workers are three turns.


def test_too_little_time_is_for_the_small_sizes():
    plan = first_round(ALL, 12 * 3 * (MEAN_OVERHEAD + 29), at_once=1)
    assert plan.candidates == SMALL
    assert 6 * (60 * plan.minutes + OVERHEAD) == pytest.approx(12 * (MEAN_OVERHEAD + 29))  # They share all of it.
    assert first_round(ALL, 12 * 3 * (MEAN_OVERHEAD + 31), at_once=1).candidates == ALL


def test_however_little_time_there_is_each_is_trained_for_moments():
    plan = first_round(ALL, 60, at_once=1)
    assert (plan.candidates, 60 * plan.minutes) == (SMALL, pytest.approx(30))


def test_the_best_third_goes_on_with_what_the_overhead_leaves_of_its_share():
    ranked = [trial(each, 0.9, overhead=20) for each in ALL]
    plan = next_round(2, Round(ALL, 0.5), ranked, 1200, at_once=1)
    assert plan.candidates == ALL[:4]
    assert 4 * (60 * plan.minutes + 20) == pytest.approx(600)  # Half of the time left, since another round follows.
    last = next_round(3, plan, [trial(each, 0.9, plan.minutes) for each in ALL[:4]], 600, at_once=1)
    assert last.candidates == ALL[:2]
    assert 2 * (60 * last.minutes + 20) == pytest.approx(600)
    assert next_round(4, last, ranked, 600, at_once=1) is None


def test_fewer_go_on_where_they_would_not_be_trained_clearly_longer():
    ranked = [trial(each, 0.9, minutes=1, overhead=0) for each in ALL]
    plan = next_round(2, Round(ALL, 1), ranked, 2 * 3 * 95, at_once=1)
    assert plan.candidates == ALL[:3]
    assert next_round(2, Round(ALL, 1), ranked, 91, at_once=1).candidates == ALL[:1]
    assert next_round(2, Round(ALL, 1), ranked, 89, at_once=1) is None


def test_none_goes_on_where_none_comes_into_question():
    assert next_round(2, Round(ALL, 1), [], 3600, at_once=1) is None


def test_ranked_are_those_that_are_fast_enough_and_did_not_fail():
    latency = {"system0_128": 12.0, "system1_128": 8.0, "system2_128": 30.0}
    failed = trial(SMALL[3], None, error="no")
    trials = [trial(SMALL[0], 0.95), trial(SMALL[1], 0.90), trial(SMALL[2], 0.99), failed]
    assert rank(trials, latency, None) == [trials[2], trials[0], trials[1]]
    assert rank(trials, latency, 12.0) == [trials[0], trials[1]]
    assert rank(trials, latency, 1.0) == []


def test_of_equal_ones_the_faster_wins_then_the_one_trained_longer():
    latency = {"system0_128": 12.0, "system1_128": 8.0}
    slow, fast, longer = trial(SMALL[0], 0.9504), trial(SMALL[1], 0.9496), trial(SMALL[1], 0.9496, minutes=2)
    assert rank([slow, fast, longer], latency, None) == [longer, fast, slow]
