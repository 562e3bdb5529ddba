"""What people at the line do on the page: who may, what control is asked, and what it answers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.error_codes import ErrorCode
from edgekd.station.page.link import RefusedError
from edgekd.station.page.roles import Role, may
from edgekd.station.recipe_release import release, retire
from edgekd.station.record.reading import RecordReader

from ...engines.hand_made import graph, save
from ..recipe_folders import write_draft
from ..record.recording import opened, outcome
from .stage import client, make_page

OPERATOR, SUPERVISOR, ENGINEER = Role.OPERATOR, Role.SUPERVISOR, Role.ENGINEER
STATION = "/api/stations/line"
# Path, body, the least role, what control is asked and with which arguments.
REQUESTS = [
    (f"{STATION}/alarms/103/acknowledge", None, OPERATOR, "acknowledge_alarm", {"code": 103}),
    (f"{STATION}/acknowledge-error", None, OPERATOR, "clear_error", {}),
    (f"{STATION}/self-test", None, OPERATOR, "self_test", {}),
    (f"{STATION}/master-test", None, OPERATOR, "master_test", {}),
    (f"{STATION}/job", {"job": 12}, OPERATOR, "change_job", {"job": 12}),
    (f"{STATION}/online", {"online": True}, SUPERVISOR, "online", {}),
    (f"{STATION}/online", {"online": False}, SUPERVISOR, "offline", {}),
    (f"{STATION}/counters/reset", None, SUPERVISOR, "reset_counters", {}),
    (f"{STATION}/release", {"reason": "lamp replaced"}, ENGINEER, "release", {"reason": "lamp replaced"}),
    (f"{STATION}/simulate", {"on": True}, ENGINEER, "simulate", {"on": True}),
]
# Path, body, the field that is wrong.
WRONG = [
    ("job", {"job": 0}, "job"),
    ("job", {"job": "12; drop"}, "job"),
    ("job", {"job": 12, "now": True}, "now"),
    ("online", {"online": "yes"}, "online"),
    ("release", {"reason": ""}, "reason"),
    ("release", {"reason": "x" * 501}, "reason"),
    ("simulate", {}, "on"),
]


@pytest.fixture
def page(tmp_path):
    return make_page(tmp_path)


@pytest.fixture
def result_id(page):
    """A result of the station "line" on record."""
    record = opened(page.data)
    record.write(outcome(1))
    record.close()
    with RecordReader(page.data / VERDICTS_FILE) as reader:
        assert reader.result(1) is not None
    return 1


@pytest.mark.parametrize("role", [OPERATOR, SUPERVISOR, ENGINEER])
def test_control_is_asked_in_the_name_of_whoever_is_logged_in(page, role):
    browser = client(page, role)
    for path, body, needed, method, arguments in REQUESTS:
        if not may(role, needed):
            continue
        assert browser.post(path, json=body).status_code == 200
        station, asked, user, given = page.link.asked.pop()
        assert (station, asked, given) == ("line", method, arguments)
        assert (user.name, user.role, user.address) == (role.value, role, "127.0.0.1")


@pytest.mark.parametrize("role", [Role.ANYONE, OPERATOR, SUPERVISOR, Role.ADMIN])
def test_whoever_may_not_changes_nothing(page, role):
    browser = client(page, role)
    refused = [
        browser.post(path, json=body).status_code for path, body, needed, *_ in REQUESTS if not may(role, needed)
    ]
    assert refused
    assert set(refused) == {401 if role is Role.ANYONE else 403}
    assert page.link.asked == []


def test_what_is_wrong_with_a_request_is_named(page):
    browser = client(page, ENGINEER)
    for path, body, field in WRONG:
        answer = browser.post(f"{STATION}/{path}", json=body)
        assert answer.status_code == 422
        assert answer.json()["error"]["text"].startswith(f"{field}: ")
    assert page.link.asked == []


def test_a_station_or_an_alarm_that_is_not_there_is_not_found(page):
    browser = client(page, OPERATOR)
    assert browser.post("/api/stations/other/self-test").status_code == 404
    assert browser.post(f"{STATION}/alarms/99/acknowledge").status_code == 404
    assert page.link.asked == []


def test_what_control_refuses_is_told_with_what_to_do(page):
    page.link.answers["self_test"] = RefusedError(ErrorCode.JOB_UNKNOWN, "no recipe is loaded: choose a job first")
    answer = client(page, OPERATOR).post(f"{STATION}/self-test")
    assert answer.status_code == 409
    assert answer.json()["error"]["text"] == "no recipe is loaded: choose a job first"


def test_a_review_is_noted_by_the_station_whose_part_it_was(page, result_id):
    browser = client(page, OPERATOR)
    assert browser.post(f"/api/results/{result_id}/reviews", json={"label": "good", "note": "dust"}).status_code == 200
    ((station, method, user, given),) = page.link.asked
    assert (station, method, user.name) == ("line", "review", "operator")
    assert given == {"result_id": result_id, "label": "good", "note": "dust"}


def test_a_review_needs_a_result_a_label_and_a_name(page, result_id):
    browser = client(page, OPERATOR)
    assert browser.post("/api/results/77/reviews", json={"label": "good"}).status_code == 404
    assert browser.post(f"/api/results/{result_id}/reviews", json={"label": "so so"}).status_code == 422
    assert client(page).post(f"/api/results/{result_id}/reviews", json={"label": "good"}).status_code == 401
    assert page.link.asked == []


def test_a_result_of_a_station_that_is_gone_is_not_reviewed(tmp_path, page, result_id):
    other = make_page(tmp_path, {"another": {"station": "another"}})
    answer = client(other, OPERATOR).post(f"/api/results/{result_id}/reviews", json={"label": "bad"})
    assert answer.status_code == 404
    assert other.link.asked == []


def test_anybody_sees_which_recipes_may_be_chosen_and_drafts_and_retired_ones_are_not_among_them(tmp_path, page):
    pytest.importorskip("tomlkit")
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), np.full((16, 16), 128, np.uint8))
    detector = save(graph(), tmp_path)
    for name, job in (("nut", 9), ("bolt", 3), ("washer", 4), ("pin", 5)):
        folder = write_draft(page.recipes, detector, image, name, job)
        if name != "washer":
            release(folder, "anna", "first")
        if name == "pin":
            retire(folder, "anna", "no longer made")
    (page.recipes / "odd" / "1").mkdir(parents=True)
    listed = client(page).get("/api/recipes/released").json()
    assert [(each["job"], each["recipe"], each["revision"]) for each in listed] == [(3, "bolt", 1), (9, "nut", 1)]
    assert all(len(each["digest"]) == 64 for each in listed)
