"""No cancellation is lost, whatever else happens at the same moment."""

from __future__ import annotations

import asyncio

import pytest

from edgekd.station.tasks import end, together, within

from .line.mosquitto import run


def test_a_cancellation_counts_although_what_was_waited_for_ends_at_that_moment() -> None:
    async def scenario() -> None:
        future = asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(within(10, future))
        await asyncio.sleep(0)
        future.set_result(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(scenario())


def test_what_takes_too_long_is_cancelled_and_done_with_before_the_caller_goes_on() -> None:
    ended = []

    async def slow() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0)
            ended.append("slow")

    async def scenario() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await within(0.01, slow())
        assert ended == ["slow"]

    run(scenario())


def test_an_answer_and_a_failure_are_passed_on() -> None:
    async def answer() -> int:
        return 7

    async def fail() -> None:
        raise OSError("lost")

    async def scenario() -> None:
        assert await within(None, answer()) == 7
        with pytest.raises(OSError, match="lost"):
            await within(1, fail())

    run(scenario())


def test_the_first_failure_ends_all_that_stand_together() -> None:
    ended = []

    async def endless(name: str) -> None:
        try:
            await asyncio.sleep(10)
        finally:
            ended.append(name)

    async def fail() -> None:
        await asyncio.sleep(0)
        raise OSError("lost")

    async def scenario() -> None:
        with pytest.raises(OSError, match="lost"):
            await together(endless("one"), fail(), endless("two"))
        assert ended == ["one", "two"]

    run(scenario())


def test_a_task_that_swallows_a_cancellation_is_ended_all_the_same(monkeypatch):
    monkeypatch.setattr("edgekd.station.tasks.AGAIN_S", 0.01)
    swallowed = []

    async def stubborn():
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed.append(True)
                if len(swallowed) == 3:
                    raise

    async def test():
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        await end(task)
        assert task.cancelled()

    asyncio.run(asyncio.wait_for(test(), 10))
    assert len(swallowed) == 3
