"""The long work of teaching: from images to a released recipe, and from what was reviewed to the next one."""

from dataclasses import replace

import cv2
import pytest

from edgekd.artifact import read_manifest
from edgekd.data.images import read_image
from edgekd.engines import open_engine
from edgekd.recipe import held_out_images, read_recipe
from edgekd.result import Verdict
from edgekd.station.page.roles import Role
from edgekd.station.page.teaching.projects import Projects
from edgekd.station.page.teaching.worker import work
from edgekd.station.page.teaching.working import Working
from edgekd.station.ports import StoredImage
from edgekd.station.recipe_store import find_job, released_recipe
from edgekd.workflows.scoring import measure_images

from ...conftest import monocrystalline
from ..record.recording import RECIPE, acquisition, opened, outcome
from .stage import client, make_page
from .taught import TEACH, png, quickly_exported, shortened, taught

pytest.importorskip("tomlkit")
RELEASED = replace(RECIPE, job=3)


def in_this_process(monkeypatch, page):
    """Does the work at once and here, as its process would: what is learned is the same, and nothing is waited for."""

    def start(working, lock):
        assert work(working._project, page.data, page.recipes) in (0, 1)

    monkeypatch.setattr(Working, "_start", start)


@pytest.fixture(scope="module")
def page(tmp_path_factory, elpv_images, tiny_teacher):
    """A page with a project that was trained. Tests go on with it, in their order."""
    folder = tmp_path_factory.mktemp("teach")
    page = make_page(folder, projects=Projects(folder / "data", folder / "recipes"))
    taught(folder, elpv_images)
    with pytest.MonkeyPatch.context() as patch:
        shortened(patch, tiny_teacher)
        quickly_exported(patch)
        in_this_process(patch, page)
        yield page


@pytest.fixture
def engineer(page):
    return client(page, Role.ENGINEER)


def record_parts(page, elpv_images):
    """Three parts on record, the last two of which an operator reviewed."""
    record = opened(page.data)
    bad = monocrystalline("1.0")[3]
    for number, (path, verdict, label) in enumerate(
        ((elpv_images[50], Verdict.OK, None), (elpv_images[51], Verdict.NG, "good"), (bad, Verdict.NG, "bad")), start=1
    ):
        record.begin(acquisition(number, recipe=RELEASED), RELEASED)
        record.write(outcome(number, verdict, recipe=RELEASED))
        (page.data / "images").mkdir(exist_ok=True)
        (page.data / f"images/{number}.png").write_bytes(png(path))
        record.stored(StoredImage(number, "original", f"images/{number}.png", "ab" * 32, 100))
        if label:
            record.review(number, "operator", label)
    record.close()


@pytest.fixture
def released(page, engineer, elpv_images):
    """The project with a detector released and parts on record, as the tests before leave it where they ran."""
    project = page.projects.get("cell")
    if project.last_complete() is None:
        assert engineer.post(f"{TEACH}/train", json={"minutes": 0.1}).status_code == 202
        assert engineer.post(f"{TEACH}/recipe").status_code == 202
        assert engineer.post(f"{TEACH}/release", json={"reason": "first cells"}).status_code == 200
        record_parts(page, elpv_images)
    return project


def test_a_detector_is_trained_exported_compared_and_tried(page, engineer):
    assert engineer.get(f"{TEACH}/progress").status_code == 404
    for path in ("result", "comparison", "tries/1"):
        assert engineer.get(f"{TEACH}/{path}").status_code == 404
    for path in ("try", "recipe", "compare"):
        assert engineer.post(f"{TEACH}/{path}").status_code == 409
    began = engineer.post(f"{TEACH}/train", json={"minutes": 0.1})
    assert began.status_code == 202, began.text
    progress = engineer.get(f"{TEACH}/progress").json()
    assert progress["state"] == "done", progress["error"]
    assert [step["name"] for step in progress["steps"]] == ["images", "training", "float", "int8", "drift", "tries"]
    assert all(step["state"] == "done" and step["text"] for step in progress["steps"])
    assert not progress["running"]
    assert progress["curve"][-1]["iteration"] == 20
    assert progress["curve"][-1]["loss"] > 0
    assert progress["log"]
    project = engineer.get(TEACH).json()
    assert (project["step"], project["run"]["number"], project["run"]["iterations"]) == ("check", 1, 20)


