from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from edgekd.result import AnomalyResult, Verdict
from edgekd.verdicts.image_checks import Statistics
from edgekd.verdicts.monitor import LineMonitor, Monitor, score_monitor

START = datetime(2024, 5, 17, 14, 0)


def good_scores(count: int = 100, seed: int = 0) -> dict[str, Any]:
    scores = np.random.default_rng(seed).gamma(9, 1, count)
    shares = np.linspace(0, 1, 21)
    return {"count": count, "quantiles": [[float(share), float(np.quantile(scores, share))] for share in shares]}


def fed(monitor: Monitor, scores: np.ndarray, first: int = 0) -> list[str]:
    """What the monitor says of parts that come a minute apart."""
    said = [
        monitor.add(float(score), f"part {first + index}", START + timedelta(minutes=first + index))
        for index, score in enumerate(scores)
    ]
    return [line for line in said if line is not None]


def monitor(count: int = 100, held_out: int | None = None) -> Monitor:
    found = score_monitor(good_scores(count), held_out)
    assert found is not None
    return found


@pytest.mark.parametrize("defective", [0.0, 0.1, 0.25])
@pytest.mark.parametrize("count", [10, 30, 100])
def test_a_quiet_line_is_quiet_whatever_share_is_defective(count: int, defective: float) -> None:
    random = np.random.default_rng(count)
    for seed in range(5):
        found = score_monitor(good_scores(count, seed))
        assert found is not None
        scores = random.gamma(9, 1, 3000) + 30 * (random.random(3000) < defective)
        assert fed(found, scores) == []


@pytest.mark.parametrize(("shift", "direction"), [(6.0, "up"), (-6.0, "down")])
def test_scores_that_move_are_told_once_with_the_time_and_once_when_they_are_back(shift: float, direction: str) -> None:
    random, watching = np.random.default_rng(1), monitor()
    assert fed(watching, random.gamma(9, 1, 100)) == []
    (line,) = fed(watching, random.gamma(9, 1, 300) + shift, 100)
    assert line.startswith(f"scores have moved {direction} since 15:")
    assert line.endswith("check light, focus and position")
    minute = int(line.split("15:")[1][:2])
    assert abs(minute - 40) <= 5  # The first moved part came at 15:40.
    assert watching.moved == line
    (back,) = fed(watching, random.gamma(9, 1, 300), 400)
    assert back == "scores are back where those of the good images are"
    assert watching.moved is None


def test_a_small_drift_is_found_within_the_longer_window() -> None:
    random, watching = np.random.default_rng(2), monitor(300)
    assert fed(watching, random.gamma(9, 1, 200)) == []
    assert len(fed(watching, random.gamma(9, 1, 400) + 3.0, 200)) == 1


def test_a_median_of_few_images_must_be_missed_by_more() -> None:
    scores = np.random.default_rng(3).gamma(9, 1, 300) + 2.0
    assert fed(monitor(300), scores) != []
    assert fed(monitor(300, held_out=10), scores) == []


def test_scores_that_are_not_finite_are_left_out() -> None:
    assert fed(monitor(), np.full(300, math.nan)) == []


def test_without_good_scores_nothing_is_watched() -> None:
    assert score_monitor(None) is None
    quiet = LineMonitor({})
    assert quiet.add(AnomalyResult(9.0, math.nan, Verdict.OK), None, "part") == ()
    assert quiet.moved == ()


def test_light_that_the_checks_let_pass_is_watched_over_several_parts() -> None:
    shares = [[share / 20, 100 + 5 * share] for share in range(21)]  # From 100 to 200.
    line = LineMonitor({"image_checks": {"quantiles": {"level": shares, "sharpness": [[0, 0.1], [1, 0.5]]}}})
    answer = AnomalyResult(1.0, 0.5, Verdict.OK)
    random = np.random.default_rng(4)

    def seen(level: float) -> Statistics:
        return Statistics(300, 300, level, 0.0, 5.0, float(random.uniform(0.1, 0.5)), 1.0)

    def say(factor: float, count: int) -> list[str]:
        said = [line.add(answer, seen(factor * random.uniform(100, 200)), "part", START) for _ in range(count)]
        return [notice for notices in said for notice in notices]

    assert say(1.0, 500) == []
    assert say(0.5, 60) == ["images have been darker than the good ones since 14:00 (part): check the lamp"]
    assert line.moved != ()
    assert say(1.0, 100) == ["brightness is back where that of the good images is"]
    error = AnomalyResult(math.nan, math.nan, Verdict.ERROR, error="it is cut off")
    assert all(line.add(error, seen(1.0), "part") == () for _ in range(100))
