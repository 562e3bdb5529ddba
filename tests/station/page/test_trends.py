"""How results developed, what moved, and what the steps took."""

import json
import math
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.page import trends
from edgekd.station.page.drift import moved
from edgekd.station.page.roles import Role
from edgekd.station.page.trends import HOUR_MS, Span, bucket_ms, percentiles, trends_of
from edgekd.station.recipe_store import read_recipe
from edgekd.station.snapshot import Loaded

from ...engines.hand_made import graph, save
from ..recipe_folders import write_draft
from ..record.recording import RECIPE, judged, opened, outcome
from .on_record import day, one
from .stage import client, make_page

QUANTILES = [[0.0, 0.1], [0.5, 0.2], [1.0, 0.4]]
MANIFEST = {
    "good_scores": {"count": 100, "quantiles": QUANTILES},
    "threshold": {"good_images": 100},
    "image_checks": {"quantiles": {"level": [[0.0, 99.0], [0.5, 101.0], [1.0, 103.0]]}},
}


@pytest.fixture
def record(tmp_path):
    record = opened(tmp_path / "data")
    yield record
    record.close()


@pytest.fixture
def supervisor(tmp_path, record):
    page = make_page(tmp_path)
    yield client(page, Role.SUPERVISOR)
    page.record.close()


@pytest.fixture
def recipe(tmp_path):
    """The recipe that the record's results name, with a tiny detector."""
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), np.full((16, 16), 128, np.uint8))
    first = write_draft(tmp_path / "recipes", save(graph(), tmp_path), image, RECIPE.recipe_id, RECIPE.job)
    folder = first.rename(first.with_name(str(RECIPE.revision)))
    text = (folder / "recipe.toml").read_text()
    (folder / "recipe.toml").write_text(text.replace("revision = 1", f"revision = {RECIPE.revision}"))
    manifest = json.loads((folder / "x.json").read_text())
    checks = {"limits": {}, "quantiles": MANIFEST["image_checks"]["quantiles"]}
    known = {"good_scores": MANIFEST["good_scores"], "image_checks": checks}
    (folder / "x.json").write_text(json.dumps(manifest | known))
    return read_recipe(folder)


def test_verdicts_are_counted_by_stretches_of_time(record, supervisor, monkeypatch):
    count = day(record, monkeypatch)
    found = supervisor.get("/api/trends?station=line&hours=4").json()
    buckets = found["buckets"]
    assert found["bucket_ms"] == 5 * 60_000
    assert [after["from"] for after in buckets[1:]] == [before["to"] for before in buckets[:-1]]
    assert buckets[-1]["to"] >= time.time() * 1000
    assert sum(each["n"] for each in buckets) == found["n"] >= count - 5
    assert sum(each["ng"] for each in buckets) == pytest.approx(count * 0.08, abs=2)
    assert all(each["n"] == each["ok"] + each["ng"] + each["error"] for each in buckets)
    assert (found["errors"], found["missed"]) == ({"103": sum(each["error"] for each in buckets)}, 0)
    assert found["error_texts"]["103"] == "The camera does not answer."


def test_severities_checks_and_times_have_percentiles(record, supervisor, monkeypatch):
    day(record, monkeypatch, hours=1)
    found = supervisor.get("/api/trends?station=line&hours=1").json()
    rejecting = next(each for each in found["buckets"] if each["ng"])
    assert rejecting["severity"]["max"] == 1.5
    some = next(each for each in found["buckets"] if each["ok"])
    assert some["severity"]["p50"] == 0.2
    assert set(some["checks"]) == {"level", "sharpness"}
    assert 100 <= some["checks"]["level"]["p50"] <= 102
    assert 60 <= some["total_ms"]["p50"] <= some["total_ms"]["max"] <= 66
    histogram = found["severities"]
    assert sum(histogram["ok"]) + sum(histogram["ng"]) == sum(each["ok"] + each["ng"] for each in found["buckets"])
    assert histogram["ok"].index(max(histogram["ok"])) == 5


