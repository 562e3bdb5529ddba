"""What others read of a station as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any, get_type_hints

import pytest

from edgekd.result import Verdict
from edgekd.station.events import Audited, SelfTestEnded
from edgekd.station.line import payloads
from edgekd.station.parts import Part
from edgekd.station.snapshot import Snapshot

from .mqtt_scripted import CAMERA_LOST, RECIPE, counted, outcome_of

EXAMPLES: list[tuple[Any, type]] = [
    (payloads.result(outcome_of(5)), payloads.ResultPayload),
    (payloads.result(replace(outcome_of(5, Verdict.ERROR), inspected=None)), payloads.ResultPayload),
    (payloads.state(Snapshot("press1", alarms=(CAMERA_LOST,)), "camera lost", 9), payloads.StatePayload),
    (payloads.recipe("press1", RECIPE), payloads.RecipePayload),
    (payloads.recipe("press1", None), payloads.RecipePayload),
    (payloads.counters("press1", counted(3)), payloads.CountersPayload),
    (payloads.alarm("press1", CAMERA_LOST), payloads.AlarmPayload),
    (payloads.self_test("press1", SelfTestEnded("stored", True, "3 of 3"), 9), payloads.SelfTestPayload),
    (payloads.audit("press1", Audited("ann", "release", "cap"), 9), payloads.AuditPayload),
]


@pytest.mark.parametrize(("payload", "schema"), EXAMPLES)
def test_a_payload_has_the_fields_of_its_type_and_is_json(payload: dict[str, Any], schema: type) -> None:
    assert list(payload) == list(get_type_hints(schema))
    assert json.loads(payloads.to_json(payload)) == payload


def test_what_is_not_finite_is_null() -> None:
    sent = payloads.result(outcome_of(5, Verdict.ERROR))
    assert (sent["score"], sent["severity"], sent["threshold"]) == (None, None, 0.5)
    assert sent["checks"] == {"sharpness": 12.5, "shift": None}


def test_nan_never_becomes_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        payloads.to_json({"score": math.nan})


def test_a_result_lists_the_highest_regions_and_counts_the_others() -> None:
    sent = payloads.result(outcome_of(5))
    assert (len(sent["regions"]), sent["more_regions"]) == (16, 2)
    assert sent["regions"][0] == {"area": 10, "box": [1, 2, 3, 4], "centroid": [2.5, 4.0], "peak": 0.9}


def test_text_that_utf8_does_not_have_is_sent_nonetheless() -> None:
    sent = payloads.to_json(payloads.result(replace(outcome_of(5), part=Part(1, serial="A\udcff"))))
    assert json.loads(sent)["serial"] == "A?"


def test_a_fault_is_told_by_the_code_that_led_to_it() -> None:
    sent = payloads.state(Snapshot("press1", alarms=(CAMERA_LOST,)), "camera lost", 9)
    assert (sent["fault"], sent["cause"], sent["since_utc_ms"]) == (103, "camera lost", 9)
