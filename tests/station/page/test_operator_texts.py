"""What the operator's page calls codes and states: all that a station has, and in English what the station says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import edgekd.station.page
from edgekd.result import Verdict
from edgekd.station.error_codes import TEXTS, ErrorCode
from edgekd.station.page.advice import STATES
from edgekd.station.recipes import StopRules
from edgekd.station.states import State
from edgekd.station.stop_rules import StopWatch

from .scripts import computed_in, needs_node

FOLDER = Path(edgekd.station.page.__file__).parent / "static" / "texts"


def operator(language):
    return json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))["operator"]


def test_in_english_the_page_says_of_a_code_what_the_station_says():
    said = {str(int(code)): {"what": text.what, "do": text.do} for code, text in TEXTS.items()}
    assert operator("en")["code"] == said


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_code_and_every_state_has_its_words(language):
    texts = operator(language)
    assert set(texts["code"]) == {str(int(code)) for code in ErrorCode} - {"0"}
    assert set(texts["state"]) == {state.name for state in State}
    assert {state.name for state in STATES} <= set(texts["todo"])


@pytest.mark.parametrize(
    ("language", "button", "others"), [("en", "acknowledge", "clear "), ("de", "quittieren", "lösch")]
)
def test_whatever_the_button_ends_is_told_with_the_word_on_the_button(language, button, others):
    texts = operator(language)
    assert texts["acknowledge"].lower() == button
    told = [
        *(each["do"].lower() for each in texts["code"].values()),
        *(each.lower() for each in texts["todo"].values()),
    ]
    assert [text for text in told if others in text] == []
    for code in (ErrorCode.CAMERA_LOST, ErrorCode.IMAGE_FROZEN, ErrorCode.STOP_RULE):
        assert button in texts["code"][str(int(code))]["do"].lower()


def test_the_station_asks_for_what_the_button_is_called():
    rules = StopWatch(StopRules(ng_in_a_row=2, window=2, reject_rate=0.5))
    for _ in range(2):
        rules.saw(Verdict.NG)
    assert rules.why_to_stop().endswith("then acknowledge.")
    assert "go online" in STATES[State.OFFLINE]
    assert operator("en")["go_online"].lower() == "go online"


@needs_node
@pytest.mark.parametrize(
    ("last", "test"),
    [
        (("stored", False), "self-test"),
        (("master", False), "master-test"),
        (("stored", True), "master-test"),  # Of a recipe whose master parts failed before it was loaded again.
        (None, "self-test"),
    ],
)
def test_a_blocked_station_is_offered_the_test_that_it_has_to_pass(last, test):
    view = {"self_test": {"last": last and {"kind": last[0], "passed": last[1]}}}
    assert computed_in("en", "parts/operator/wording.js", "script.failedTestOf(view)", view=view) == test
