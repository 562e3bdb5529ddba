"""The long work of teaching in its own process: one at a time, over a restart, stopped and gone on with."""

import asyncio
import json
import os
import shutil
import signal
from collections import Counter

import pytest

import edgekd
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.page.link import RefusedError
from edgekd.station.page.roles import Role
from edgekd.station.page.teaching.ending import ending_of
from edgekd.station.page.teaching.projects import Projects
from edgekd.station.recipe_store import find_job, released_recipe
from edgekd.station.record.reading import RecordReader
from edgekd.station.tasks import within
from edgekd.verdicts.image_checks import CHECKS

from ...conftest import monocrystalline
from .stage import client, make_page
from .taught import TEACH, WAIT_S, shortened, taught, wait_for

pytest.importorskip("tomlkit")
COMPARISON = {"id": "cell", "revision": 1, "station": "line", "most": 1, "project": "cell"}


def test_work_is_done_in_a_process_of_its_own_one_at_a_time(tmp_path):
    projects = Projects(tmp_path / "data", tmp_path / "recipes")
    working = projects.create("cell", "line", "", 3, "engineer").working
    other = projects.create("nut", "line", "", 4, "engineer")
    assert working.job() is None
    assert working.order("compare", 1, "engineer", COMPARISON)
    assert not working.order("compare", 1, "engineer", COMPARISON)
    assert not working.go_on()
    with pytest.raises(RefusedError, match="cell is at work"):
        projects.require_free(other)
    with pytest.raises(RefusedError, match="at work"):
        projects.remove("cell")
    wait_for(lambda: not projects.get("cell").is_working)
    job = working.job()
    assert (job["state"], job["kind"], job["by"]) == ("failed", "compare", "engineer")
    assert "recipe.toml" in job["error"]  # There is no such recipe.
    assert job["elapsed_s"] >= 0
    assert job["ended_utc_ms"] >= job["started_utc_ms"]
    assert projects.get("cell").files.work.lines()[-1]["text"] == job["error"]
    projects.require_free(other)


def test_work_is_over_once_its_process_is_gone_and_the_next_can_begin(tmp_path):
    projects = Projects(tmp_path / "data", tmp_path / "recipes")
    project = projects.create("cell", "line", "", 3, "engineer")
    assert project.working.order("compare", 1, "engineer", COMPARISON)
    wait_for(lambda: not project.is_working)
    lock = project.files.work.take_lock()  # As a process has it that has done all, and is not gone yet.
    assert lock is not None
    assert project.working.job()["state"] == "running"
    os.close(lock)
    assert project.working.job()["state"] == "failed"


def test_whoever_follows_is_told_when_the_state_changes(tmp_path):
    projects = Projects(tmp_path / "data", tmp_path / "recipes")
    project = projects.create("cell", "line", "", 3, "engineer")

    async def follow():
        told = []
        async for job in projects.changes():
            told.append(job["state"])
            if job["state"] != "running":
                return told

    async def order_and_follow():
        following = asyncio.create_task(follow())
        assert project.working.order("compare", 1, "engineer", COMPARISON)
        return await within(WAIT_S, following)

    assert asyncio.run(order_and_follow())[-1] == "failed"


def test_what_was_killed_goes_on_with_the_next_page_and_what_was_stopped_does_not(tmp_path):
    projects = Projects(tmp_path / "data", tmp_path / "recipes")
    project = projects.create("cell", "line", "", 3, "engineer")
    assert project.working.order("compare", 1, "engineer", COMPARISON)
    project.working._process.kill()
    wait_for(lambda: not project.is_working)
    next_page = Projects(tmp_path / "data", tmp_path / "recipes")
    working = next_page.get("cell").working
    assert working.job()["state"] == "interrupted"
    next_page.resume()
    wait_for(lambda: not project.is_working)
    assert working.job()["state"] == "failed"  # It was gone on with, and there is no such recipe.
    assert working.order("compare", 1, "engineer", COMPARISON)
    working.stop()
    wait_for(lambda: not project.is_working)
    assert working.job()["state"] == "stopped"
    next_page.resume()
    assert not project.is_working
    working.stop()  # Again, which does no harm.
    assert working.go_on()
    wait_for(lambda: not project.is_working)
    assert working.job()["state"] == "failed"


def test_why_a_process_ended_before_its_time_is_in_the_job_the_notes_and_the_log(tmp_path):
    projects = Projects(tmp_path / "data", tmp_path / "recipes")
    project = projects.create("cell", "line", "", 3, "engineer")
    assert project.working.order("compare", 1, "engineer", COMPARISON)
    assert project.working.job()["ending"] is None
    project.working._process.kill()
    wait_for(lambda: not project.is_working)
    text = "ended by signal 9 (perhaps the system ran out of memory)"
    job = project.working.job()
    assert job["state"] == "interrupted"
    assert job["ending"] == {"code": "killed", "number": 9, "text": text}
    assert [line["text"] for line in project.files.work.lines()] == [f"the process of the work {text}"]
    assert text in project.files.work.log.read_text()
    assert Projects(tmp_path / "data", tmp_path / "recipes").get("cell").working.job()["ending"] == job["ending"]
    assert project.working.job() == job  # It is noted once.
    assert len(project.files.work.lines()) == 1
    assert project.working.go_on()
    wait_for(lambda: not project.is_working)
    job = project.working.job()
    assert (job["state"], job["ending"]) == ("failed", None)


