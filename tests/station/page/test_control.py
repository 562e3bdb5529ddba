"""Control as the page's process sees it: what is known of results and lots, who follows, and what is asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import pytest

from edgekd.result import Verdict
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.error_codes import ErrorCode
from edgekd.station.json_lines import read_message, to_line
from edgekd.station.line import payloads
from edgekd.station.page import control as module
from edgekd.station.page.control import MOST_WAITING, RECENT, Control
from edgekd.station.page.link import FollowerSlowError, RefusedError
from edgekd.station.page.lots import LotCounter
from edgekd.station.page.process import open_record
from edgekd.station.page.roles import Role, User
from edgekd.station.parts import Part

from ..record.recording import judged, opened, outcome

ANNA = User("anna", Role.OPERATOR, "10.0.0.7")
VIEW = {"station": "line", "last": None}


class Both:
    """Both ends: control's, which the test plays, and the page's."""

    def __init__(self, folder, reader, writer):
        self.record = open_record(folder)
        self.reader, self.writer = reader, writer

    async def connect(self, ours):
        reader, writer = await asyncio.open_connection(sock=ours)
        lots = LotCounter(self.record.read)
        last = self.record.last
        self.page = Control(reader, writer, ("line", "side"), lambda count, name: last(count, station=name), lots)
        self.reading = asyncio.create_task(self.page.read())
        return self

    def tell(self, *events, view=VIEW, station="line"):
        message = {"station": station, "view": {**view, "station": station}, "events": list(events)}
        self.writer.write(to_line(message))

    async def change(self, follower):
        return await asyncio.wait_for(anext(follower), 10)


@contextlib.asynccontextmanager
async def both(folder):
    ours, theirs = socket.socketpair()
    made = await Both(folder, *await asyncio.open_connection(sock=theirs)).connect(ours)
    try:
        yield made
    finally:
        made.writer.close()
        await asyncio.wait_for(made.reading, 10)
        made.record.close()


def run(test):
    asyncio.run(asyncio.wait_for(test, 20))


def result(number, verdict=Verdict.OK, lot="L4", **more):
    return {"name": "result", "result": payloads.result(outcome(number, verdict, part=Part(number, "", lot), **more))}


@pytest.fixture
def data(tmp_path):
    """A record with a lot of 25 parts, of which the last one is NG and was reviewed, after one of another lot."""
    record = opened(tmp_path)
    judged(record, 1, part=Part(1, "", "L2"))
    for number in range(2, 26):
        judged(record, number)
    judged(record, 26, Verdict.NG)
    record.review(26, "anna", "bad", "a scratch")
    record.close()
    return tmp_path


def test_what_happened_before_the_page_was_served_comes_from_the_record(data):
    async def test():
        async with both(data) as ends:
            follower = ends.page.changes()
            last = payloads.result(outcome(26, Verdict.NG))
            ends.tell(view={"last": last})
            change = await ends.change(follower)
            recent = ends.page.recent("line")
            assert [each["result_id"] for each in recent] == [*range(26, 26 - RECENT, -1)]
            assert change["view"]["last"]["reviews"][0]["label"] == "bad"
            assert change["view"]["lot"] == {"lot": "L3", "total": 25, "ok": 24, "ng": 1, "error": 0}
            assert not ends.page.shown.is_set()
            ends.tell(station="side")
            await asyncio.wait_for(ends.page.shown.wait(), 10)
            assert ends.page.view("side")["lot"]["total"] == 0

    run(test())


def test_results_are_counted_once_whether_or_not_they_were_on_record_already(data):
    async def test():
        async with both(data) as ends:
            follower = ends.page.changes()
            ends.tell(result(26, Verdict.NG, "L3"), result(27, Verdict.NG, "L3"))
            await ends.change(follower)
            lot = (await ends.change(follower))["view"]["lot"]
            assert lot == {"lot": "L3", "total": 26, "ok": 24, "ng": 2, "error": 0}
            ends.tell(result(28, Verdict.ERROR), result(29, self_test=True))
            await ends.change(follower)
            assert (await ends.change(follower))["view"]["lot"] == {
                "lot": "L4",
                "total": 1,
                "ok": 0,
                "ng": 0,
                "error": 1,
            }
            assert [each["result_id"] for each in ends.page.recent("line")][:4] == [29, 28, 27, 26]

    run(test())


def test_after_events_were_lost_the_record_is_read_anew(data):
    async def test():
        async with both(data) as ends:
            follower = ends.page.changes()
            ends.tell()
            await ends.change(follower)
            record = opened(data)
            judged(record, 40)
            record.close()
            ends.tell({"name": "lost", "count": 7})
            assert (await ends.change(follower))["event"] == {"name": "lost", "count": 7}
            assert ends.page.recent("line")[0]["result_id"] == 40

    run(test())


def test_an_answer_that_was_never_published_is_no_part_of_its_lot_and_not_among_the_last(data):
    record = opened(data)
    record.deliver(25, "late")  # Its part got an ERROR instead, which has a row of its own.
    record.close()

    async def test():
        async with both(data) as ends:
            follower = ends.page.changes()
            ends.tell()
            lot = (await ends.change(follower))["view"]["lot"]
            assert lot == {"lot": "L3", "total": 24, "ok": 23, "ng": 1, "error": 0}
            assert 25 not in [each["result_id"] for each in ends.page.recent("line")]

    run(test())


def test_news_of_an_answer_that_is_not_known_any_more_is_passed_on_alone(data):
    async def test():
        async with both(data) as ends:
            follower = ends.page.changes()
            ends.tell()
            await ends.change(follower)
            ends.writer.write(
                to_line({"station": "line", "view": None, "events": [{"name": "stored", "result_id": 1, "image": "x"}]})
            )
            assert "result" not in (await ends.change(follower))["event"]
            delivered = {"name": "delivered", "result_id": 26, "how": "acked"}
            ends.writer.write(to_line({"station": "line", "view": None, "events": [delivered]}))
            assert await ends.change(follower) == {"station": "line", "view": None, "event": delivered}

    run(test())


def test_the_page_tells_its_own_news_too(data):
    async def test():
        async with both(data) as ends:
            follower = ends.page.changes()
            assert ends.page.followers == 1
            ends.page.tell("line", {"name": "job", "job": {}})
            assert await ends.change(follower) == {"station": "line", "view": None, "event": {"name": "job", "job": {}}}
            follower.close()
            assert ends.page.followers == 0

    run(test())


def test_whoever_takes_nothing_is_let_go_and_holds_up_nobody(data):
    async def test():
        async with both(data) as ends:
            slow = ends.page.changes()
            for number in range(MOST_WAITING + 10):
                ends.page.tell("line", {"name": "job", "job": {"n": number}})
            assert ends.page.followers == 0
            for number in range(MOST_WAITING):
                assert (await ends.change(slow))["event"]["job"] == {"n": number}
            with pytest.raises(FollowerSlowError):
                await ends.change(slow)

    run(test())


def test_a_request_carries_who_asks_and_is_answered_by_its_number(data):
    async def test():
        async with both(data) as ends:
            asked = asyncio.create_task(ends.page.ask("line", "review", ANNA, result_id=3, label="bad"))
            request = await asyncio.wait_for(read_message(ends.reader), 10)
            assert request["who"] == {"name": "anna", "role": "operator", "address": "page 10.0.0.7"}
            assert (request["station"], request["method"]) == ("line", "review")
            assert request["arguments"] == {"result_id": 3, "label": "bad"}
            ends.writer.write(to_line({"reply": 99, "code": 0, "text": ""}))  # Of somebody who has left.
            ends.writer.write(to_line({"reply": request["call"], "code": 0, "text": "", "acquisition_id": 4}))
            assert await asked == {"acquisition_id": 4}

    run(test())


def test_what_is_refused_says_why_and_what_is_not_answered_ends(data, monkeypatch):
    async def test():
        async with both(data) as ends:
            asked = asyncio.create_task(ends.page.ask("line", "online", ANNA))
            request = await asyncio.wait_for(read_message(ends.reader), 10)
            ends.writer.write(to_line({"reply": request["call"], "code": 401, "text": "The station is halted."}))
            with pytest.raises(RefusedError, match="halted") as refused:
                await asked
            assert refused.value.code is ErrorCode.TRIGGER_NOT_READY
            monkeypatch.setattr(module, "REPLY_S", 0.05)
            with pytest.raises(TimeoutError):
                await ends.page.ask("line", "online", ANNA)
            with pytest.raises(KeyError):
                await ends.page.ask("other", "online", ANNA)

    run(test())


def test_a_record_that_is_damaged_keeps_no_page_from_being_served(tmp_path):
    (tmp_path / VERDICTS_FILE).write_bytes(b"no database" * 100)

    async def test():
        async with both(tmp_path) as ends:
            follower = ends.page.changes()
            ends.tell(result(1, Verdict.ERROR))
            change = await ends.change(follower)
            assert change["view"]["lot"]["error"] == 1
            for read in (lambda: ends.record.last(1), lambda: ends.record.result(1), ends.record.trail):
                with pytest.raises(Exception, match="verdicts"):
                    read()

    run(test())


def test_a_result_that_is_told_twice_keeps_what_is_known_of_it(data):
    async def test():
        async with both(data) as ends:
            follower = ends.page.changes()
            ends.tell(result(26, Verdict.NG, "L3"))
            change = await ends.change(follower)
            assert json.loads(json.dumps(change["event"]["result"]["reviews"]))[0]["who"] == "anna"

    run(test())
