"""The choice of what stays in float, on made noises that add up by their squares, or by more."""

import math

import pytest

from edgekd.quantization.layers import Layer
from edgekd.quantization.sensitivity import Candidate, fewest_from_the_first, given_back


def candidate(name, cost):
    return Candidate(Layer(name, name, "", "", 1, 1), False, cost)


@pytest.fixture
def large_and_small():
    """A large layer that gives most of the noise, after twenty small ones that give more for what they cost."""
    small = [candidate(f"small.{number}", 0.01) for number in range(20)]
    large, quiet = candidate("large", 0.5), candidate("quiet", 0.3)
    alone = {each.name: 0.0015 for each in small} | {"large": 0.0095, "quiet": 0.001}
    return [*small, large, quiet], alone


def summed(alone, more=1.0):
    asked = []

    def noise_of(chosen):
        asked.append(len(chosen))
        return more * math.sqrt(sum(alone[each.name] ** 2 for each in chosen))

    return noise_of, asked


def test_small_layers_that_were_left_before_a_large_one_come_back(large_and_small):
    ranked, alone = large_and_small
    noise_of, asked = summed(alone)
    many, reached = fewest_from_the_first(ranked, noise_of, 0.0096)
    assert (many, reached) == (20, pytest.approx(math.hypot(0.0095, 0.001)))
    assert fewest_from_the_first(ranked, noise_of, 0.005) == (21, pytest.approx(0.001))
    left, reached = given_back(ranked[:21], ranked[21:], 0.001, alone, noise_of, 0.005)
    assert {each.name for each in left} >= {"large"}
    assert len(left) == 11  # 0.001² and ten times 0.0015² fit into 0.005².
    assert reached == pytest.approx(math.sqrt(0.001**2 + 10 * 0.0015**2))
    assert len(asked) < 20


@pytest.mark.parametrize("more", [1.0, 1.3, 3.0])
def test_the_limit_holds_whatever_noises_add_up_to(large_and_small, more):
    ranked, alone = large_and_small
    noise_of, _ = summed(alone, more)
    many, reached = fewest_from_the_first(ranked, noise_of, 0.006)
    left, reached = given_back(ranked[:many], ranked[many:], reached, alone, noise_of, 0.006)
    chosen = [each for each in ranked if each not in left]
    assert noise_of(chosen) == pytest.approx(reached)
    assert reached <= 0.006
    for each in left:  # None of those left would fit besides.
        assert math.hypot(reached, alone[each.name]) > 0.006 or noise_of([*chosen, each]) > 0.006


def test_where_nothing_fits_all_stay_in_float(large_and_small):
    ranked, alone = large_and_small
    noise_of, _ = summed(alone)
    assert fewest_from_the_first(ranked, noise_of, 0.0) == (len(ranked), math.inf)
    assert given_back(ranked, [], math.inf, alone, noise_of, 0.0) == (ranked, math.inf)


def test_steps_end_at_all(large_and_small):
    ranked, alone = large_and_small
    steps = []
    given_back(ranked, [], 0.0, alone, summed(alone)[0], 0.005, lambda *step: steps.append(step))
    assert steps == sorted(steps)
    assert steps[-1] == (len(ranked), len(ranked))
