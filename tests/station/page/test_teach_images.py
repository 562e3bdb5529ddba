"""Images of a project: taken, sent, imported, with what is wrong with them and how many more are wanted."""

import errno
import os
from dataclasses import replace

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from edgekd.data.images import read_image
from edgekd.errors import EdgekdError
from edgekd.station.error_codes import ErrorCode
from edgekd.station.live_folder import SNAPS
from edgekd.station.page.link import RefusedError
from edgekd.station.page.roles import Role
from edgekd.station.page.teaching.projects import Projects
from edgekd.station.page.teaching.wanted import wanted

from .stage import client, make_page


@pytest.fixture
def page(tmp_path):
    projects = Projects(tmp_path / "data", tmp_path / "recipes")
    return make_page(tmp_path, projects=projects)


@pytest.fixture
def engineer(page) -> TestClient:
    return client(page, Role.ENGINEER)


@pytest.fixture
def cells(elpv_images):
    """Real cells in their own size."""
    return [read_image(path) for path in elpv_images[:14]]


@pytest.fixture
def bolt(engineer):
    made = engineer.post("/api/teach", json={"name": "bolt", "station": "line", "product": "M8", "job": 3})
    assert made.status_code == 201, made.text
    return "/api/teach/bolt"


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def send(engineer, project, images, label="good"):
    files = [("files", (f"{number}.png", png(image), "image/png")) for number, image in enumerate(images)]
    answer = engineer.post(f"{project}/uploads", files=files, data={"label": label})
    assert answer.status_code == 201, answer.text
    return answer.json()


def hints(engineer, project):
    images = engineer.get(f"{project}/images").json()["images"]
    return {image["id"]: [hint["code"] for hint in image["hints"]] for image in images}


def test_a_project_is_made_changed_listed_and_removed(engineer, bolt):
    assert engineer.post("/api/teach", json={"name": "bolt", "station": "line", "job": 4}).status_code == 409
    assert engineer.post("/api/teach", json={"name": "nut", "station": "other", "job": 4}).status_code == 422
    assert engineer.post("/api/teach", json={"name": "../nut", "station": "line", "job": 4}).status_code == 422
    changed = engineer.patch(bolt, json={"product": "M10", "job": 5}).json()
    assert (changed["product"], changed["job"], changed["station"]) == ("M10", 5, "line")
    listed = engineer.get("/api/teach").json()
    assert [project["name"] for project in listed["projects"]] == ["bolt"]
    assert listed["projects"][0]["by"] == "engineer"
    assert listed["projects"][0]["step"] == "collect"
    assert listed["default_system"] in listed["systems"]
    assert engineer.delete(bolt).status_code == 204
    assert engineer.get(bolt).status_code == 404
    assert engineer.get("/api/teach").json()["projects"] == []


def test_a_damaged_project_is_said_to_be_and_hides_no_other(engineer, bolt, page):
    assert engineer.post("/api/teach", json={"name": "nut", "station": "line", "job": 4}).status_code == 201
    (page.data / "teach" / "bolt" / "project.json").write_text('{"name": "bolt"}')
    again = client(replace(page, projects=Projects(page.data, page.recipes)), Role.ENGINEER)
    assert [project["name"] for project in again.get("/api/teach").json()["projects"]] == ["nut"]
    refused = again.get(bolt)
    assert (refused.status_code, "station is missing" in refused.json()["error"]["text"]) == (422, True)


def test_images_are_kept_as_they_came_and_shown_as_jpeg(engineer, bolt, page, cells):
    answer = send(engineer, bolt, cells[:2])
    assert [image["id"] for image in answer["added"]] == [1, 2]
    assert answer["wanted"]["good"] == 2
    kept = page.projects.get("bolt").images
    assert np.array_equal(read_image(kept.path(kept.get(2))), cells[1])
    for kind in ("thumbnail", "full"):
        shown = engineer.get(f"{bolt}/images/2/{kind}")
        assert shown.headers["content-type"] == "image/jpeg"
        assert cv2.imdecode(np.frombuffer(shown.content, np.uint8), cv2.IMREAD_COLOR) is not None
        again = engineer.get(f"{bolt}/images/2/{kind}", headers={"If-None-Match": shown.headers["etag"]})
        assert again.status_code == 304
    assert engineer.patch(f"{bolt}/images/2", json={"label": "out"}).json()["label"] == "out"
    assert engineer.get(bolt).json()["counts"]["good"] == 1
    assert engineer.delete(f"{bolt}/images/1").status_code == 204
    for path in ("images/1/full", "images/9/thumbnail"):
        assert engineer.get(f"{bolt}/{path}").status_code == 404
    assert engineer.patch(f"{bolt}/images/1", json={"label": "good"}).status_code == 404
    assert engineer.delete(f"{bolt}/images/1").status_code == 404
    opened_again = Projects(page.data, page.recipes).get("bolt").images
    assert opened_again.all() == kept.all()
    assert send(engineer, bolt, cells[2:3])["added"][0]["id"] == 3  # No number comes twice.


