"""Numbers and times as people write and read them, in the reader's language."""

from __future__ import annotations

import pytest

from .scripts import computed_in, needs_node

pytestmark = needs_node
FIELDS, TIMES, TRAIN = "parts/recipes/fields.js", "parts/record/times.js", "parts/teach/train.js"
PART = "parts/teach/part.js"


@pytest.mark.parametrize(
    ("kind", "text", "values"),
    [
        ("pair", "0.4, 0.5", [0.4, 0.5]),
        ("pair", "0.4,0.5", [0.4, 0.5]),
        ("pair", "0,4; 0,5", [0.4, 0.5]),  # As the page asks for it in German.
        ("pair", "0,4 0,5", [0.4, 0.5]),
        ("pair", "0,4, 0,5", [0.4, 0.5]),
        ("four", "0, 10, 640, 480", [0, 10, 640, 480]),
        ("four", "0,10,640,480", [0, 10, 640, 480]),
        ("four", "0 10 640 480", [0, 10, 640, 480]),
    ],
)
def test_several_numbers_may_be_written_with_points_or_commas(kind, text, values):
    assert computed_in("de", FIELDS, "script.meant(text, {kind})", text=text, kind=kind) == values


@pytest.mark.parametrize("text", ["0.4", "0.4, 0.5, 0.6", "0.4;", "a, b"])
def test_what_is_not_two_numbers_is_refused(text):
    expression = (
        "(() => { try { return script.meant(text, {kind: 'pair'}); } catch (error) { return error.message; } })()"
    )
    assert computed_in("en", FIELDS, expression, text=text) in ("pair", "number")


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_first_hour_of_a_day_is_0_and_belongs_to_that_day(language):
    expression = (
        "[new Date(2026, 5, 5, 0, 5, 10).getTime()].flatMap((at) => [script.shortTime(at), script.timeFormat(1)(at)])"
    )
    short, along = computed_in(language, TIMES, expression)
    assert "00:05:10" in short
    assert along == "00:05"


def test_minutes_and_seconds_are_rounded_together():
    assert computed_in("en", TRAIN, "[59.4, 59.7, 119.7].map(script.clockTime)") == ["0:59", "1:00", "2:00"]


@pytest.mark.parametrize(
    ("typed", "changes"),
    [
        ({}, {}),
        ({"job": "4"}, {"job": 4}),  # The product may be another one by now, which somebody else has named.
        ({"product": " M10 ", "job": "3"}, {"product": "M10"}),
    ],
)
def test_of_a_part_only_what_was_typed_is_changed(typed, changes):
    project = {"product": "M8", "job": 3}
    expression = "script.changesOf(project, typed)"
    assert computed_in("en", PART, expression, project=project, typed=typed) == changes
