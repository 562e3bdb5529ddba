"""Recipes on the page: what is listed and shown, what a draft may become, and what the audit trail hears of it."""

import asyncio

import cv2
import numpy as np
import pytest

from edgekd.station.error_codes import ErrorCode
from edgekd.station.page.link import RefusedError
from edgekd.station.page.roles import Role
from edgekd.station.recipe_release import next_revision, release
from edgekd.station.recipe_store import find_job, read_recipe

from ...engines.hand_made import graph, save
from ..recipe_folders import write_draft
from .stage import client, make_page

pytest.importorskip("tomlkit")
URL = "/api/recipes/bolt/1"


@pytest.fixture
def page(tmp_path):
    return make_page(tmp_path)


@pytest.fixture
def parts(tmp_path):
    """A tiny detector and an image."""
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), np.full((24, 32), 128, np.uint8))
    return save(graph(), tmp_path, threshold=0.8, image_checks={"dark": {"on": True, "least": 3.0, "good": 9.0}}), image


@pytest.fixture
def draft(page, parts):
    return write_draft(page.recipes, *parts)


@pytest.fixture
def released(draft):
    release(draft, "Ann", "the first")
    return draft


@pytest.fixture
def engineer(page, draft):
    with client(page, Role.ENGINEER) as browser:
        yield browser


def put(browser, fields, reason="to try it", url=URL):
    return browser.put(url, json={"fields": fields, "reason": reason})


def text_of(answer):
    return answer.json()["error"]["text"]


def test_every_revision_is_listed_the_newest_of_a_recipe_first(page, engineer, draft, parts):
    release(draft, "Ann", "the first")
    release(next_revision(draft), "Bob", "faster")
    write_draft(page.recipes, *parts, "nut", 4)
    rows = engineer.get("/api/recipes").json()
    assert [(row["id"], row["revision"], row["status"], row["in_use"]) for row in rows] == [
        ("bolt", 2, "released", True),
        ("bolt", 1, "retired", False),
        ("nut", 1, "draft", False),
    ]
    assert (rows[0]["released_by"], rows[0]["reason"], rows[0]["job"]) == ("Bob", "faster", 3)
    assert (rows[1]["retired"]["by"], rows[1]["retired"]["reason"]) == ("Bob", "revision 2 took its place")
    assert rows[2]["digest"] == ""
    assert rows[2]["retired"] is None


def test_a_folder_of_recipes_that_was_never_made_holds_none(tmp_path):
    page = make_page(tmp_path)
    page.recipes.rmdir()
    with client(page, Role.ENGINEER) as browser:
        assert browser.get("/api/recipes").json() == []
        assert browser.get(URL).status_code == 404


def test_a_revision_that_was_altered_or_cannot_be_read_is_listed_with_what_is_wrong(engineer, released):
    path = released / "recipe.toml"
    path.chmod(0o644)
    path.write_text(path.read_text().replace("deadline_ms = 400", "deadline_ms = 401"))
    assert "recipe.toml was changed" in engineer.get("/api/recipes").json()[0]["problem"]
    path.write_text("job 3")
    shown = engineer.get(URL).json()
    assert shown["recipe"] is None
    assert "not valid TOML" in shown["problem"]


def test_a_recipe_is_shown_with_its_view_threshold_and_checks(engineer):
    shown = engineer.get(URL).json()
    assert shown["recipe"]["cameras"]["top"]["exposure_us"] == 800
    assert shown["detector"]["system"] == "hkt"
    assert shown["detector"]["signed"] is False
    assert (shown["threshold"]["value"], shown["threshold"]["origin"]) == (0.8, "by hand")
    assert shown["view"]["frame"] == [24, 32]
    assert shown["view"]["boxes"] == [[0, 0, 32, 24]]
    assert shown["view"]["words"] == "the whole image, stretched"
    assert [(each["name"], each["on"]) for each in shown["image_checks"]] == [("dark", True)]
    assert [each["name"] for each in shown["files"]] == ["recipe.toml", "references/ok.png", "x.json", "x.onnx"]
    assert shown["doubts"] == []