def test_an_image_that_comes_after_a_line_that_was_cut_off_is_kept(engineer, bolt, page, cells):
    send(engineer, bolt, cells[:1])
    index = page.data / "teach" / "bolt" / "images.jsonl"
    with index.open("a") as file:
        file.write('{"id": 2, "label"')  # As a full disk or a power cut leaves it.
    send(engineer, bolt, cells[1:2])
    assert engineer.patch(f"{bolt}/images/1", json={"label": "out"}).status_code == 200
    kept = Projects(page.data, page.recipes).get("bolt").images
    assert [(image.id, image.label) for image in kept.all()] == [(1, "out"), (2, "good")]


def test_an_image_of_a_project_that_was_removed_meanwhile_is_refused_and_its_name_is_free(engineer, bolt, page, cells):
    images = page.projects.get("bolt").images  # As an upload holds it that is under way.
    assert engineer.delete(bolt).status_code == 204
    with pytest.raises(EdgekdError, match="was removed"):
        images.add(png(cells[0]), "good", "upload", "late.png", "ann")
    assert engineer.post("/api/teach", json={"name": "bolt", "station": "line", "job": 3}).status_code == 201


def test_what_is_no_image_is_refused_and_the_rest_is_taken(engineer, bolt, cells):
    bomb = png(np.zeros((16, 16, 3), np.uint8)).replace(b"\0\0\0\x10\0\0\0\x10", b"\0\0\xff\xff\0\0\xff\xff")
    files = [
        ("files", ("<script>.png", b"<script>alert(1)</script>", "image/png")),
        ("files", ("../../bomb.png", bomb, "image/png")),
        ("files", ("good.png", png(cells[0]), "image/png")),
    ]
    answer = engineer.post(f"{bolt}/uploads", files=files).json()
    assert [image["name"] for image in answer["added"]] == ["good.png"]
    assert len(answer["refused"]) == 2
    assert engineer.post(f"{bolt}/uploads", data={"label": "good"}).status_code == 422
    wrong = engineer.post(f"{bolt}/uploads", files=files[2:], data={"label": "<b>"})
    assert wrong.status_code == 422
    assert wrong.json()["error"]["text"].startswith("label")


def test_hints_tell_what_is_wrong_with_an_image(engineer, bolt, cells):
    send(engineer, bolt, cells)
    assert all(not told for told in hints(engineer, bolt).values())
    blurred = cv2.GaussianBlur(cells[0], (0, 0), 6)
    smaller = cv2.resize(cells[1], None, fx=0.5, fy=0.5)
    bright = np.clip(cells[2].astype(np.int16) * 3 + 90, 0, 255).astype(np.uint8)
    noisy = np.clip(cells[3] + np.random.default_rng(0).normal(0, 1, cells[3].shape), 0, 255).astype(np.uint8)
    for image, code in (
        ((cells[4] * 0.1).astype(np.uint8), "dark"),
        (bright, "over_exposed"),
        (np.full_like(cells[5], 100), "flat"),
        (blurred, "blurred"),
        (smaller, "size"),
        (noisy, "copy"),
    ):
        added = send(engineer, bolt, [image])["added"][0]
        assert code in [hint["code"] for hint in added["hints"]], (code, added)
    told = send(engineer, bolt, [noisy])["added"][0]["hints"]
    assert told[-1]["of"] == 4
    project = engineer.get(bolt).json()
    assert project["counts"]["hinted"] == 7
    assert project["counts"]["copies"] >= 2
    assert project["wanted"]["good"] == project["counts"]["good"] - project["counts"]["copies"]
    assert project["frame"] == {"width": cells[0].shape[1], "height": cells[0].shape[0]}


