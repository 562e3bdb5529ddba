"""A station on a real MQTT broker: what is published, when, and to whom."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from edgekd.errors import EdgekdError
from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.events import AlarmChanged, Audited, CountersChanged, RecipeChanged, SelfTestEnded, StateChanged
from edgekd.station.line.mqtt_topics import topics_of
from edgekd.station.states import State

from .mosquitto import BASE, FIRST_RETAINED, Mosquitto, born, publisher_of, run, serving, watching
from .mqtt_scripted import CAMERA_LOST, RECIPE, ScriptedStation, counted


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


def test_a_birth_comes_before_all_else_and_tells_what_runs(broker: Mosquitto, tmp_path: Path) -> None:
    async def scenario() -> None:
        station = ScriptedStation("birth")
        base = BASE.replace("press1", "birth")
        async with watching(broker.port, base) as watcher, serving(publisher_of(station, broker.port, tmp_path)):
            status = await born(watcher)
            assert watcher.seen[0].topic == "status"
            assert (status["online"], status["state"], status["seq"]) == (True, "READY", 0)
            assert (status["recipe"], status["recipe_digest"]) == ("cap", RECIPE.digest)
            assert {payload["birth"] for payload in (watcher.of(topic)[0] for topic in FIRST_RETAINED) if payload} == {
                status["birth"]
            }
            assert station.links == [("broker", True)]

    run(scenario())


def test_each_result_arrives_once_in_order_and_numbered(broker: Mosquitto, tmp_path: Path) -> None:
    async def scenario() -> None:
        station = ScriptedStation("results")
        base = BASE.replace("press1", "results")
        async with watching(broker.port, base) as watcher, serving(publisher_of(station, broker.port, tmp_path)):
            await born(watcher)
            for result_id in range(1, 51):
                station.publish(result_id, Verdict.ERROR if result_id == 7 else Verdict.OK)
            results = await watcher.results(50)
            assert [each["result_id"] for each in results] == list(range(1, 51))
            assert [each["seq"] for each in results] == list(range(1, 51))
            assert {each["delayed"] for each in results} == {False}
            assert (results[6]["verdict"], results[6]["score"], results[6]["error_code"]) == ("ERROR", None, 303)
            assert (results[0]["part_id"], results[0]["serial"], results[0]["lot"]) == (1001, "S1", "L1")

    run(scenario())


def test_what_is_retained_follows_the_station(broker: Mosquitto, tmp_path: Path) -> None:
    async def scenario() -> None:
        station = ScriptedStation("follows")
        base = BASE.replace("press1", "follows")
        async with watching(broker.port, base) as watcher, serving(publisher_of(station, broker.port, tmp_path)):
            await born(watcher)
            station.show(StateChanged(State.READY, State.LOADING, "job 8"), state=State.LOADING, recipe=None)
            station.events.publish(RecipeChanged(None))
            await watcher.until(lambda: len(watcher.of("state")) > 1 and len(watcher.of("recipe")) > 1)
            state, recipe, status = (watcher.of(topic)[-1] or {} for topic in ("state", "recipe", "status"))
            assert (state["state"], state["code"], state["cause"]) == ("LOADING", 4, "job 8")
            assert (recipe["job"], recipe["recipe"]) == (0, "")
            assert status["state"] == "LOADING"
            station.events.publish(SelfTestEnded("stored", False, "part3.png is OK, not NG"))
            station.events.publish(Audited("ann", "release", "cap/3"))
            await watcher.until(lambda: bool(watcher.of("selftest") and watcher.of("audit")))
            assert (watcher.of("selftest")[0] or {})["passed"] is False
            assert (watcher.of("audit")[0] or {})["who"] == "ann"

    run(scenario())


def test_whoever_subscribes_late_gets_the_present_and_no_old_results(broker: Mosquitto, tmp_path: Path) -> None:
    async def scenario() -> None:
        station = ScriptedStation("late")
        base = BASE.replace("press1", "late")
        async with serving(publisher_of(station, broker.port, tmp_path)):
            async with watching(broker.port, base) as early:
                await born(early)
                station.show(AlarmChanged(CAMERA_LOST), alarms=(CAMERA_LOST,), state=State.FAULT)
                station.publish(1)
                await early.results(1)
                await early.until(lambda: any(early.of("alarm/103")))
            async with watching(broker.port, base) as late:
                await late.until(lambda: bool(late.of("alarm/103")) and all(map(late.of, FIRST_RETAINED)))
                assert all(message.retained for message in late.seen)
                assert {message.topic for message in late.seen} == {*FIRST_RETAINED, "alarm/103"}
                assert (late.of("state")[0] or {})["fault"] == 103
                assert (late.of("alarm/103")[0] or {})["acknowledged"] is False
                station.show(AlarmChanged(CAMERA_LOST), alarms=())
                await late.until(lambda: late.of("alarm/103")[-1] is None)
            async with watching(broker.port, base) as later:
                await later.until(lambda: all(map(later.of, FIRST_RETAINED)))
                await asyncio.sleep(0.05)
                assert not later.of("alarm/103"), "an alarm that is gone was still retained"

    run(scenario())


def test_an_alarm_of_an_earlier_life_is_removed_by_the_next_birth(broker: Mosquitto, tmp_path: Path) -> None:
    async def scenario() -> None:
        base = BASE.replace("press1", "earlier")
        station = ScriptedStation("earlier")
        station.shown = type(station.shown)("earlier", alarms=(CAMERA_LOST,))
        async with watching(broker.port, base) as watcher:
            async with serving(publisher_of(station, broker.port, tmp_path)):
                await watcher.until(lambda: any(watcher.of("alarm/103")))
            async with serving(publisher_of(ScriptedStation("earlier"), broker.port, tmp_path)):
                await watcher.until(lambda: watcher.of("alarm/103")[-1] is None)

    run(scenario())


def test_counters_are_published_at_most_once_a_second_and_the_last_ones_always(
    broker: Mosquitto, tmp_path: Path
) -> None:
    async def scenario() -> None:
        station = ScriptedStation("counters")
        base = BASE.replace("press1", "counters")
        async with watching(broker.port, base) as watcher, serving(publisher_of(station, broker.port, tmp_path)):
            await born(watcher)
            began = time.monotonic()
            for ok in range(1, 13):
                station.show(CountersChanged(counted(ok)), counters=counted(ok))
                await asyncio.sleep(0.1)
            await watcher.until(lambda: (watcher.of("counters")[-1] or {})["ok"] == 12)
            took = time.monotonic() - began
            assert len(watcher.of("counters")) <= 2 + took
            assert all((payload or {})["total"] == (payload or {})["ok"] for payload in watcher.of("counters"))

    run(scenario())


def test_a_station_that_is_stopped_says_so(broker: Mosquitto, tmp_path: Path) -> None:
    async def scenario() -> None:
        base = BASE.replace("press1", "stopped")
        async with watching(broker.port, base) as watcher:
            async with serving(publisher_of(ScriptedStation("stopped"), broker.port, tmp_path)):
                birth = (await born(watcher))["birth"]
            await watcher.until(lambda: (watcher.of("status")[-1] or {})["online"] is False)
            assert watcher.of("status")[-1] == {"online": False, "birth": birth, "seq": 0}

    run(scenario())


def test_two_stations_of_one_process_do_not_disturb_each_other(broker: Mosquitto, tmp_path: Path) -> None:
    async def scenario() -> None:
        one, two = ScriptedStation("one"), ScriptedStation("two")
        base = BASE.removesuffix("/press1")
        async with (
            watching(broker.port, base) as watcher,
            serving(publisher_of(one, broker.port, tmp_path)),
            serving(publisher_of(two, broker.port, tmp_path)),
        ):
            await watcher.until(lambda: bool(watcher.of("one/counters") and watcher.of("two/counters")))
            for result_id in range(1, 11):
                (one if result_id % 2 else two).publish(result_id)
            await watcher.until(lambda: len(watcher.of("one/result")) + len(watcher.of("two/result")) == 10)
            for name, ids in (("one", [1, 3, 5, 7, 9]), ("two", [2, 4, 6, 8, 10])):
                results = [payload or {} for payload in watcher.of(f"{name}/result")]
                assert [each["result_id"] for each in results] == ids
                assert {each["station"] for each in results} == {name}

    run(scenario())


def test_an_alarm_shows_under_its_code_whatever_the_code_is(tmp_path: Path) -> None:
    topics = topics_of("edgekd/v1", "plant", "line1", "press1")
    shown = [topics.alarm(code) for code in ErrorCode]
    assert len(set(shown)) == len(shown)
    assert topics.alarm(ErrorCode.CAMERA_LOST) == f"{BASE}/alarm/103"


@pytest.mark.parametrize("base", ["", "/edgekd", "edgekd/", "$SYS/edgekd", "edgekd/#", "edgekd/+", "e" * 300])
def test_a_base_that_is_no_topic_is_refused(base: str) -> None:
    with pytest.raises(EdgekdError, match=r"^mqtt\.base must be"):
        topics_of(base, "plant", "line1", "press1")


def test_sequences_of_each_topic_have_no_gap(broker: Mosquitto, tmp_path: Path) -> None:
    async def scenario() -> None:
        station = ScriptedStation("gaps")
        base = BASE.replace("press1", "gaps")
        async with watching(broker.port, base) as watcher, serving(publisher_of(station, broker.port, tmp_path)):
            await born(watcher)
            for result_id, state in zip(range(1, 6), itertools.cycle((State.RUNNING, State.READY)), strict=False):
                station.show(StateChanged(State.READY, state, "trigger"), state=state)
                station.publish(result_id)
                await asyncio.sleep(0.05)
            await watcher.results(5)
            for topic in ("state", "recipe", "counters", "result"):
                numbers = [(payload or {})["seq"] for payload in watcher.of(topic)]
                assert numbers == list(range(1, len(numbers) + 1)), topic
            assert len(watcher.of("state")) >= 3

    run(scenario())
