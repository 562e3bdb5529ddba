"""Work that is ordered for a project: what it leaves of earlier work, and what is said of it."""

import os

import cv2
import numpy as np
import pytest

from edgekd.artifact import manifest_path, read_entries, write_json, write_manifest
from edgekd.station.page.roles import Role
from edgekd.station.page.routes import teach_work
from edgekd.station.page.routes.recipes import ONE_AT_A_TIME
from edgekd.station.page.teaching import orders
from edgekd.station.page.teaching.project import SYSTEMS
from edgekd.station.page.teaching.projects import Projects
from edgekd.station.page.teaching.reporting import Report
from edgekd.station.page.teaching.worker import work
from edgekd.station.page.teaching.working import Working
from edgekd.station.recipe_release import discard, next_revision
from edgekd.station.recipe_store import list_path

from ...engines.hand_made import MEAN, graph, save
from ..recipe_folders import write_draft
from .stage import client, make_page
from .taught import TEACH


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page with a project that needs no images, and whose work is ordered but never begins."""
    monkeypatch.setattr(orders, "LEAST_GOOD", 0)
    monkeypatch.setattr(orders, "NEEDED", ())
    monkeypatch.setattr(Working, "_start", lambda working, lock: None)
    page = make_page(tmp_path, projects=Projects(tmp_path / "data", tmp_path / "recipes"))
    page.projects.create("cell", "line", "solar cell", 3, "engineer")
    return page


@pytest.fixture
def project(page):
    return page.projects.get("cell")


@pytest.fixture
def engineer(page):
    return client(page, Role.ENGINEER)


def completed(project, number):
    """A training that has all its files, whatever is in them."""
    training = project.files.training(number)
    training.run.mkdir(parents=True)
    for path in (training.artifact, training.drift, training.tries):
        path.write_text("{}")
    figures = ("system", "minutes", "seconds", "iterations", "images", "held_out", "copies", "teachers", "device")
    write_json(training.trained, dict.fromkeys(figures) | {"below_ceiling": None})
    return training


def test_a_detector_stays_however_many_trainings_after_it_were_stopped(project):
    completed(project, 1)
    for number in (2, 3, 4, 5):
        orders.train(project, "ann", 3.0, None)
        project.files.training(number).folder.mkdir()
    assert [each.number for each in project.files.trainings()] == [1, 3, 4, 5]
    assert project.last_complete().number == 1


def detector(training, folder, nodes=()):
    """Gives a training a detector that judges by grey values; returns the path of its manifest."""
    made = save(graph(nodes), folder, threshold=100.0)
    made.rename(training.artifact)
    return manifest_path(made).rename(manifest_path(training.artifact))


def limited(artifact, manifest, value):
    """Gives a detector a threshold, as the page lets people choose it."""
    write_manifest(artifact, manifest | {"threshold": manifest["threshold"] | {"value": value, "limits": []}})


def tried(project, engineer, tmp_path, grey):
    """A training with a detector that judges by grey values, which tried an image of each; then what is shown."""
    training = completed(project, 1)
    limited(training.artifact, read_entries(detector(training, tmp_path)), 100.0)
    for value in grey:
        image = cv2.imencode(".png", np.full((32, 32), value, np.uint8))[1].tobytes()
        project.images.add(image, "defect", "upload", f"{value}.png", "ann")
    assert engineer.post(f"{TEACH}/try").status_code == 202
    assert work(project.files, project.files.folder, project.recipes) == 0
    return engineer.get(f"{TEACH}/result").json()


def test_trying_that_is_stopped_leaves_the_detector_and_what_was_tried_before(project, engineer, tmp_path, monkeypatch):
    before = tried(project, engineer, tmp_path, (50, 200))
    assert [each["verdict"] for each in before["tries"]] == ["OK", "NG"]

    def stopped(report, *rest):
        raise KeyboardInterrupt

    assert engineer.post(f"{TEACH}/try").status_code == 202
    monkeypatch.setattr(Report, "progress", stopped)
    assert work(project.files, project.files.folder, project.recipes) == 130
    assert engineer.get(f"{TEACH}/result").json() == before
    assert engineer.get(f"{TEACH}/tries/1").status_code == 200
    assert engineer.get(TEACH).json()["run"]["number"] == 1


def test_what_was_tried_by_another_limit_is_not_shown(project, engineer, tmp_path):
    assert tried(project, engineer, tmp_path, (50, 200))["tried"]["defect_ng"] == 1
    artifact = project.last_complete().artifact
    limited(artifact, read_entries(manifest_path(artifact)), 220.0)  # Then trying was stopped.
    assert engineer.get(f"{TEACH}/result").json()["tries"] == []


def test_another_limit_takes_back_what_the_one_before_would_have_changed(project, engineer):
    training = completed(project, 1)
    write_json(training.comparison, {"n": 3})
    assert engineer.get(f"{TEACH}/comparison").status_code == 200
    assert engineer.post(f"{TEACH}/threshold", json={"false_reject_rate": 0.1}).status_code == 202
    assert engineer.get(f"{TEACH}/comparison").status_code == 404


def test_the_trail_tells_what_was_before_a_change(page, project, engineer):
    assert engineer.patch(TEACH, json={"job": 7, "product": "wafer"}).status_code == 200
    project.images.add(cv2.imencode(".png", np.full((64, 64), 90, np.uint8))[1].tobytes(), "good", "upload", "a", "ann")
    for crop in ([0, 0, 48, 48], [0, 0, 32, 32]):
        assert engineer.post(f"{TEACH}/view", json={"crop": crop}).status_code == 200
    told = [(words["old"], words["new"]) for _, _, _, words in page.link.asked]
    assert told[0] == ("product solar cell, job 3", "product wafer, job 7")
    assert told[2][0] == told[1][1] == '{"crop":[0,0,48,48],"ignore":[],"tiles":null}'


def test_a_training_that_is_refused_changes_nothing(project, engineer):
    before = project.settings
    other = next(system for system in SYSTEMS if system != before.system)
    lock = project.files.work.take_lock()
    assert engineer.post(f"{TEACH}/train", json={"system": other}).status_code == 409
    os.close(lock)
    assert project.settings == before


def test_the_trail_tells_what_is_gone_on_with(page, project, engineer):
    assert engineer.post(f"{TEACH}/train", json={"minutes": 30}).status_code == 202
    assert engineer.post(f"{TEACH}/stop").status_code == 202
    assert engineer.post(f"{TEACH}/train", json={"resume": True}).status_code == 202
    told = [(words["action"], words["new"]) for _, _, _, words in page.link.asked]
    assert told == [("train", "hkt, 30 minutes"), ("go on", "train of run 1")]


@pytest.fixture
def draft(page, project, tmp_path):
    """The first revision of the project's recipe, made of its detector."""
    training, image = completed(project, 1), tmp_path / "image.png"
    detector(training, tmp_path)
    cv2.imwrite(str(image), np.full((24, 32), 128, np.uint8))
    folder = write_draft(page.recipes, training.artifact, image, name="cell")
    write_json(project.files.draft, {"id": "cell", "revision": 1, "run": 1, "by": "ann"})
    return folder


