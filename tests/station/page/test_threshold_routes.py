"""A threshold on the page: over the scores on record, what it promises, and what another one would have changed."""

import math
from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edgekd.artifact import read_entries, sha256
from edgekd.result import Verdict
from edgekd.station.page import threshold_view
from edgekd.station.page.recorded_scores import RecordedScore, recorded_scores
from edgekd.station.page.roles import Role
from edgekd.station.ports import StoredImage
from edgekd.verdicts.false_rejects import share_bound
from edgekd.verdicts.good_scores import most_above, quantiles_of
from edgekd.verdicts.threshold import threshold_from_good

from ...engines.hand_made import graph, save
from ..recipe_folders import write_draft
from ..record.recording import RECIPE, acquisition, opened, outcome
from .stage import client, make_page

pytest.importorskip("tomlkit")
URL = "/api/recipes/bolt/1/threshold"
GOOD = np.linspace(0.1, 0.5, 60)


@pytest.fixture
def page(tmp_path):
    return make_page(tmp_path)


@pytest.fixture
def draft(page, tmp_path):
    """A recipe whose detector knows how it scored 60 good images."""
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), np.full((16, 16), 128, np.uint8))
    chosen = threshold_from_good(GOOD, 0.01).to_dict()
    artifact = save(graph(), tmp_path, good_scores=quantiles_of(GOOD))
    set_threshold(artifact, chosen)
    return write_draft(page.recipes, artifact, image)


def set_threshold(artifact, entry):
    from edgekd.artifact import write_manifest

    limits = [vars(each) if not isinstance(each, dict) else each for each in entry["limits"]]
    write_manifest(artifact, read_entries(artifact.with_suffix(".json")) | {"threshold": entry | {"limits": limits}})


@pytest.fixture
def engineer(page, draft):
    with client(page, Role.ENGINEER) as browser:
        yield browser


def judge(page, draft, scores, threshold=0.5, **more):
    """Puts parts on record that the recipe's detector judged, the oldest first; NG ones with their image."""
    recipe = replace(RECIPE, recipe_id="bolt", artifact_sha256=sha256(draft / "x.onnx"))
    with closing(opened(page.data)) as record:
        first = record.last_numbers()[0] + 1
        for number, score in enumerate(scores, first):
            verdict = Verdict.NG if score > threshold else Verdict.OK
            seen = replace(outcome(number).inspected, score=score, threshold=threshold)
            record.begin(acquisition(number, recipe=recipe), recipe)
            record.write(outcome(number, verdict, recipe=recipe, inspected=seen, **more))
            if verdict is Verdict.NG:
                record.stored(StoredImage(number, "original", f"images/{number}.png", "ab" * 32, 10))
        return first


def test_the_scores_on_record_are_shown_against_the_threshold(page, engineer, draft):
    judge(page, draft, [*GOOD, 0.7, 0.9, 5.0])
    shown = engineer.get(URL).json()
    assert shown["now"]["value"] == 0.5
    assert not shown["now"]["set_by_recipe"]
    assert len(shown["scores"]) == 63
    newest = shown["scores"][0]
    assert (newest["score"], newest["verdict"], newest["recipe"], newest["image"]) == (5.0, "NG", "bolt", True)
    assert newest["severity"] == pytest.approx((5.0 - 0.3) / 0.2)
    bins = shown["histogram"]
    assert len(bins["edges"]) == len(bins["ok"]) + 1
    assert (sum(bins["ok"]), sum(bins["ng"]), bins["ng"][-1]) == (60, 3, 2)  # 5.0 lies beyond the last edge, 0.9.