def test_a_manifest_that_is_damaged_leaves_the_recipe_to_be_seen(engineer, draft):
    (draft / "x.json").write_text("{}")
    shown = engineer.get(URL).json()
    assert shown["recipe"]["job"] == 3
    assert shown["detector"] is None
    assert "x.json is not a manifest" in shown["problem"]


def test_a_reference_image_is_a_jpeg(engineer):
    answer = engineer.get(f"{URL}/references/0")
    assert answer.headers["content-type"] == "image/jpeg"
    assert cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR).shape == (24, 32, 3)
    assert engineer.get(f"{URL}/references/1").status_code == 404


def test_a_large_reference_is_shrunk_and_a_damaged_one_is_an_error(engineer, draft):
    path = draft / "references" / "ok.png"
    cv2.imwrite(str(path), np.full((200, 2560), 128, np.uint8))
    content = engineer.get(f"{URL}/references/0").content
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape == (100, 1280, 3)
    path.write_bytes(b"no image")
    assert engineer.get(f"{URL}/references/0").status_code == 422
    assert engineer.get(URL).json()["view"]["frame"] is None


@pytest.mark.parametrize(
    "path", ["bolt/2", "nut/1", "..%2Fbolt/1", "bolt/0", "bolt/x", "%2e%2e/1", "bolt/1%2F..", "bolt/99999999999999"]
)
def test_what_is_no_revision_is_not_found(engineer, path):
    answer = engineer.get(f"/api/recipes/{path}")
    assert answer.status_code in (404, 422)
    assert answer.json()["error"]["text"]


def test_a_draft_is_edited_and_the_trail_has_old_and_new_values(page, engineer, draft):
    answer = put(engineer, {"deadline_ms": 300, "detector": {"threshold": 0.9}})
    assert answer.status_code == 200
    assert answer.json()["threshold"]["value"] == 0.9
    assert answer.json()["threshold"]["set_by_recipe"]
    station, method, user, words = page.link.asked[-1]
    assert (station, method, user.name, user.role) == ("line", "audit", "engineer", Role.ENGINEER)
    assert words["action"] == "edit recipe"
    assert words["subject"] == "bolt/1"
    assert words["why"] == "to try it"
    assert words["old"] == "detector.threshold null, deadline_ms 400.0"
    assert words["new"] == "detector.threshold 0.9, deadline_ms 300.0"
    assert "# Measured." in (draft / "recipe.toml").read_text()


def test_a_field_that_somebody_else_changed_meanwhile_is_not_overwritten_unseen(page, engineer, draft):
    assert put(engineer, {"deadline_ms": 300, "detector": {"threshold": 0.5}}).status_code == 200
    late = {"fields": {"detector": {"threshold": 0.9}}, "shown": {"detector": {"threshold": None}}, "reason": ""}
    refused = engineer.put(URL, json=late)
    assert (refused.status_code, "detector.threshold is 0.5 by now" in text_of(refused)) == (409, True)
    assert read_recipe(draft).detector.threshold == 0.5
    assert engineer.put(URL, json=late | {"shown": {"detector": {"threshold": 0.5}}}).status_code == 200
    top = {"cameras": {"top": {"exposure_us": 700}}}
    assert engineer.put(URL, json={"fields": top, "shown": {"cameras": {"top": {"exposure_us": 800}}}, "reason": ""})
    recipe = read_recipe(draft)
    assert (recipe.detector.threshold, recipe.deadline_ms, recipe.cameras["top"].exposure_us) == (0.9, 300, 700)


def test_an_edit_that_changes_nothing_is_not_on_record(page, engineer):
    assert put(engineer, {"deadline_ms": 400, "preload": False}).status_code == 200
    assert page.link.asked == []