def test_the_result_is_that_of_the_int8_detector(page, engineer):
    training = page.projects.get("cell").last_complete()
    found = engineer.get(f"{TEACH}/result").json()
    manifest = read_manifest(training.artifact)
    assert found["artifact"]["sha256"] == manifest["sha256"]
    assert found["artifact"]["precision"] == "int8"
    assert found["threshold"]["value"] == manifest["threshold"]["value"]
    assert found["threshold"]["good_images"] == len(held_out_images(read_recipe(training.run))) == 10
    assert "10 unseen good images" in found["threshold"]["promise"]
    assert [row["false_reject_rate"] for row in found["limits"]] == [0.0, 0.01, 0.02, 0.05, 0.1]
    assert all(row["ng"] == 3 and 0 <= row["missed"] <= 3 for row in found["limits"])
    assert {(row["precision"], row["backend"] == "torch") for row in found["drift"]["rows"]} == {
        ("fp32", True),
        ("fp32", False),
        ("int8", False),
    }
    assert not found["drift"]["synthetic"]
    assert found["drift"]["images"] == 15
    assert {entry["image"] for entry in found["tries"]} == {41, 42, 43, 44, 45}
    assert (found["tried"]["golden"], found["tried"]["defect"]) == (2, 3)
    images = page.projects.get("cell").images
    with open_engine(training.artifact) as engine:
        tried = [images.path(images.get(entry["image"])) for entry in found["tries"]]
        scores = measure_images(engine, tried, "again", lambda *rest: None).scores
    assert [entry["score"] for entry in found["tries"]] == pytest.approx(scores, rel=1e-4)
    assert engineer.get(f"{TEACH}/tries/41").headers["content-type"] == "image/jpeg"


def test_another_limit_becomes_the_threshold(page, engineer):
    assert engineer.post(f"{TEACH}/threshold", json={"false_reject_rate": 0.7}).status_code == 422
    assert engineer.post(f"{TEACH}/threshold", json={"false_reject_rate": 0.1}).status_code == 202
    found = engineer.get(f"{TEACH}/result").json()
    assert found["threshold"]["false_reject_rate"] == 0.1
    assert engineer.get(TEACH).json()["work"]["state"] == "done"


def test_golden_parts_that_came_later_are_tried(page, engineer, elpv_images):
    files = [("files", ("late.png", png(elpv_images[45]), "image/png"))]
    late = engineer.post(f"{TEACH}/uploads", files=files, data={"label": "golden"}).json()["added"][0]["id"]
    assert engineer.get(f"{TEACH}/tries/{late}").status_code == 404
    assert engineer.post(f"{TEACH}/try").status_code == 202
    assert engineer.get(f"{TEACH}/tries/{late}").status_code == 200


def test_the_recipe_is_released_by_name_with_a_reason_and_is_on_record(page, engineer):
    assert engineer.post(f"{TEACH}/release", json={"reason": "first"}).status_code == 409  # There is no draft.
    made = engineer.post(f"{TEACH}/recipe")
    assert made.status_code == 202
    assert engineer.get(f"{TEACH}/progress").json()["state"] == "done", made.text
    project = engineer.get(TEACH).json()
    facts = {"id": "cell", "revision": 1, "status": "draft", "job": 3, "product": "solar cell"}
    assert project["draft"] == facts
    assert project["step"] == "release"
    assert engineer.post(f"{TEACH}/release", json={"reason": ""}).status_code == 422
    answer = engineer.post(f"{TEACH}/release", json={"reason": "first cells"})
    assert answer.status_code == 200, answer.text
    folder = find_job(page.recipes, 3)
    recipe, digest = released_recipe(folder)
    assert answer.json() == {"id": "cell", "revision": 1, "digest": digest, "job": 3, "reloaded": False}
    assert (recipe.release.by, recipe.release.reason, recipe.product) == ("engineer", "first cells", "solar cell")
    asked = [(method, user.name, arguments) for _, method, user, arguments in page.link.asked[-2:]]
    assert [method for method, _, _ in asked] == ["audit", "reload_recipes"]
    assert asked[0][2] == {
        "action": "release recipe",
        "subject": "cell/1",
        "old": "",
        "new": "cell/1",
        "why": "first cells",
    }
    project = engineer.get(TEACH).json()
    assert (project["draft"]["status"], project["step"]) == ("released", "released")
    assert engineer.post(f"{TEACH}/release", json={"reason": "again"}).status_code == 409


