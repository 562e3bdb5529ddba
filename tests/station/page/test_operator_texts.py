"""What the operator's page calls codes and states: all that a station has, and in English what the station says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import edgekd.station.page
from edgekd.station.error_codes import TEXTS, ErrorCode
from edgekd.station.page.advice import STATES
from edgekd.station.states import State

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