def test_a_default_comes_back_and_a_camera_comes_and_goes(engineer, draft):
    put(engineer, {"cameras": {"side": {"trigger": "free_run"}, "top": {"exposure_us": None}}, "preload": True})
    recipe = read_recipe(draft)
    assert recipe.cameras["side"].trigger == "free_run"
    assert recipe.cameras["top"].exposure_us is None
    assert recipe.preload
    put(engineer, {"cameras": {"side": None}, "preload": None})
    assert list(read_recipe(draft).cameras) == ["top"]
    assert not read_recipe(draft).preload


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"id": "nut"}, "id cannot be changed"),
        ({"status": "released"}, "status cannot be changed"),
        ({"detector": {"artifact": "y.onnx"}}, "detector.artifact cannot be changed"),
        ({"self_tests": {"references": []}}, "self_tests.references cannot be changed"),
        ({"self_tests": None}, "self_tests.references cannot be changed"),
        ({"job": 1000}, "job must be at most 999"),
        ({"job": 1.5}, "job must be an integer"),
        ({"job": 10**40}, "finite numbers below"),
        ({"stop": {"ng": 3}}, "stop.ng is not known"),
        ({"deadline_ms": 0}, "deadline_ms must be greater than 0"),
        ({"cameras": {"../x": {}}}, "must be 1 to 64 letters"),
        ({"cameras": None}, "cameras is missing"),
        ({"detector": {"grey_zone": [2, 1]}}, "lower edge of grey_zone first"),
        ({"product": "a\nb"}, "text that can be printed"),
        ({"product\0": "a"}, "text that can be printed"),
        ({"detector": {"grey_zone": [[[[[1]]]]]}}, "nested too deeply"),
    ],
)
def test_a_wrong_field_is_refused_in_one_line_and_nothing_is_written(page, engineer, draft, fields, message):
    before = (draft / "recipe.toml").read_bytes()
    answer = put(engineer, fields)
    assert answer.status_code == 409
    assert message in text_of(answer)
    assert "\n" not in text_of(answer)
    assert (draft / "recipe.toml").read_bytes() == before
    assert page.link.asked == []


def test_text_that_is_no_unicode_and_numbers_that_are_none_are_refused(engineer):
    for raw in (r'{"product": "\ud800"}', '{"deadline_ms": NaN}', r'{"\udc00": 1}'):
        answer = engineer.put(
            URL, content=f'{{"fields": {raw}, "reason": ""}}', headers={"content-type": "application/json"}
        )
        assert answer.status_code in (409, 422), raw
        shown = engineer.put(
            URL,
            content=f'{{"fields": {{}}, "shown": {raw}, "reason": ""}}',
            headers={"content-type": "application/json"},
        )
        assert shown.status_code in (409, 422), raw


def test_a_released_recipe_is_not_edited_but_revised(page, engineer, released):
    assert "never changes" in text_of(put(engineer, {"job": 4}))
    answer = engineer.post("/api/recipes/bolt/revisions", json={"from_revision": 1})
    assert (answer.status_code, answer.json()["revision"], answer.json()["status"]) == (201, 2, "draft")
    assert page.link.asked[-1][3]["new"] == "draft bolt/2"
    assert put(engineer, {"job": 4}, url="/api/recipes/bolt/2").json()["recipe"]["job"] == 4


def test_a_release_carries_the_name_of_who_made_it_and_is_on_record(page, engineer, draft):
    assert "the reason is missing" in text_of(engineer.post(f"{URL}/release", json={"reason": " "}))
    answer = engineer.post(f"{URL}/release", json={"reason": "first parts"})
    assert (answer.json()["status"], answer.json()["in_use"]) == ("released", True)
    assert (answer.json()["released_by"], answer.json()["reason"]) == ("engineer", "first parts")
    assert find_job(page.recipes, 3) == draft
    ((_, method, _, words),) = page.link.asked
    assert (method, words["action"], words["why"]) == ("audit", "release recipe", "first parts")
    assert words["new"] == f"digest {answer.json()['digest']}"
    assert "released already" in text_of(engineer.post(f"{URL}/release", json={"reason": "again"}))


def test_a_draft_that_was_changed_since_it_was_shown_is_not_signed(page, engineer, draft):
    shown = engineer.get(URL).json()["recipe"]
    for fields, name in (({"detector": {"threshold": 0.9}}, "threshold"), ({"cameras": {"side": {}}}, "cameras.side")):
        assert put(engineer, fields).status_code == 200  # By somebody else.
        refused = engineer.post(f"{URL}/release", json={"reason": "first parts", "shown": shown})
        assert (refused.status_code, name in text_of(refused), "by now" in text_of(refused)) == (409, True, True)
        assert read_recipe(draft).status == "draft"
        shown = engineer.get(URL).json()["recipe"]
    shown = engineer.get(URL).json()["recipe"]
    assert engineer.post(f"{URL}/release", json={"reason": "first parts", "shown": shown}).status_code == 200


