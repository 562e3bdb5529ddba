import numpy as np
import pytest

from edgekd.verdicts.promise import promise_of, signs_of, warnings_of
from edgekd.verdicts.threshold import threshold_from_good
from edgekd.verdicts.warning_signs import folders_swapped, learned_by_heart, synthetic_overlap

USUAL = np.exp(np.random.default_rng(0).normal(0, 0.1, 100))


def test_the_promise_names_what_is_asked_expected_and_sure_and_what_it_rests_on():
    assert promise_of(threshold_from_good(USUAL[:30], 0.0).to_dict()) == (
        "0.0 % false rejects asked for, 3.2 % expected, at most 9.5 % with 95 % confidence: "
        "0 of 30 unseen good images are above it"
    )
    assert promise_of(threshold_from_good(USUAL[:30], 0.01).to_dict()).endswith(
        "; 269 more, none of them above it, would bring the bound to what was asked for"
    )


def test_of_few_images_it_is_said_what_they_can_promise():
    assert warnings_of(threshold_from_good(USUAL[:30], 0.01).to_dict()) == []
    assert warnings_of(threshold_from_good(USUAL[:10], 0.01).to_dict()) == [
        "10 unseen good images cannot promise fewer than 26 % false rejects, whatever the limit: "
        "20 more would make it 9.5 %"
    ]


def test_images_that_were_set_aside_are_named():
    entry = threshold_from_good([*USUAL, 3.0], 0.0, names=[f"{index}.png" for index in range(101)]).to_dict()
    assert warnings_of(entry) == ["set aside, since their scores stand out, look at these: are they good? 100.png (3)"]


def test_a_threshold_of_an_earlier_version_promises_nothing_that_was_not_counted():
    entry = {"value": 1.5, "false_reject_rate": 0.01, "good_images": 30, "origin": "the highest score of 30"}
    assert promise_of(entry) == "the highest score of 30"


def test_good_images_that_the_detector_knows_by_heart_are_a_warning():
    assert learned_by_heart(USUAL, USUAL[:50]) is None
    assert learned_by_heart(USUAL, []) is None
    warning = learned_by_heart(1.2 * USUAL, USUAL)
    assert warning is not None
    assert "by heart" in warning["text"]
    assert warning["code"] == "known_by_heart"
    assert warning["held_out"] == pytest.approx(1.2 * warning["trained"])
    assert warning["trained"] == np.median(USUAL)


def test_synthetic_defects_that_score_as_good_images_do_are_a_warning():
    assert synthetic_overlap(USUAL, 1.3 * USUAL) is None
    warning = synthetic_overlap(USUAL, USUAL)
    assert warning is not None
    assert "image AUROC 0.50" in warning["text"]
    assert (warning["code"], round(warning["auroc"], 2)) == ("hardly_found", 0.5)


def test_defective_images_that_score_below_good_ones_are_a_warning():
    assert folders_swapped(USUAL, []) is None
    assert folders_swapped(USUAL, 1.3 * USUAL) is None
    assert folders_swapped(USUAL, USUAL) is None
    warning = folders_swapped([2.0, 3.0, 2.0], [1.0, 1.5])
    assert warning is not None
    assert "is 1.25, below 2, that of the good ones: look whether the two folders are swapped" in warning["text"]
    assert (warning["code"], warning["good"], warning["defective"]) == ("folders_swapped", 2.0, 1.25)


def test_warnings_of_a_manifest_are_its_sentences_whether_they_have_figures_or_not():
    entry = {"warnings": ["an earlier edgekd had text alone", {"code": "hardly_found", "auroc": 0.5, "text": "hardly"}]}
    assert warnings_of(entry) == ["an earlier edgekd had text alone", "hardly"]
    assert [sign["code"] for sign in signs_of(entry)] == ["", "hardly_found"]