def test_a_defect_may_be_dark_and_an_image_that_is_marked_out_has_no_hint_of_itself(engineer, bolt, cells):
    send(engineer, bolt, cells)
    dark = (cells[4] * 0.2).astype(np.uint8)
    assert send(engineer, bolt, [dark], "defect")["added"][0]["hints"] == []
    assert send(engineer, bolt, [dark[:, ::-1].copy()], "out")["added"][0]["hints"] == []


def test_a_camera_takes_an_image_into_the_project(engineer, bolt, page, cells):
    folder = page.live / "line" / SNAPS
    folder.mkdir(parents=True)
    path = folder / "1700000000000-1.png"
    path.write_bytes(png(cells[0]))
    told = {"snap": path.stem, "path": str(path), "width": 300, "height": 300, "bit_depth": None}
    page.link.answers["snap"] = told
    taken = engineer.post(f"{bolt}/collect", json={"label": "golden"})
    assert taken.status_code == 201, taken.text
    assert (taken.json()["image"]["source"], taken.json()["image"]["label"]) == ("camera", "golden")
    station, method, user, arguments = page.link.asked[-1]
    assert (station, method, user.name, arguments["camera"]) == ("line", "snap", "engineer", "top")
    snap = engineer.post("/api/stations/line/snap", json={"settings": {"exposure_us": 100.0}}).json()
    assert page.link.asked[-1][3]["settings"] == {"exposure_us": 100.0}
    assert engineer.get(f"/api/snaps/{snap['snap']}").headers["content-type"] == "image/jpeg"
    for name in ("1-1-8", "..%2f1-8", "1700000000000-1"):
        assert engineer.get(f"/api/snaps/{name}").status_code == 404
    assert engineer.post("/api/stations/line/snap", json={"camera": "side"}).status_code == 404
    page.projects.get("bolt").change(station="gone")  # From the configuration.
    assert engineer.post(f"{bolt}/collect").status_code == 404
    page.projects.get("bolt").change(station="line")
    page.link.answers["snap"] = RefusedError(ErrorCode.SYSTEM, "The station inspects: take it offline first.")
    assert engineer.post(f"{bolt}/collect").status_code == 409


def test_images_of_a_camera_keep_their_bit_depth(engineer, bolt, page, cells):
    folder = page.live / "line" / SNAPS
    folder.mkdir(parents=True)
    path = folder / "1700000000000-2.png"
    path.write_bytes(png(cells[0][:, :, 0].astype(np.uint16) * 16))
    page.link.answers["snap"] = {"snap": path.stem, "path": str(path), "width": 9, "height": 9, "bit_depth": 12}
    assert engineer.post(f"{bolt}/collect").status_code == 201
    assert engineer.get(f"{bolt}/images/1/full").status_code == 200
    assert engineer.get(bolt).json()["bit_depth"] == 12
    snap = engineer.post("/api/stations/line/snap").json()["snap"]
    assert engineer.get(f"/api/snaps/{snap}").status_code == 200
    page.link.answers["snap"]["bit_depth"] = None
    assert "bits" in engineer.post(f"{bolt}/collect").json()["error"]["text"]


def test_images_of_a_camera_of_12_bits_come_from_elsewhere_too(engineer, bolt, page, cells):
    page.projects.get("bolt").require_bit_depth(12)
    deep = [cell[:, :, 0].astype(np.uint16) * 16 for cell in cells[:2]]
    answer = send(engineer, bolt, [*deep, cells[2]])  # As the record keeps them; and one of 8 bits.
    assert [len(answer[which]) for which in ("added", "refused")] == [3, 0], answer["refused"]
    kept = page.projects.get("bolt").images
    assert kept.get(1).seen.level == pytest.approx(cells[0][:, :, 0].mean(), rel=0.1)
    assert [engineer.get(f"{bolt}/images/{number}/full").status_code for number in (1, 2, 3)] == [200] * 3


def test_a_folder_is_imported_by_its_name_alone(engineer, bolt, page, cells, tmp_path):
    inside = page.data / "import" / "Monday"
    inside.mkdir(parents=True)
    (inside / "a.png").write_bytes(png(cells[0]))
    outside = tmp_path / "secret.png"
    outside.write_bytes(png(cells[1]))
    (inside / "b.png").symlink_to(outside)
    assert engineer.get("/api/teach").json()["import_folders"] == [{"name": "Monday", "images": 1}]
    assert len(engineer.post(f"{bolt}/folder", json={"folder": "Monday"}).json()["added"]) == 1
    for name in ("../..", "/etc", "Tuesday", "."):
        assert engineer.post(f"{bolt}/folder", json={"folder": name}).status_code == 404