def test_a_line_changes_over_at_once_only_where_that_was_asked_for(tmp_path, parts):
    page = make_page(tmp_path, {"a": {}, "b": {}, "c": {}, "d": {}})
    draft = write_draft(page.recipes, *parts)

    def reload(station, user):
        if station == "c":
            raise RefusedError(ErrorCode.LOADING_FAILED, "The camera is gone.")
        if station == "d":
            raise asyncio.TimeoutError
        return {"reloaded": station == "b"}  # Another recipe judges at the first.

    page.link.answers["reload_recipes"] = reload
    with client(page, Role.ENGINEER) as browser:
        told = browser.post(f"{URL}/release", json={"reason": "first parts", "change_over": True}).json()
        assert told["changed_over"] == {"b": "", "c": "The camera is gone.", "d": "The station does not answer."}
        assert told["in_use"]
        assert find_job(page.recipes, 3) == draft
        browser.post(f"{URL}/retire", json={"reason": "x"})
        assert browser.post(f"{URL}/bring-back", json={"reason": "y"}).json()["changed_over"] == {}
    assert [each[0] for each in page.link.asked if each[1] == "reload_recipes"] == ["a", "b", "c", "d"]


def test_an_earlier_release_is_brought_back_as_the_next_revision(page, engineer, released):
    second = next_revision(released)
    release(second, "Bob", "faster")
    answer = engineer.post(f"{URL}/bring-back", json={"reason": "rejects too many"})
    assert (answer.status_code, answer.json()["revision"], answer.json()["in_use"]) == (201, 3, True)
    assert answer.json()["reason"] == "rejects too many (revision 1 again)"
    assert find_job(page.recipes, 3).name == "3"
    assert page.link.asked[0][3]["old"] == "bolt/2"
    rows = engineer.get("/api/recipes").json()
    assert [row["status"] for row in rows] == ["released", "retired", "retired"]
    assert "in use already" in text_of(engineer.post("/api/recipes/bolt/3/bring-back", json={"reason": "x"}))


def test_who_retired_a_recipe_is_unknown_where_that_file_is_damaged(engineer, released):
    engineer.post(f"{URL}/retire", json={"reason": "no longer made"})
    released.with_name("1.retired").write_text("no TOML")
    assert engineer.get("/api/recipes").json()[0]["retired"] == {"by": "", "at": "", "reason": ""}


def test_what_was_never_released_or_was_altered_since_is_not_brought_back(page, engineer, released, parts):
    release(next_revision(released), "Bob", "faster")
    (released / "x.onnx").chmod(0o644)
    (released / "x.onnx").write_bytes(b"another")
    assert "not as it was released" in text_of(engineer.post(f"{URL}/bring-back", json={"reason": "x"}))
    write_draft(page.recipes, *parts, "nut", 4)
    assert "never released" in text_of(engineer.post("/api/recipes/nut/1/bring-back", json={"reason": "x"}))


def test_a_release_that_cannot_be_brought_back_leaves_no_draft(page, engineer, released, parts):
    engineer.post(f"{URL}/retire", json={"reason": "no longer made"})
    release(write_draft(page.recipes, *parts, "nut", 3), "Ann", "takes its job")
    assert "job 3 is that of nut/1" in text_of(engineer.post(f"{URL}/bring-back", json={"reason": "x"}))
    assert [(row["id"], row["revision"]) for row in engineer.get("/api/recipes").json()] == [("bolt", 1), ("nut", 1)]


def test_a_release_is_retired_once(page, engineer, released):
    answer = engineer.post(f"{URL}/retire", json={"reason": "no longer made"})
    assert answer.json()["status"] == "retired"
    assert not answer.json()["in_use"]
    assert page.link.asked[0][3]["action"] == "retire recipe"
    assert "retired already" in text_of(engineer.post(f"{URL}/retire", json={"reason": "again"}))


def test_a_draft_is_deleted_and_a_release_stays(page, engineer, draft):
    second = next_revision(draft)
    assert engineer.delete("/api/recipes/bolt/2").json() == {}
    assert not second.exists()
    assert draft.exists()
    assert page.link.asked[-1][3]["action"] == "delete draft"
    release(draft, "Ann", "the first")
    assert "was released and stays" in text_of(engineer.delete(URL))