def test_a_new_detector_is_compared_on_the_recorded_images(page, engineer, elpv_images):
    assert engineer.post(f"{TEACH}/compare").status_code == 202
    assert "no image is on record" in engineer.get(f"{TEACH}/progress").json()["error"]
    record_parts(page, elpv_images)
    compared = engineer.post(f"{TEACH}/compare", json={"with": "cell/1", "most": 50})
    assert compared.status_code == 202, compared.text
    assert engineer.get(f"{TEACH}/progress").json()["error"] == ""
    found = engineer.get(f"{TEACH}/comparison").json()
    assert found["n"] == 3
    assert sum(found["counts"]["old"].values()) == sum(found["counts"]["new"].values()) == 3
    assert found["changed"] == []  # It is the same detector.
    assert found["reviewed"]["n"] == 2
    assert found["reviewed"]["old_right"] == found["reviewed"]["new_right"]
    assert engineer.post(f"{TEACH}/compare", json={"with": "nut/9"}).status_code == 409


def test_what_operators_reviewed_is_learned_from(page, engineer):
    good = engineer.post(f"{TEACH}/reviewed", json={"label": "good"}).json()
    assert [(image["label"], image["source"], image["result_id"]) for image in good["added"]] == [("good", "record", 2)]
    bad = engineer.post(f"{TEACH}/reviewed", json={"label": "bad"}).json()
    assert [(image["label"], image["result_id"]) for image in bad["added"]] == [("defect", 3)]
    assert engineer.post(f"{TEACH}/reviewed", json={"label": "bad"}).json()["added"] == []  # It is there already.


@pytest.mark.slow
def test_a_retraining_that_failed_goes_on_and_makes_the_next_revision_and_the_first_one_stays(page, engineer, released):
    gone = released.images.path(released.images.get(1))
    content = gone.read_bytes()
    gone.unlink()
    assert engineer.post(f"{TEACH}/train").status_code == 202
    failed = engineer.get(f"{TEACH}/progress").json()
    assert (failed["state"], failed["step"], failed["steps"][0]["state"]) == ("failed", "", "failed")
    assert "was removed" in failed["error"]
    assert engineer.get(TEACH).json()["run"]["number"] == 1  # The detector of before is still there.
    gone.write_bytes(content)
    assert engineer.post(f"{TEACH}/train", json={"resume": True}).status_code == 202
    assert engineer.get(f"{TEACH}/progress").json()["state"] == "done"
    assert engineer.post(f"{TEACH}/train", json={"resume": True}).status_code == 409  # It is done.
    found = engineer.get(TEACH).json()
    assert (found["run"]["number"], found["draft"], found["step"]) == (2, None, "check")
    assert engineer.post(f"{TEACH}/compare").status_code == 202
    assert engineer.get(f"{TEACH}/comparison").json()["old"] == {"id": "cell", "revision": 1}
    engineer.post(f"{TEACH}/recipe")
    assert engineer.get(TEACH).json()["draft"]["revision"] == 2
    assert engineer.post(f"{TEACH}/release", json={"reason": "more cells"}).status_code == 200
    assert find_job(page.recipes, 3).name == "2"
    assert (page.recipes / "cell" / "1" / "recipe.toml").exists()


def test_too_few_images_and_images_that_a_view_does_not_fit_are_refused(page, engineer):
    project = page.projects.get("cell")
    small = cv2.imencode(".png", read_image(project.images.path(project.images.get(1)))[:40, :40])[1].tobytes()
    project.images.add(small, "good", "upload", "small.png", "engineer")
    assert engineer.post(f"{TEACH}/view", json={"crop": [0, 0, 32, 32]}).status_code == 200
    assert "another size" in engineer.post(f"{TEACH}/train").json()["error"]["text"]
    engineer.post(f"{TEACH}/view", json={})
    for image in project.images.labelled("good")[:20]:
        project.images.relabel(image.id, "out")
    assert "too few" in engineer.post(f"{TEACH}/train").json()["error"]["text"]