def test_the_table_sets_what_is_promised_beside_what_was_measured(page, engineer, draft):
    judge(page, draft, [*GOOD, 0.7])
    rows = engineer.get(URL).json()["table"]
    entry = read_entries(draft / "x.json")["threshold"]
    assert [row["asked"] for row in rows] == [0.0, 0.01, 0.02, 0.05, 0.1]
    assert [row["threshold"] for row in rows] == [limit["value"] for limit in entry["limits"]]
    assert [row["bound"] for row in rows] == [limit["bound"] for limit in entry["limits"]]
    assert rows[0]["measured"] == {
        **{"parts": 61, "above": 1, "bound": pytest.approx(share_bound(1, 61))},
        **{"good": 0, "good_above": 0, "bad": 0, "bad_below": 0},
    }
    assert all(row["current"] == (row["threshold"] == 0.5) for row in rows)


def test_a_threshold_of_the_recipes_own_has_a_row_with_what_good_images_promise_of_it(page, engineer, draft):
    judge(page, draft, GOOD)
    engineer.put("/api/recipes/bolt/1", json={"fields": {"detector": {"threshold": 0.45}}, "reason": "x"})
    shown = engineer.get(URL).json()
    own = next(row for row in shown["table"] if row["current"])
    assert (own["asked"], own["threshold"], own["measured"]["above"]) == (None, 0.45, int((GOOD > 0.45).sum()))
    assert shown["promised"]["above"] >= (GOOD > 0.45).sum()
    assert own["bound"] == shown["promised"]["bound"] == pytest.approx(share_bound(shown["promised"]["above"], 60))
    assert [row["threshold"] for row in shown["table"]] == sorted([row["threshold"] for row in shown["table"]])[::-1]


def test_a_threshold_that_is_tried_tells_what_would_have_changed_and_sets_nothing(page, engineer, draft):
    first = judge(page, draft, [0.2, 0.44, 0.48, 0.6, 0.8])
    with closing(opened(page.data)) as record:
        record.review(first + 1, "Ann", "bad")
        record.review(first + 3, "Ann", "bad", "a first look")
        record.review(first + 3, "Bob", "good")
    before = (draft / "recipe.toml").read_bytes()
    found = engineer.post(f"{URL}/try", json={"threshold": 0.7}).json()
    assert (found["ok_to_ng"], found["ng_to_ok"]) == (0, 1)
    changed = {"result_id": first + 3, "old": "NG", "new": "OK", "score": 0.6, "review": "good"}
    assert found["changed"] == [changed]
    assert (found["measured"]["good"], found["measured"]["good_above"]) == (1, 0)
    assert (found["measured"]["bad"], found["measured"]["bad_below"]) == (1, 1)
    found = engineer.post(f"{URL}/try", json={"threshold": 0.43}).json()
    assert [each["result_id"] for each in found["changed"]] == [first + 1, first + 2]  # The nearest first.
    found = engineer.post(f"{URL}/try", json={"threshold": 0.7, "grey_zone": [0.5, 0.7]}).json()
    assert (found["ok_to_ng"], found["ng_to_ok"]) == (0, 0)
    assert (draft / "recipe.toml").read_bytes() == before
    assert page.link.asked == []


def test_the_parts_just_below_and_above_are_those_whose_images_are_kept(page, engineer, draft):
    first = judge(page, draft, [0.2, 0.44, *np.linspace(0.6, 0.9, 9)])
    with closing(opened(page.data)) as record:
        record.stored(StoredImage(first, "original", "images/1.png", "ab" * 32, 10))
        record.review(first, "Ann", "good", "clean")
    near = engineer.get(URL).json()["near"]
    assert [each["result_id"] for each in near["below"]] == [first]
    assert near["below"][0]["reviews"][0]["note"] == "clean"
    assert near["below"][0]["images"]["original"]
    assert [each["result_id"] for each in near["above"]] == list(range(first + 2, first + 8))


def test_only_what_this_detector_judged_counts_and_neither_errors_nor_self_tests(page, engineer, draft):
    judge(page, draft, [0.3, 0.4])
    judge(page, draft, [0.9], self_test=True)
    with closing(opened(page.data)) as record:
        number = record.last_numbers()[0] + 1
        record.begin(acquisition(number), RECIPE)
        record.write(outcome(number))  # By another detector.
        record.begin(acquisition(number + 1), RECIPE)
        record.write(outcome(number + 1, Verdict.ERROR))
    assert [each["score"] for each in engineer.get(URL).json()["scores"]] == [0.4, 0.3]


