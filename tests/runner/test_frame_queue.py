import threading
import time

import numpy as np
import pytest

from edgekd.engines import EngineSpec, Outputs
from edgekd.engines.host import HostEngine
from edgekd.runner import Frame, inspect_stream
from edgekd.runner.frame_queue import FrameQueue
from edgekd.verdicts.limits import Limits


def numbered(count):
    return [Frame(str(number), lambda: np.zeros((16, 16, 3), np.uint8)) for number in range(count)]


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def taken_of(queue):
    names = []
    while (taken := queue.get(wait=True)) is not None:
        names.append((taken.frame.name, taken.dropped))
    return names


def test_a_source_that_can_wait_loses_nothing():
    with FrameQueue(iter(numbered(50)), ahead=2, live=False) as queue:
        assert taken_of(queue) == [(str(number), 0) for number in range(50)]
        assert queue.ended


def test_a_source_that_can_wait_is_read_no_further_than_there_is_room():
    read = []

    def source():
        for frame in numbered(50):
            read.append(frame)
            yield frame

    with FrameQueue(source(), ahead=3, live=False) as queue:
        until(lambda: len(read) == 4)  # Three are held, one waits for room.
        time.sleep(0.05)
        assert len(read) == 4
        queue.get(wait=True)
        until(lambda: len(read) == 5)


def test_of_a_live_source_the_oldest_are_dropped_and_counted():
    given = threading.Event()

    def source():
        yield from numbered(10)
        given.set()

    with FrameQueue(source(), ahead=2, live=True) as queue:
        given.wait(10)
        until(lambda: queue._ended)
        assert taken_of(queue) == [("8", 8), ("9", 0)]


def test_what_a_source_raises_comes_after_its_frames():
    def source():
        yield from numbered(2)
        raise ValueError("the cable")

    with FrameQueue(source(), ahead=8, live=False) as queue:
        until(lambda: queue._failure is not None)
        assert not queue.ended
        assert [name for name, _ in taken_of(queue)] == ["0", "1"]
        assert queue.ended
        with pytest.raises(ValueError, match="the cable"):
            queue.raise_failure()


def test_without_waiting_there_is_none_where_none_is_held():
    release = threading.Event()

    def source():
        release.wait(10)
        yield from numbered(1)

    with FrameQueue(source(), ahead=2, live=False) as queue:
        assert queue.get(wait=False) is None
        assert not queue.ended
        release.set()
        assert queue.get(wait=True).frame.name == "0"


def test_leaving_early_closes_the_source_and_ends_its_thread():
    closed = []

    def source():
        try:
            yield from numbered(1000)
        finally:
            closed.append(True)

    before = threading.active_count()
    with FrameQueue(source(), ahead=2, live=False) as queue:
        queue.get(wait=True)
    assert closed == [True]
    assert threading.active_count() == before


@pytest.mark.parametrize("batch", [1, 4])
def test_the_frames_before_a_sources_failure_are_answered(batch):
    def source():
        yield from numbered(6)
        raise ValueError("the cable")

    engine = SlowEngine(batch)
    for _ in range(10):
        engine.go_on.release()
    answers = []
    with pytest.raises(ValueError, match="the cable"):
        answers.extend(inspect_stream(engine, source(), Limits(1.0)))
    assert [answer.name for answer in answers] == [str(number) for number in range(6)]
    assert engine.acquire(batch) is not None


class SlowEngine(HostEngine):
    """Answers when it is let."""

    def __init__(self, batch=1):
        super().__init__()
        self.spec = EngineSpec("slow", "0", "CPU", 16, 16, batch)
        self.slots = 1
        self.go_on = threading.Semaphore(0)

    def submit(self, frames, maps_above=0.0):
        return frames

    def collect(self, ticket):
        assert self.go_on.acquire(timeout=10)
        self.release(ticket)
        return Outputs(np.zeros(len(ticket), np.float32), np.zeros((0, 16, 16), np.float32))

    def close(self):
        pass


def test_every_frame_of_a_live_stream_is_answered_or_counted():
    engine, given = SlowEngine(), threading.Event()

    def camera():
        yield from numbered(100)
        given.set()
        yield Frame("last", lambda: np.zeros((16, 16, 3), np.uint8))

    answers = []
    stream = inspect_stream(engine, camera(), Limits(1.0), live=True)
    engine.go_on.release()
    answers.append(next(stream))
    assert given.wait(10)
    for _ in range(100):
        engine.go_on.release()
    answers += stream
    assert answers[-1].name == "last"
    assert len(answers) + sum(answer.dropped for answer in answers) == 101
    assert sum(answer.dropped for answer in answers) > 50
    numbers = [int(answer.name) for answer in answers[:-1]]
    assert numbers == sorted(numbers)