def test_whoever_asked_a_process_to_end_or_lets_it_go_on_at_once_finds_no_false_reason(tmp_path):
    projects = Projects(tmp_path / "data", tmp_path / "recipes")
    project = projects.create("cell", "line", "", 3, "engineer")
    assert project.working.order("compare", 1, "engineer", COMPARISON)
    project.working.stop()
    wait_for(lambda: not project.is_working)
    job = project.working.job()
    assert (job["state"], job["ending"]) == ("stopped", None)
    assert project.working.go_on()
    project.working._process.kill()
    project.working._process.wait()
    assert project.working.go_on()  # Nobody looked meanwhile.
    assert "ended by signal 9" in project.files.work.log.read_text()
    wait_for(lambda: not project.is_working)
    assert project.working.job()["state"] == "failed"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (-9, "ended by signal 9 (perhaps the system ran out of memory)"),
        (-11, "ended by signal 11, SIGSEGV"),
        (-40, "ended by signal 40"),
        (1, "ended with exit code 1; see worker.log in the project's folder"),
        (-15, None),
        (130, None),
    ],
)
def test_an_exit_code_is_told_in_words(code, expected):
    ending = ending_of(code)
    assert (None if ending is None else ending.text) == expected


@pytest.mark.slow
def test_work_goes_on_after_the_page_and_after_a_kill_and_stops_when_asked(
    tmp_path, elpv_images, tiny_teacher, monkeypatch, request
):
    shortened(monkeypatch, tiny_teacher, iterations=200_000)
    page = make_page(tmp_path, projects=Projects(tmp_path / "data", tmp_path / "recipes"))
    project = taught(tmp_path, elpv_images)
    request.addfinalizer(project.working.stop)
    engineer = client(page, Role.ENGINEER)
    assert engineer.post(f"{TEACH}/train").status_code == 202

    def iterations():
        return json.loads((project.files.work.folder / "state.json").read_text())["done"] > 0

    wait_for(lambda: engineer.get(f"{TEACH}/progress").json()["curve"])
    assert engineer.get(f"{TEACH}/progress").json()["state"] == "running", engineer.get(f"{TEACH}/progress").json()
    other = page.projects.create("nut", "line", "", 4, "engineer")
    assert "at work" in engineer.post("/api/teach/nut/train").json()["error"]["text"]
    assert engineer.delete(TEACH).status_code == 409
    assert other.working.job() is None
    # Another page, as after a restart of the station: the work went on without the first one.
    again = make_page(tmp_path, projects=Projects(tmp_path / "data", tmp_path / "recipes"))
    again.projects.resume()
    job = client(again, Role.ENGINEER).get(f"{TEACH}/progress").json()
    assert job["state"] == "running"
    pid = json.loads((project.files.work.folder / "state.json").read_text())["pid"]
    os.kill(pid, signal.SIGTERM)  # As systemd does before the machine restarts.
    wait_for(lambda: not project.files.work.is_locked())
    assert client(again, Role.ENGINEER).get(f"{TEACH}/progress").json()["state"] == "interrupted"
    again.projects.resume()
    engineer = client(again, Role.ENGINEER)
    reached = job["curve"][-1]["iteration"]
    wait_for(lambda: engineer.get(f"{TEACH}/progress").json()["curve"][-1]["iteration"] > reached)
    assert engineer.post(f"{TEACH}/stop").status_code == 202
    wait_for(lambda: engineer.get(f"{TEACH}/progress").json()["state"] == "stopped")
    again.projects.resume()  # What was stopped stays so.
    assert engineer.get(f"{TEACH}/progress").json()["state"] == "stopped"
    assert RecordReader(tmp_path / "data" / VERDICTS_FILE).last(1) == ()
    assert iterations()


@pytest.mark.slow
def test_a_detector_taught_from_sixty_cells_judges_a_hundred_as_evaluate_does(tmp_path, elpv_images):
    page = make_page(tmp_path, projects=Projects(tmp_path / "data", tmp_path / "recipes"))
    engineer = client(page, Role.ENGINEER)
    assert engineer.post("/api/teach", json={"name": "cell", "station": "line", "job": 3}).status_code == 201
    for path in elpv_images[:60]:
        sent = engineer.post(f"{TEACH}/uploads", files=[("files", (path.name, path.read_bytes(), "image/png"))])
        assert len(sent.json()["added"]) == 1, sent.text
    assert engineer.post(f"{TEACH}/train", json={"minutes": 3}).status_code == 202
    wait_for(lambda: engineer.get(f"{TEACH}/progress").json()["state"] != "running", 30 * 60)
    progress = engineer.get(f"{TEACH}/progress").json()
    assert progress["state"] == "done", progress["error"]
    assert engineer.get(f"{TEACH}/result").json()["drift"]["synthetic"]  # There are no defects yet.
    assert engineer.post(f"{TEACH}/recipe").status_code == 202
    wait_for(lambda: engineer.get(f"{TEACH}/progress").json()["state"] != "running")
    assert engineer.post(f"{TEACH}/release", json={"reason": "taught"}).status_code == 200
    folder = find_job(page.recipes, 3)
    artifact = folder / released_recipe(folder)[0].detector.artifact
    for kind, paths in (("good", elpv_images[100:150]), ("crack", monocrystalline("1.0")[:50])):
        (tmp_path / "category" / "test" / kind).mkdir(parents=True)
        for path in paths:
            shutil.copyfile(path, tmp_path / "category" / "test" / kind / path.name)
    evaluation = edgekd.evaluate(artifact, data=tmp_path / "category")
    with edgekd.Inspector(artifact, ignored_checks=CHECKS) as inspector:
        judged = {
            kind: Counter(
                inspector(path).verdict.value for path in sorted((tmp_path / "category" / "test" / kind).iterdir())
            )
            for kind in ("good", "crack")
        }
    assert judged["good"]["NG"] == evaluation.verdicts["false_rejects"]
    assert judged["crack"]["OK"] == evaluation.verdicts["missed_defects"]
    assert judged["good"]["ERROR"] == judged["crack"]["ERROR"] == 0
    assert evaluation.image_auroc > 0.8