def test_names_from_another_system_are_shown_and_their_images_taken(engineer, bolt, page, cells):
    latin = page.data / "import" / os.fsdecode(b"Pr\xfcfung")  # As a stick has it that was written elsewhere.
    latin.mkdir(parents=True)
    (latin / os.fsdecode(b"gepr\xfcft.png")).write_bytes(png(cells[0]))
    (folder,) = engineer.get("/api/teach").json()["import_folders"]
    assert folder == {"name": r"Pr\xfcfung", "images": 1}
    (latin / os.fsdecode(b"\xfc.png")).write_bytes(b"no image")
    answer = engineer.post(f"{bolt}/folder", json={"folder": folder["name"]}).json()
    assert [image["name"] for image in answer["refused"]] == [r"\xfc.png"]
    assert [image["name"] for image in answer["added"]] == [r"gepr\xfcft.png"]
    assert engineer.get(f"{bolt}/images").status_code == 200


def test_images_are_counted_while_somebody_else_removes_one(engineer, bolt, page, cells, monkeypatch):
    send(engineer, bolt, cells[:2])
    project = page.projects.get("bolt")
    hints = project.hints

    def removed_meanwhile():
        project.images.remove(2)
        return hints()

    monkeypatch.setattr(project, "hints", removed_meanwhile)
    assert project.counts()["good"] == 2
    monkeypatch.undo()
    assert project.counts()["good"] == 1


def test_a_name_is_free_again_after_a_disk_was_full(engineer, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
        full = engineer.post("/api/teach", json={"name": "bolt", "station": "line", "job": 3})
        assert (full.status_code, "disk" in full.json()["error"]["text"]) == (503, True), full.text
    assert engineer.post("/api/teach", json={"name": "bolt", "station": "line", "job": 3}).status_code == 201


def test_the_view_must_fit_the_images(engineer, bolt, cells):
    assert engineer.post(f"{bolt}/view", json={"tiles": [2, 2]}).status_code == 422  # There is none yet.
    send(engineer, bolt, cells[:1])
    height, width = cells[0].shape[:2]
    view = {"crop": [10, 10, width - 20, height - 20], "ignore": [[[20, 20], [60, 20], [60, 60]]], "tiles": [1, 2]}
    changed = engineer.post(f"{bolt}/view", json=view)
    assert changed.json()["view"] == view, changed.text
    for wrong in (
        {"crop": [0, 0, width + 1, height]},
        {"crop": [0, 0, 4, 4]},
        {"ignore": [[[0, 0], [width, 0], [width, height], [0, height]]]},
        {"ignore": [[[0, 0], [1, 1]]]},
        {"tiles": [0, 2]},
        {"tiles": [100, 100]},
    ):
        assert engineer.post(f"{bolt}/view", json=wrong).status_code == 422, wrong
    assert engineer.get(bolt).json()["view"] == view


def test_how_many_are_wanted_follows_from_what_a_threshold_can_promise():
    assert wanted(0)["code"] == "too_few"
    assert (wanted(29)["code"], wanted(29)["more"]) == ("too_few", 1)
    few = wanted(30)
    assert (few["code"], few["held_out"], few["more"], few["enough"]) == ("few", 3, 10, False)
    more = wanted(60)
    assert (more["code"], more["held_out"], more["more"]) == ("more", 10, 240)
    assert round(more["bound"], 3) == 0.259
    enough = wanted(300)
    assert (enough["code"], enough["held_out"], enough["enough"]) == ("enough", 30, True)
    assert wanted(5000)["more"] == 0
    bounds = [each["bound"] for each in enough["milestones"]]
    assert bounds == sorted(bounds, reverse=True)


def test_nobody_but_an_engineer_teaches(page):
    for role in (Role.ANYONE, Role.OPERATOR, Role.SUPERVISOR, Role.ADMIN):
        somebody = client(page, role)
        assert somebody.get("/api/teach").status_code in (401, 403)
        assert somebody.post("/api/teach", json={"name": "a", "station": "line", "job": 1}).status_code in (401, 403)
