"""What is known of a detector in figures is told in the reader's language; what is free text, as it is."""

from __future__ import annotations

import json
import re

import pytest

from edgekd.verdicts.promise import promise_of, signs_of
from edgekd.verdicts.threshold import threshold_from_good
from edgekd.verdicts.warning_signs import folders_swapped, learned_by_heart, synthetic_overlap

from .scripts import STATIC, computed_in, needs_node

pytestmark = needs_node
WARNING, OUTCOME = "lib/warnings.js", "parts/teach/outcome.js"
SCORES = [1 + 0.01 * number for number in range(20)]
SIGNS = [
    learned_by_heart([2.0, 2.1], [1.0, 1.1, 1.2]),
    synthetic_overlap([1.0, 2.0], [1.0, 2.0]),
    folders_swapped([2.5], [1.25]),
]
ENTRY = threshold_from_good([*SCORES, *[90.0 + number for number in range(6)]], 0.01).to_dict() | {"warnings": SIGNS}
PROMISED = ("false_reject_rate", "expected", "bound", "above", "good_images")
CEILING = {"student": 0.81234, "ceiling": 0.9, "good": 10, "defective": 20, "text": "x"}


def told(language, warnings):
    return computed_in(language, WARNING, "warnings.map(script.warningText)", warnings=warnings)


def figures_in(sentences):
    return [re.findall(r"[0-9]+", text) for text in sentences]


def test_warnings_are_in_german_on_a_german_page_with_the_figures_of_the_english_ones():
    signs = signs_of(ENTRY)
    assert [sign["code"] for sign in signs] == [
        "few_images",
        "known_by_heart",
        "hardly_found",
        "folders_swapped",
        "set_aside",
    ]
    german, english = told("de", signs), told("en", signs)
    assert german[0].startswith("26 nie gesehene gute Bilder können nicht weniger als 11")
    assert "auswendig" in german[1]
    assert "2,05" in german[1]
    assert "Bild-AUROC 0,50" in german[2]
    assert "1,25, kleiner als der der guten, 2,5" in german[3]
    assert german[4].endswith("und ein weiteres")
    assert "image 25 (95)" in german[4]
    assert figures_in(german[:4]) == figures_in(english[:4]) == figures_in([sign["text"] for sign in signs[:4]])
    assert english[4].lower().startswith("set aside, since their scores stand out. look at these: are they good?")


@pytest.mark.parametrize("code", ["teacher_finds_little", "trained_too_shortly"])
def test_a_student_below_its_teacher_is_told_in_german(code):
    (text,) = told("de", [CEILING | {"code": code}])
    assert "Bild-AUROC 0,812" in text
    assert "Lehrer" in text


def test_the_free_text_of_an_earlier_manifest_is_shown_as_it_is():
    assert told("de", signs_of({"warnings": ["more images help"]})) == ["More images help."]
    assert told("de", [{"code": "of a newer edgekd", "text": "Something else."}]) == ["Something else."]


def test_what_came_of_a_step_is_told_in_german_where_its_figures_are_known():
    def outcome(name, text="x", **figures):
        step = {"name": name, "text": text, "figures": figures}
        return computed_in("de", OUTCOME, "script.outcomeOf(step)", step=step)

    assert outcome("images", count=40) == "40 gute Bilder"
    assert outcome("training", iterations=1200, system="hkt", device="cpu") == "1.200 Iterationen von hkt auf cpu"
    assert outcome("drift", noise=0.0123) == "Die INT8-Karte weicht um 1,2\N{NO-BREAK SPACE}% ihrer Streuung ab."
    assert outcome("tries", golden={"right": 2, "count": 3}) == "2 von 3 Referenzteilen sind OK"
    assert "Fehlausschuss" in outcome("int8", **{name: ENTRY[name] for name in PROMISED})
    assert outcome("images", text="40 good images") == "40 good images"  # Of an earlier edgekd.


def test_a_promise_that_was_not_counted_is_told_as_the_manifest_has_it():
    old = {"value": 1.5, "false_reject_rate": 0.01, "good_images": 30, "origin": "the highest score of 30"}
    expression = "script.promiseOf(old) || promise"
    assert computed_in("de", OUTCOME, expression, old=old, promise=promise_of(old)) == old["origin"]


def test_every_way_in_which_a_process_ends_has_its_sentence():
    texts = json.loads((STATIC / "texts" / "de.json").read_text(encoding="utf-8"))["teach"]["ending"]
    assert set(texts) == {"killed", "signal", "exit"}
    killed = computed_in("de", OUTCOME, "script.endingOf(ending)", ending={"code": "killed", "number": 9})
    assert "Signal 9" in killed
    assert "Arbeitsspeicher" in killed
