"""What the page's process may ask of control, by whom it was asked, and what it is told."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.page.requests import LONGEST_TEXT, REQUESTS, answer
from edgekd.station.ports import Person
from edgekd.station.recipes import SelfTests
from edgekd.station.states import State

from ..core.fakes import JOB, bench, inspected, run, until

ANNA = Person("anna", "supervisor", "page 10.0.0.7")
MASTER = SelfTests(master_parts=(("good part", "OK"),))


class Asked:
    """A station that is asked as the page does it."""

    def __init__(self, made, folder):
        self.made, self.recipes, self._folder = made, made.recipes, folder

    def snap_path(self, station):
        return self._folder / f"{station}.png"

    async def __call__(self, method, **arguments):
        return await answer(self.made.station, method, arguments, ANNA, self)

    async def judges(self, condition):
        """Waits until a recipe judges that is as it should be."""

        def judges():
            snapshot = self.made.station.snapshot()
            return snapshot.state is State.READY and snapshot.recipe is not None and condition(snapshot.recipe)

        await until(judges)

    async def audits(self, action):
        """Entries of the audit trail."""
        await self.made.written()
        return [entry for entry in self.made.record.audits if entry[3] == action]


@contextlib.asynccontextmanager
async def asked(folder, **options):
    async with bench(answer=inspected(), **options) as made:
        yield Asked(made, folder)


def test_who_asked_is_in_the_audit_trail_with_role_and_address(tmp_path):
    async def test():
        async with asked(tmp_path, self_tests=MASTER) as ask:
            await ask.made.part()
            for method, action in (
                ("self_test", "self-test"),
                ("master_test", "master-part test"),
                ("reset_counters", "reset counters"),
                ("clear_error", "clear error"),
                ("offline", "offline"),
                ("online", "online"),
            ):
                assert (await ask(method))["code"] == 0, method
                entry = (await ask.audits(action))[-1]
                assert entry[:5] == ("anna", "supervisor", "page 10.0.0.7", action, "press")
                await until(lambda: ask.made.state in (State.READY, State.OFFLINE))

    run(test())


def test_a_job_without_a_released_recipe_is_refused_and_the_one_that_judges_goes_on(tmp_path):
    async def test():
        async with asked(tmp_path) as ask:
            refused = await ask("change_job", job=8)
            assert (refused["code"], refused["text"]) == (501, "no released recipe for job 8")
            assert ask.made.state is State.READY
            ask.made.recipes.put(8)
            assert (await ask("change_job", job=8))["code"] == 0
            await ask.judges(lambda recipe: recipe.job == 8)
            entries = await ask.audits("load recipe")
            assert entries[-1][:3] == ("anna", "supervisor", "page 10.0.0.7")
            assert (await ask("change_job", job=0))["code"] == 0
            await until(lambda: ask.made.state is State.NO_JOB)

    run(test())


def test_a_newer_release_of_the_loaded_job_judges_once_recipes_are_reloaded(tmp_path):
    async def test():
        async with asked(tmp_path) as ask:
            assert await ask("reload_recipes") == {"code": 0, "text": "", "reloaded": False}
            released = ask.made.recipes.recipes[JOB]
            ask.made.recipes.recipes[JOB] = type(released)(released.recipe, "another digest")
            ask.made.inspector.digest = "another digest"
            assert (await ask("reload_recipes"))["reloaded"]
            await ask.judges(lambda recipe: recipe.digest == "another digest")
            ask.made.station.change_job(0, "test")
            await until(lambda: ask.made.state is State.NO_JOB)
            assert not (await ask("reload_recipes"))["reloaded"]

    run(test())


def test_an_alarm_is_seen_by_a_name_and_one_that_is_gone_is_refused(tmp_path):
    async def test():
        async with asked(tmp_path) as ask:
            ask.made.station.report_link("broker", False)
            assert (await ask("acknowledge_alarm", code=702))["code"] == 0
            assert ask.made.station.snapshot().alarms[0].acknowledged_by == "anna"
            assert (await ask("acknowledge_alarm", code=103))["text"] == "There is no such alarm any more."
            assert (await ask("acknowledge_alarm", code=9))["code"] == ErrorCode.SYSTEM

    run(test())


def test_a_fault_whose_cause_is_there_is_not_cleared_and_says_why(tmp_path):
    async def test():
        async with asked(tmp_path) as ask:
            ask.made.station.report_link("camera top", False)
            refused = await ask("clear_error")
            assert refused["code"] == ErrorCode.CAMERA_LOST
            assert "Check its cable" in refused["text"]
            ask.made.station.report_link("camera top", True)
            assert (await ask("clear_error"))["code"] == 0

    run(test())


def test_a_blocked_station_is_released_with_a_reason_alone(tmp_path):
    async def test():
        async with asked(tmp_path) as ask:
            assert (await ask("release", reason="known"))["code"] == ErrorCode.TRIGGER_NOT_READY
            ask.made.inspector.passes = False
            await ask("self_test")
            await until(lambda: ask.made.state is State.BLOCKED)
            assert (await ask("release", reason=""))["code"] == ErrorCode.SELF_TEST_FAILED
            assert (await ask("release", reason="the lamp was changed"))["code"] == 0
            assert (await ask.audits("release"))[-1][0] == "anna"
            assert ask.made.state is State.READY

    run(test())


def test_a_review_and_a_change_are_on_record_once_they_are_answered(tmp_path):
    async def test():
        async with asked(tmp_path) as ask:
            outcome = await ask.made.part()
            reply = await ask("review", result_id=outcome.result_id, label="bad", note="a scratch")
            assert reply["code"] == 0
            assert ask.made.record.reviews == [(outcome.result_id, "anna", "bad", "a scratch")]
            assert (await ask.audits("review"))[0][4:] == ("press: result 1", "", "bad", "a scratch")
            wrong = await ask("review", result_id=outcome.result_id, label="ugly")
            assert "good, bad" in wrong["text"]
            unknown = await ask("review", result_id=99, label="good")
            assert unknown["code"] == ErrorCode.ROW_NOT_WRITTEN
            words = {"action": "add user", "subject": "bert", "old": "", "new": "operator", "why": "x" * 900}
            assert (await ask("audit", **words))["code"] == 0
            entry = ask.made.record.audits[-1]
            assert entry[:7] == ("anna", "supervisor", "page 10.0.0.7", "add user", "bert", "", "operator")
            assert len(entry[7]) == LONGEST_TEXT

    run(test())


def test_parts_come_from_the_page_while_the_station_is_simulated(tmp_path):
    async def test():
        async with asked(tmp_path, trigger="timer") as ask:
            assert (await ask("trigger"))["code"] == ErrorCode.TRIGGER_DISABLED
            await ask("simulate", on=True)
            reply = await ask("trigger", serial="S1", lot="L1")
            assert (reply["code"], reply["acquisition_id"]) == (0, 1)
            await until(lambda: ask.made.record.rows)
            assert ask.made.record.rows[0].part.serial == "S1"
            assert ask.made.record.rows[0].simulated

    run(test())


def test_an_image_is_taken_while_the_station_judges_nothing(tmp_path):
    async def test():
        async with asked(tmp_path) as ask:
            assert (await ask("snap", camera="top"))["code"] == ErrorCode.TRIGGER_NOT_READY
            ask.made.station.set_online(False, "test")
            await until(lambda: ask.made.state is State.OFFLINE)
            settings = {"trigger": "free_run", "region": [0, 0, 640, 480]}
            reply = await ask("snap", camera="top", settings=settings)
            assert (reply["code"], reply["width"], reply["height"], reply["bit_depth"]) == (0, 640, 480, 8)
            assert reply["snap"] == "press"
            assert (tmp_path / "press.png").read_bytes() == b"an image"
            assert ask.made.inspector.snaps[-1][2].region == (0, 0, 640, 480)
            assert "gian is not known" in (await ask("snap", camera="top", settings={"gian": 1}))["text"]
            assert "no camera side" in (await ask("snap", camera="side"))["text"]
            ask.made.inspector.loading = StationError(ErrorCode.CAMERA_LOST, "camera 'top' does not answer")
            lost = await ask("snap", camera="top")
            assert (lost["code"], lost["text"]) == (103, "camera 'top' does not answer")

    run(test())


def test_small_images_are_made_while_somebody_looks(tmp_path):
    async def test():
        async with asked(tmp_path) as ask:
            await ask("watch", on=True)
            assert ask.made.inspector.watched == {"press"}
            await ask("watch", on=False)
            assert ask.made.inspector.watched == set()

    run(test())


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("format_disk", {}), ("acknowledge_alarm", {}), ("change_job", {"job": "one"}), ("review", {"label": "bad"})],
)
def test_what_is_no_request_is_refused_in_one_line(tmp_path, method, arguments):
    async def test():
        async with asked(tmp_path) as ask:
            reply = await ask(method, **arguments)
            assert reply["code"] == ErrorCode.SYSTEM
            assert reply["text"]
            assert "\n" not in reply["text"]

    run(test())


def test_a_review_waits_for_a_full_disk(tmp_path):
    async def test():
        async with asked(tmp_path) as ask:
            outcome = await ask.made.part()
            await ask.made.written()
            ask.made.record.full = True
            waiting = asyncio.ensure_future(ask("review", result_id=outcome.result_id, label="good"))
            await until(lambda: not ask.made.shared.recorder.writable)
            assert not waiting.done()
            ask.made.record.full = False
            assert (await waiting)["code"] == 0

    run(test())


def test_every_request_of_the_contract_is_there():
    assert set(REQUESTS) == {
        *("acknowledge_alarm", "audit", "change_job", "clear_error", "master_test", "offline", "online", "release"),
        *("reload_recipes", "reset_counters", "review", "self_test", "simulate", "snap", "trigger", "watch"),
    }
