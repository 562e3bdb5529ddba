"""The thread of the record: in order, answers before tidying up, failures reach who waits, nobody waits for a disk."""

import asyncio
import threading

import pytest

from edgekd.errors import MachineError
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.record.reading import RecordReader
from edgekd.station.record.thread import RecordThread

from .recording import RECIPE, acquisition, opened, outcome


def run(main):
    asyncio.run(asyncio.wait_for(main(), 20))


def test_parts_are_on_record_while_the_loop_goes_on(tmp_path):
    async def main():
        thread = RecordThread()
        record = await thread.call(opened, tmp_path)
        for number in range(1, 6):
            begun = thread.call(record.begin, acquisition(number), RECIPE)
            written = thread.call(record.write, outcome(number))
            assert not written.done()
            await written
            assert begun.done()
            with RecordReader(tmp_path / VERDICTS_FILE) as reader:
                assert reader.last(1)[0].outcome.result_id == number
        await thread.call(record.close)
        assert await thread.stop()

    run(main)


def test_what_failed_is_raised_where_it_is_awaited_and_the_next_call_runs():
    async def main():
        thread = RecordThread()

        def fail():
            raise MachineError("no room")

        failed, next_one = thread.call(fail), thread.call(threading.current_thread)
        with pytest.raises(MachineError, match="no room"):
            await failed
        assert (await next_one).name == "record"
        await thread.stop()

    run(main)


def test_answers_go_before_tidying_up():
    async def main():
        thread = RecordThread()
        may_go, order = threading.Event(), []
        first = thread.call(may_go.wait, 10)
        idle = [thread.call_when_idle(order.append, f"idle {number}") for number in range(3)]
        now = [thread.call(order.append, f"now {number}") for number in range(3)]
        may_go.set()
        await asyncio.gather(first, *idle, *now)
        assert order == ["now 0", "now 1", "now 2", "idle 0", "idle 1", "idle 2"]
        await thread.stop()

    run(main)


def test_who_stops_waiting_does_not_undo_the_call():
    async def main():
        thread = RecordThread()
        may_go, done = threading.Event(), []
        first = thread.call(may_go.wait, 10)
        late = thread.call(done.append, 1)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(late, 0.01)
        may_go.set()
        await first
        await thread.call(done.append, 2)
        assert done == [1, 2]
        await thread.stop()

    run(main)


def test_a_disk_that_does_not_answer_is_not_waited_for():
    async def main():
        thread = RecordThread()
        never = threading.Event()
        waiting = thread.call(never.wait)
        assert not await thread.stop(0.05)
        with pytest.raises(RuntimeError, match="closed"):
            thread.call(print)
        never.set()
        assert await waiting
        assert await thread.stop()

    run(main)


def test_everything_that_was_asked_for_is_done_before_it_ends():
    async def main():
        thread = RecordThread()
        done = []
        for number in range(50):
            thread.call_when_idle(done.append, number)
        assert await thread.stop()
        assert done == list(range(50))

    run(main)