def test_a_release_is_kept_apart_from_other_changes_of_recipes(engineer, draft, monkeypatch):
    real, held = teach_work.release_recipe, []

    def release(*words):
        held.append(ONE_AT_A_TIME.locked())  # Which releases and edits under Engineering take too.
        return real(*words)

    monkeypatch.setattr(teach_work, "release_recipe", release)
    assert engineer.post(f"{TEACH}/release", json={"reason": "first cells"}).status_code == 200
    assert held == [True]
    assert list_path(draft).exists()


def test_a_draft_that_took_the_place_of_the_one_that_was_shown_is_not_signed(page, project, engineer, draft):
    shown = engineer.get(TEACH).json()["draft"]
    next_revision(draft)  # Somebody else made the draft anew.
    write_json(project.files.draft, {"id": "cell", "revision": 2, "run": 1, "by": "bob"})
    asked = {"reason": "first cells", "revision": shown["revision"]}
    refused = engineer.post(f"{TEACH}/release", json=asked)
    assert (refused.status_code, "cell/2" in refused.json()["error"]["text"]) == (409, True)
    assert not list(page.recipes.glob("cell/*.sha256"))
    assert engineer.post(f"{TEACH}/release", json=asked | {"revision": 2}).status_code == 200


def test_a_draft_is_shown_with_its_own_job_and_product(project, engineer, draft):
    assert engineer.patch(TEACH, json={"job": 7, "product": "wafer"}).status_code == 200
    shown = engineer.get(TEACH).json()
    assert (shown["job"], shown["product"]) == (7, "wafer")  # Of the next draft;
    assert (shown["draft"]["job"], shown["draft"]["product"]) == (3, "")  # this one was made before.
    assert engineer.post(f"{TEACH}/release", json={"reason": "first cells"}).json()["job"] == 3


def test_a_draft_of_another_detector_under_the_number_of_one_that_was_deleted_is_not_signed(
    page, project, engineer, draft, tmp_path
):
    discard(draft)
    other = save(graph([MEAN]), tmp_path, threshold=100.0)  # As a revision of an earlier release has it.
    write_draft(page.recipes, other, tmp_path / "image.png", name="cell")
    assert engineer.get(TEACH).json()["draft"] is None
    assert engineer.post(f"{TEACH}/release", json={"reason": "first cells"}).status_code == 409
