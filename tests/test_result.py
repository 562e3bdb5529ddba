import itertools
import math
from dataclasses import FrozenInstanceError

import pytest

from edgekd.result import AnomalyResult, Region, Verdict, error_result, verdict_of

NO_NUMBERS = (math.nan, math.inf, -math.inf)


def test_above_the_threshold_is_ng_and_at_it_is_still_ok():
    assert verdict_of(1.0, 1.0) is Verdict.OK
    assert verdict_of(math.nextafter(1.0, 2.0), 1.0) is Verdict.NG
    assert verdict_of(-3.0, -2.0) is Verdict.OK


@pytest.mark.parametrize(
    ("score", "threshold"),
    [*itertools.product(NO_NUMBERS, (0.5, *NO_NUMBERS)), *itertools.product((0.0, 1e30), NO_NUMBERS)],
)
def test_what_is_no_finite_number_is_error_never_ok(score, threshold):
    assert verdict_of(score, threshold) is Verdict.ERROR


def test_an_error_has_no_score_and_says_why():
    result = error_result("it is cut off")
    assert result.verdict is Verdict.ERROR
    assert math.isnan(result.score)
    assert result.error == "it is cut off"
    assert result.anomaly_map is None
    assert result.timings == {}


def test_a_result_cannot_be_changed():
    result = AnomalyResult(0.5, 1.25, Verdict.NG)
    with pytest.raises(FrozenInstanceError):
        result.verdict = Verdict.OK


def test_verdicts_are_written_as_their_names():
    assert [verdict.value for verdict in Verdict] == ["OK", "NG", "ERROR"]
    assert Verdict("NG") is Verdict.NG


def test_a_result_in_json_has_null_where_there_is_no_number():
    region = Region(6, (1, 2, 3, 2), (2.0, 2.5), 4.5)
    result = AnomalyResult(0.5, math.nan, Verdict.NG, (region,), more_regions=3)
    assert result.to_dict() == {
        "score": 0.5,
        "severity": None,
        "verdict": "NG",
        "error": None,
        "regions": [{"area": 6, "box": (1, 2, 3, 2), "centroid": (2.0, 2.5), "peak": 4.5}],
        "more_regions": 3,
    }
    assert error_result("it is cut off").to_dict()["score"] is None
