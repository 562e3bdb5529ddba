"""What the page's process is told of a station: how it is, what happened, and what somebody does now."""

from __future__ import annotations

import json
import time

from edgekd.station.configuration import OneStation
from edgekd.station.error_codes import ErrorCode
from edgekd.station.events import (
    AlarmChanged,
    CountersChanged,
    Delivered,
    ExposureDone,
    ImageStored,
    Lost,
    Published,
    Refused,
    Reviewed,
    SelfTestEnded,
    Started,
    StateChanged,
)
from edgekd.station.page.advice import STATES, advice_of
from edgekd.station.page.views import Viewed, differs, event_of
from edgekd.station.parts import Part
from edgekd.station.recipes import SelfTests
from edgekd.station.snapshot import Alarm, Snapshot
from edgekd.station.states import State

from ..core.fakes import BAD, bench, inspected, run

NOW = 1_790_000_000_000
PRESS = OneStation(name="press", cameras=("top",))


def shown(snapshot, events=()):
    viewed = Viewed(PRESS, NOW)
    for event in events:
        viewed.saw(event, NOW + 1)
    return viewed.view(snapshot)


def test_a_view_holds_the_station_as_json_has_it():
    async def test():
        async with bench(answer=inspected(BAD)) as made:
            outcome = await made.part(7)
            view = json.loads(json.dumps(shown(made.station.snapshot(), made.events), allow_nan=False))
            assert (view["station"], view["state"]["state"], view["state"]["cause"]) == ("press", "READY", "answered")
            assert view["state"]["since_utc_ms"] == NOW + 1
            assert (view["trigger_ready"], view["busy"], view["online"], view["blocked"]) == (True, False, True, False)
            assert (view["recipe"]["job"], view["counters"]["ng"]) == (7, 1)
            assert (view["last"]["result_id"], view["last"]["verdict"]) == (outcome.result_id, "NG")
            assert view["self_test"]["last"]["kind"] == "stored"
            assert view["self_test"]["last"]["passed"]
            assert (view["trigger"], view["cameras"], view["alarms"]) == ("modbus", ["top"], [])

    run(test())


def test_time_that_passes_alone_is_no_news():
    viewed = Viewed(PRESS, NOW)
    first = viewed.view(Snapshot("press", uptime_s=1))
    assert differs(first, None)
    assert not differs(viewed.view(Snapshot("press", uptime_s=9)), first)
    assert differs(viewed.view(Snapshot("press", online=True)), first)


def test_each_event_has_its_name_and_what_it_is_about():
    async def test():
        async with bench(answer=inspected()) as made:
            outcome = await made.part()
            acquisition = made.saw(Started)[0].acquisition
            alarm = Alarm(ErrorCode.PLC_SILENT, "The heartbeat stopped.", NOW)
            told = {
                "result": (Published(outcome), "result"),
                "started": (Started(acquisition), "acquisition_id"),
                "exposed": (ExposureDone(1), "acquisition_id"),
                "alarm": (AlarmChanged(alarm), "alarm"),
                "self_test": (SelfTestEnded("master", True, "as expected"), "self_test"),
                "delivered": (Delivered(1, "acked"), "how"),
                "stored": (ImageStored(1, "original"), "image"),
                "review": (Reviewed(1, "anna", "bad", "a scratch"), "review"),
                "refused": (Refused(ErrorCode.OVERRUN, Part(3)), "code"),
                "state": (StateChanged(State.READY, State.FAULT, "camera"), "cause"),
                "lost": (Lost(3), "count"),
            }
            for name, (event, field) in told.items():
                message = event_of("press", event, NOW)
                assert message["name"] == name
                assert field in message
                json.dumps(message, allow_nan=False)
            audited = [event_of("press", event, NOW) for event in made.events if type(event).__name__ == "Audited"]
            assert audited[0]["audit"]["action"] == "online"
            assert event_of("press", CountersChanged(made.station.snapshot().counters), NOW) is None

    run(test())


def test_advice_is_what_stops_the_line_before_what_does_not():
    warning = Alarm(ErrorCode.PLC_SILENT, "Check the PLC.", NOW)
    fatal = Alarm(ErrorCode.CAMERA_LOST, "Check its cable.", NOW, fatal=True)
    failed = Alarm(ErrorCode.SELF_TEST_FAILED, "Clean the lens.", NOW)
    assert advice_of(Snapshot("press", State.FAULT, alarms=(warning, fatal)))["text"] == "Check its cable."
    assert advice_of(Snapshot("press", State.BLOCKED, alarms=(warning, failed)))["code"] == 504
    seen = Alarm(ErrorCode.LINK_LOST, "Check the broker.", NOW, acknowledged_by="anna")
    assert advice_of(Snapshot("press", State.READY, alarms=(seen, warning)))["key"] == "406"


def test_where_nothing_is_wrong_advice_says_what_the_station_waits_for():
    for state in State:
        advice = advice_of(Snapshot("press", state, trigger_ready=state is State.READY))
        assert advice == {"code": 0, "text": STATES[state], "key": state.name}
    assert advice_of(Snapshot("press", State.READY))["key"] == "NOT_ENABLED"
    over = Alarm(ErrorCode.CAMERA_LOST, "It is back.", NOW, fatal=True, active=False)
    assert advice_of(Snapshot("press", State.FAULT, alarms=(over,)))["key"] == "FAULT"


def test_what_is_due_is_named_and_asked_for_no_longer_once_it_is_being_done():
    due = (Alarm(ErrorCode.SELF_TEST_DUE, "A self-test is overdue. Start it.", NOW),)
    for changes, key in (
        ({}, "505"),
        ({"master_due": True}, "MASTER_DUE"),
        ({"master_due": True, "master_test": True}, "MASTER_TEST"),
    ):
        assert advice_of(Snapshot("press", State.READY, alarms=due, self_test_due=True, **changes))["key"] == key


def test_a_master_part_test_asks_for_its_parts():
    async def test():
        tests = SelfTests(master_parts=(("good part", "OK"),))
        async with bench(answer=inspected(), self_tests=tests) as made:
            assert made.station.start_master_test("page", "anna").text == ""
            view = shown(made.station.snapshot())
            assert view["self_test"]["master_running"]
            assert view["advice"]["key"] == "MASTER_TEST"
            await made.part()
            after = shown(made.station.snapshot())["self_test"]
            assert not after["master_running"]
            assert (after["last"]["kind"], after["last"]["passed"]) == ("master", True)
            assert abs(after["last"]["ended_utc_ms"] - time.time() * 1000) < 60_000

    run(test())