def test_an_empty_stretch_has_no_percentiles(record, supervisor):
    found = supervisor.get("/api/trends?station=line&hours=1").json()
    empty = found["buckets"][0]
    assert (empty["n"], empty["severity"], empty["checks"]) == (0, {"p50": None, "p95": None, "max": None}, {})
    assert found["drift"]["problem"] == "There is no result of this recipe on record yet."


def test_what_counts_is_what_the_counters_count(record, supervisor):
    judged(record, 1)
    judged(record, 2, Verdict.NG)
    record.write(outcome(3, Verdict.NG, self_test=True))
    record.write(outcome(4))
    record.deliver(4, "late")
    record.write(outcome(5, Verdict.ERROR, ErrorCode.TRIGGER_NOT_READY, acquired=0))
    record.write(outcome(6, Verdict.NG, station="other"))
    record.write(outcome(7, recipe=Loaded(8, "plate", 2, "ef" * 32)))
    record.review(2, "mara", "bad")
    record.review(2, "mara", "good")
    counters = record.counters("line")
    found = supervisor.get("/api/trends?station=line&hours=1").json()
    assert (found["n"], found["missed"]) == (counters.total, counters.missed) == (4, 1)
    assert found["reviews"]["NG"] == {"good": 1, "bad": 0}
    assert supervisor.get("/api/trends?station=line&hours=1&recipe=plate").json()["n"] == 1
    assert supervisor.get("/api/trends?station=line&hours=1&recipe=plate&revision=1").json()["n"] == 0


def test_of_very_many_results_a_part_gives_the_percentiles(record, monkeypatch):
    monkeypatch.setattr(trends, "MOST_SAMPLED", 100)
    day(record, monkeypatch, hours=1, every_s=3)
    found = record.log.read(lambda log: trends_of(log, Span("line", 1)))
    assert found["n"] > 1100
    assert 50 <= found["sampled"] <= 150
    assert sum(each["n"] for each in found["buckets"]) == found["n"]


def test_two_stations_that_take_turns_both_have_percentiles(record, monkeypatch):
    monkeypatch.setattr(trends, "MOST_SAMPLED", 50)
    now = int(time.time() * 1000)
    record.log.atomically(
        lambda: [record.write(one(number, now, f"line{number % 2}")) for number in range(1, 801)] and None
    )
    for station in ("line0", "line1"):
        found = record.log.read(lambda log, station=station: trends_of(log, Span(station, 1)))
        assert (found["n"], 20 <= found["sampled"] <= 100) == (400, True)


def test_what_is_not_finite_never_reaches_json(record, supervisor):
    given = outcome(1, Verdict.ERROR, ErrorCode.SCORE_NOT_FINITE)
    seen = replace(outcome(1).inspected, score=math.inf, severity=math.inf)
    record.write(replace(given, inspected=seen))
    found = supervisor.get("/api/trends?station=line&hours=1").json()
    assert found["n"] == 1
    assert {each["severity"]["max"] for each in found["buckets"]} == {None}


@pytest.mark.parametrize(
    ("hours", "minutes"), [(0.5, 1), (1, 1), (4, 5), (8, 10), (24, 30), (168, 240), (24 * 31, 1440), (24 * 92, 1440)]
)
def test_a_stretch_is_as_long_as_sixty_of_them_need(hours, minutes):
    assert bucket_ms(hours) == minutes * 60_000


def test_percentiles_leave_out_what_is_none():
    assert percentiles([1.0, None, math.nan, 3.0], 50) == {"p50": 2.0}
    assert percentiles([], 5, 95) == {"p5": None, "p95": None}
    assert HOUR_MS == 3_600_000


def outcomes(value, count, level=101.0):
    given = [outcome(number) for number in range(1, count + 1)]
    seen = given[0].inspected
    return [
        replace(each, inspected=replace(seen, score=value(number), checks={"level": level}))
        for number, each in enumerate(given)
    ]


