from __future__ import annotations

import math

import pytest

from edgekd.errors import EdgekdError
from edgekd.verdicts.limits import Limits, limits_of, measuring_limits

MANIFEST = {
    "file": "detector.onnx",
    "trained": True,
    "threshold": {"value": 5.0, "median_good": 3.0},
    "pixel_limit": {"value": 7.0},
}


@pytest.mark.parametrize(("score", "expected"), [(3.0, 0.0), (5.0, 1.0), (9.0, 3.0), (2.0, -0.5)])
def test_severity_is_0_for_a_typical_good_image_and_1_at_the_threshold(score: float, expected: float) -> None:
    assert limits_of(MANIFEST).severity(score) == expected


@pytest.mark.parametrize(
    ("limits", "score"),
    [
        (Limits(5.0), 4.0),
        (Limits(math.inf, 3.0), 4.0),
        (Limits(3.0, 3.0), 4.0),
        (Limits(5.0, 3.0), math.nan),
        (Limits(5.0, 3.0), math.inf),
    ],
)
def test_severity_is_nan_where_it_means_nothing(limits: Limits, score: float) -> None:
    assert math.isnan(limits.severity(score))


def test_a_given_threshold_replaces_the_artifacts_and_leaves_the_other_limits() -> None:
    assert limits_of(MANIFEST, 4.0) == Limits(4.0, 3.0, 7.0)
    assert limits_of(MANIFEST) == Limits(5.0, 3.0, 7.0)


def test_a_manifest_of_before_has_a_threshold_alone() -> None:
    limits = limits_of({"file": "detector.onnx", "threshold": {"value": 5.0, "origin": "as it was"}})
    assert limits.threshold == 5.0
    assert math.isnan(limits.median_good)
    assert math.isnan(limits.pixel_limit)


def test_without_a_threshold_one_must_be_given_where_verdicts_are_wanted() -> None:
    untrained = {"file": "hkt.onnx", "trained": False, "threshold": None}
    with pytest.raises(EdgekdError, match=r"hkt.onnx holds no threshold \(it is untrained\): give one"):
        limits_of(untrained)
    with pytest.raises(EdgekdError, match="too few good images were held out"):
        limits_of({**untrained, "trained": True})
    assert limits_of(untrained, 2.0).threshold == 2.0
    assert measuring_limits(untrained).threshold == math.inf