def test_the_last_parts_are_read_and_no_more(page, draft):
    judge(page, draft, np.linspace(0.1, 0.4, 30))
    digest = sha256(draft / "x.onnx")
    assert len(recorded_scores(page.record.path, digest, 10)) == 10
    assert recorded_scores(page.record.path, digest, 10)[0].result_id == 30
    assert recorded_scores(page.record.path, "no such") == []


def test_before_the_first_part_the_good_images_alone_are_shown(engineer):
    shown = engineer.get(URL).json()
    assert shown["scores"] == []
    assert shown["near"] == {"below": [], "above": []}
    assert sum(shown["histogram"]["ok"]) == 0
    assert shown["histogram"]["edges"][0] == pytest.approx(0.1)
    assert shown["table"][0]["measured"]["bound"] is None
    assert shown["promised"]["good_images"] == 60


def test_a_manifest_of_before_good_scores_were_kept_still_has_its_histogram(page, tmp_path):
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), np.full((16, 16), 128, np.uint8))
    draft = write_draft(page.recipes, save(graph(), tmp_path, threshold=0.5), image)
    judge(page, draft, [0.5])
    with client(page, Role.ENGINEER) as browser:
        shown = browser.get(URL).json()
    assert shown["promised"] is None
    assert shown["table"] == [
        {
            **{"asked": None, "expected": None, "bound": None, "threshold": 0.5, "current": True},
            "measured": threshold_view.counted(recorded_scores(page.record.path, sha256(draft / "x.onnx")), 0.5),
        }
    ]
    assert math.isfinite(shown["histogram"]["edges"][-1])


@pytest.mark.parametrize(
    "body",
    [{}, {"threshold": None}, {"threshold": "a"}, {"threshold": 1e30}, {"threshold": 1, "grey_zone": [1]}, {"more": 1}],
)
def test_a_threshold_that_is_no_number_is_refused(engineer, body):
    answer = engineer.post(f"{URL}/try", json=body)
    assert answer.status_code == 422
    assert "\n" not in answer.json()["error"]["text"]
    raw = engineer.post(f"{URL}/try", content='{"threshold": NaN}', headers={"content-type": "application/json"})
    assert raw.status_code == 422


@pytest.mark.parametrize("count", [1, 2, 3, 10, 57, 100, 333])
def test_quantiles_never_promise_more_than_the_scores_themselves(count):
    scores = np.random.default_rng(count).gamma(3.0, size=count)
    entry = quantiles_of(scores)
    for limit in [*np.quantile(scores, np.linspace(0, 1, 21)), *(value for _, value in entry["quantiles"]), 0.0, 99.0]:
        assert (scores > limit).sum() <= most_above(entry, limit) <= count
    assert most_above(entry, 99.0) == 0


def test_a_limit_of_the_artifacts_own_promises_what_was_counted_of_it(page, engineer, draft):
    entry = read_entries(draft / "x.json")["threshold"]
    for limit in entry["limits"]:
        promised = engineer.post(f"{URL}/try", json={"threshold": limit["value"]}).json()["promised"]
        assert promised["above"] == limit["above"]
        assert promised["bound"] == pytest.approx(limit["bound"])


def test_a_score_at_the_threshold_is_not_ng_and_the_edges_of_a_grey_zone_are():
    part = RecordedScore(1, 0.5, "OK", "bolt", 1, 0, None, True)
    assert threshold_view.changes([part], 0.5)["ok_to_ng"] == 0
    assert threshold_view.changes([part], 0.5, (0.4, 0.5))["ok_to_ng"] == 1
    assert threshold_view.nearest_ids([part], 0.5) == {"below": [1], "above": []}