def test_scores_that_moved_are_named_with_the_part_that_they_moved_with():
    calm = outcomes(lambda number: 0.15 if number % 2 else 0.25, 200)
    assert moved(MANIFEST, calm) == []
    shifted = outcomes(lambda number: 0.3, 60)
    (line,) = moved(MANIFEST, calm + shifted)
    assert line.startswith("scores have moved up since ")
    assert "part 1001" in line
    dark = [replace(each, part=replace(each.part, part_id=0)) for each in outcomes(lambda number: 0.2, 60, level=90.0)]
    assert any("darker" in line and "result 1" in line for line in moved(MANIFEST, dark))
    assert moved({}, shifted) == []
    errors = [outcome(number, Verdict.ERROR) for number in range(1, 60)]
    assert moved(MANIFEST, errors) == []


def test_drift_is_that_of_the_recipe_that_judged_last(tmp_path, record, supervisor, recipe):
    for number in range(1, 6):
        judged(record, number)
    drift = supervisor.get("/api/trends?station=line&hours=1").json()["drift"]
    assert (drift["recipe"], drift["revision"], drift["looked_at"], drift["moved"]) == ("cell", 3, 5, [])
    assert (drift["problem"], drift["needed"]) == ("", 40)
    assert drift["score"] == {"p5": pytest.approx(0.11), "p50": 0.2, "p95": pytest.approx(0.38)}
    assert drift["checks"]["level"]["p50"] == 101.0


def test_nothing_is_said_of_a_line_whose_good_images_are_not_known(tmp_path, record, supervisor, recipe):
    judged(record, 1)
    path = tmp_path / "recipes" / "cell" / "3" / "x.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"good_scores": None, "image_checks": None}))
    drift = supervisor.get("/api/trends?station=line&hours=1").json()["drift"]
    assert drift["problem"] == "The detector does not hold what its good images were like."
    path.write_text(json.dumps(manifest | {"good_scores": None}))
    drift = supervisor.get("/api/trends?station=line&hours=1").json()["drift"]
    assert (drift["problem"], drift["score"], set(drift["checks"])) == ("", None, {"level"})


def test_drift_of_a_recipe_that_is_gone_says_so(record, supervisor):
    judged(record, 1)
    drift = supervisor.get("/api/trends?station=line&hours=1").json()["drift"]
    assert "recipe.toml" in drift["problem"]
    record.write(outcome(2, recipe=Loaded(9, "../../etc", 1, "aa" * 32)))
    drift = supervisor.get("/api/trends?station=line&hours=1").json()["drift"]
    assert drift["problem"] == "The recipe has a name that no recipe can have."


def test_steps_stand_beside_the_budget(record, supervisor, recipe):
    for number in range(1, 4):
        judged(record, number, total_ms=50.0 + number)
    judged(record, 4, Verdict.ERROR, error=ErrorCode.ANSWER_LATE, total_ms=500.0)
    record.write(outcome(5, Verdict.ERROR, ErrorCode.TRIGGER_DISABLED, acquired=0, total_ms=0.0))
    found = supervisor.get("/api/timings?station=line").json()
    assert (found["n"], found["late"], found["budget_ms"]) == (4, 1, recipe.deadline_ms)
    assert found["steps"]["inference"] == {"p50": 7.0, "p95": 7.0, "max": 7.0}
    assert found["steps"]["answer"]["p50"] == pytest.approx(52 - 51)
    assert found["total"]["max"] == 500.0
    assert [each["result_id"] for each in found["recent"]] == [3, 2, 1]
    assert supervisor.get("/api/timings?station=other").json()["budget_ms"] is None


def test_a_budget_is_not_known_without_the_recipe(record, supervisor):
    judged(record, 1)
    assert supervisor.get("/api/timings?station=line").json()["budget_ms"] is None
