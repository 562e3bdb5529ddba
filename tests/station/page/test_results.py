"""Answers on record and their images, as the page gives them out."""

import cv2
import numpy as np
import pytest

from edgekd.result import Verdict
from edgekd.station.page import stored_images
from edgekd.station.page.roles import Role
from edgekd.station.page.routes.results import thumbnails
from edgekd.station.ports import StoredImage

from ..record.recording import judged, opened, outcome
from .on_record import store
from .stage import client, make_page


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def record(data):
    record = opened(data)
    yield record
    record.close()


@pytest.fixture
def page(tmp_path, record):
    page = make_page(tmp_path)
    yield page
    page.record.close()


@pytest.fixture
def anyone(page):
    return client(page)


@pytest.fixture
def supervisor(page):
    return client(page, Role.SUPERVISOR)


def test_a_result_comes_with_reviews_images_and_what_became_of_it(record, data, anyone):
    record.operator = "mara"
    judged(record, 1, Verdict.NG)
    record.review(1, "jo", "good", "only <b>dust</b>")
    store(record, data, 1)
    result = anyone.get("/api/results/1").json()
    assert (result["result_id"], result["verdict"], result["severity"]) == (1, "NG", 0.25)
    assert (result["operator"], result["delivered"]) == ("mara", "acked")
    assert result["images"] == {"original": True, "heat_map": False}
    (review,) = result["reviews"]
    assert (review["who"], review["label"], review["note"]) == ("jo", "good", "only <b>dust</b>")
    assert review["time_utc_ms"] > 1_700_000_000_000


def test_what_is_not_on_record_is_not_found(anyone):
    for path in ("/api/results/1", "/api/results/1/images/original"):
        answer = anyone.get(path)
        assert answer.status_code == 404
        assert "on record" in answer.json()["error"]["text"]
    assert anyone.get("/api/results/0").status_code == 422
    assert anyone.get("/api/results/1/images/secrets").status_code == 422


def test_an_image_is_given_as_it_was_written_and_only_once(record, data, anyone):
    judged(record, 1, Verdict.NG)
    content = store(record, data, 1)
    answer = anyone.get("/api/results/1/images/original")
    assert (answer.content, answer.headers["content-type"]) == (content, "image/png")
    assert "private" in answer.headers["cache-control"]
    again = anyone.get("/api/results/1/images/original", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_list_gets_small_images(record, data, anyone):
    judged(record, 1, Verdict.NG)
    store(record, data, 1, "heat_map", height=600, width=900)
    for _ in range(2):
        answer = anyone.get("/api/results/1/images/heat_map?thumbnail=true")
        assert answer.headers["content-type"] == "image/jpeg"
        image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (213, 320, 3)
    assert "heat_map" in next(reversed(thumbnails._kept))


def test_the_oldest_small_images_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_images, "MOST_KEPT", 2)
    kept = stored_images.Thumbnails()
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((4, 4), np.uint8))
    for name in "abc":
        assert kept.of(path, StoredImage(1, "original", name, "", 1)) is not None
    assert list(kept._kept) == ["b", "c"]


def test_an_image_that_cannot_be_read_is_not_found(record, data, anyone):
    judged(record, 1, Verdict.NG)
    store(record, data, 1, suffix=".jpg")
    (data / "images/2026-11-27/23/1_NG.jpg").write_bytes(b"no image")
    assert anyone.get("/api/results/1/images/original?thumbnail=true").status_code == 404
    (data / "images/2026-11-27/23/1_NG.jpg").unlink()
    assert anyone.get("/api/results/1/images/original").status_code == 404
    assert stored_images.thumbnail(data / "gone.png") is None


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "verdicts.db", "page/users.json"])
def test_only_images_of_the_record_are_given_whatever_it_holds(record, data, tmp_path, anyone, path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    judged(record, 1, Verdict.NG)
    record.stored(StoredImage(1, "original", path, "00", 6))
    assert anyone.get("/api/results/1/images/original").status_code == 404


def test_of_several_cameras_the_image_of_the_one_that_decided_is_shown(record, data, page, anyone):
    record.write(outcome(1, Verdict.NG, acquired=0))  # By the camera "top".
    for camera in ("side", "top"):
        path = data / f"1_NG_{camera}.png"
        path.write_bytes(camera.encode())
        record.stored(StoredImage(1, "original", path.name, camera, 4))
    assert anyone.get("/api/results/1/images/original").content == b"top"


def test_results_are_searched_and_paged(record, supervisor):
    for number in range(1, 7):
        judged(record, number, Verdict.NG if number % 2 else Verdict.OK)
    record.review(3, "mara", "good")
    first = supervisor.get("/api/results?verdict=NG&limit=2").json()
    assert [each["result_id"] for each in first["results"]] == [5, 3]
    rest = supervisor.get(f"/api/results?verdict=NG&limit=2&before_id={first['next_before_id']}").json()
    assert ([each["result_id"] for each in rest["results"]], rest["next_before_id"]) == ([1], None)
    found = supervisor.get("/api/results?reviewed=good&station=line&recipe=cell&revision=3&serial=S&lot=L3&part=1003")
    assert [each["result_id"] for each in found.json()["results"]] == [3]
    assert supervisor.get("/api/results?from=0&to=1&error=103").json() == {"results": [], "next_before_id": None}


@pytest.mark.parametrize(
    "query",
    [
        "from=-1",
        "to=1e99",
        "part=x",
        "part=99999999999999999999",
        "verdict=MAYBE",
        "recipe=../x",
        "limit=0",
        "limit=9999",
        "error=-5",
        "reviewed=yes",
        "before_id=0",
        f"serial={'x' * 65}",
    ],
)
def test_a_wrong_search_is_refused_with_the_field_named(supervisor, query):
    answer = supervisor.get(f"/api/results?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["text"].startswith(query.partition("=")[0])


def test_the_record_is_searched_by_supervisors_only(page, anyone):
    assert anyone.get("/api/results").status_code == 401
    assert client(page, Role.OPERATOR).get("/api/results").status_code == 403
    assert client(page, Role.ADMIN).get("/api/results").status_code == 403
    assert client(page, Role.ENGINEER).get("/api/results").status_code == 200