def test_a_change_that_the_trail_did_not_hear_of_says_so(page, engineer, draft):
    for job, error in ((9, asyncio.TimeoutError()), (8, RefusedError(ErrorCode.ROW_NOT_WRITTEN, "The disk is full."))):
        page.link.answers["audit"] = error
        answer = put(engineer, {"job": job})
        assert answer.status_code == 503
        assert "bolt/1 is changed, but it could not be put into" in text_of(answer)
        assert read_recipe(draft).job == job


def test_a_full_disk_is_the_machines_fault(engineer, monkeypatch):
    from edgekd.errors import MachineError
    from edgekd.station import recipe_release

    def full(folder):
        raise MachineError("no room left on the disk")

    monkeypatch.setattr(recipe_release, "next_revision", full)
    answer = engineer.post("/api/recipes/bolt/revisions", json={"from_revision": 1})
    assert (answer.status_code, text_of(answer)) == (503, "no room left on the disk")


def test_two_revisions_are_compared_field_by_field(engineer, released):
    second = next_revision(released)
    put(engineer, {"deadline_ms": 300, "cameras": {"top": {"gain": 2}}}, url="/api/recipes/bolt/2")
    save(graph(), second, threshold=0.7)
    (second / "references" / "more.png").touch()
    found = engineer.get(f"{URL}/compare/2").json()
    assert {"field": "deadline_ms", "old": 400, "new": 300} in found["recipe"]
    assert {"field": "cameras.top.gain", "old": None, "new": 2} in found["recipe"]
    assert len(found["recipe"]) == 2
    assert {"field": "threshold.value", "old": 0.8, "new": 0.7} in found["detector"]
    assert {"name": "references/more.png", "change": "added"} in found["files"]
    assert {"name": "x.json", "change": "changed"} in found["files"]
    back = engineer.get("/api/recipes/bolt/2/compare/1").json()
    assert {"name": "references/more.png", "change": "removed"} in back["files"]
    (second / "x.json").write_text("{}")
    assert {"field": "system", "old": "hkt", "new": None} in engineer.get(f"{URL}/compare/2").json()["detector"]


def test_what_would_keep_a_draft_from_running_is_said_before_it_is_released(page, engineer, parts, draft):
    release(write_draft(page.recipes, *parts, "nut", 4), "Ann", "the first")
    put(engineer, {"job": 4, "cameras": {"side": {}, "top": None}})
    doubts = {each["code"]: each for each in put(engineer, {"detector": {"threshold": 0.6}}).json()["doubts"]}
    assert (doubts["job"]["other"], doubts["cameras"]["wanted"]) == ("nut/1", "line: top")
    assert "references/ok.png scores about 0.75, which is NG, and must be OK" in doubts["self_test"]["text"]
    assert set(doubts) == {"job", "cameras", "self_test"}
    put(engineer, {"detector": {"threshold": 0.9, "grey_zone": [0.7, 0.8]}})
    assert "self_test" in [each["code"] for each in engineer.get(URL).json()["doubts"]]


def test_a_detector_without_threshold_and_a_recipe_without_references_are_doubtful(engineer, draft):
    save(graph(), draft)
    manifest = (draft / "x.json").read_text()
    (draft / "x.json").write_text(manifest.replace('"threshold": {', '"unknown": {'))
    text = (draft / "recipe.toml").read_text()
    (draft / "recipe.toml").write_text(text.partition("[[self_tests")[0])
    shown = engineer.get(URL).json()
    assert shown["threshold"] is None
    assert [each["code"] for each in shown["doubts"]] == ["references", "threshold"]
    assert shown["view"]["frame"] is None
    assert "no threshold" in text_of(engineer.get(f"{URL}/threshold"))


def test_a_supervisor_sees_no_recipe(page, draft):
    with client(page, Role.SUPERVISOR) as browser:
        assert browser.get("/api/recipes").status_code == 403
        assert put(browser, {"job": 4}).status_code == 403
    with client(page) as browser:
        assert browser.get(URL).status_code == 401
