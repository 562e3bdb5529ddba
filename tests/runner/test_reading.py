"""Readers: as many at once as asked for, ahead of the engine's slots, in order, and none ahead of a camera."""

import threading
import time
from functools import partial

import numpy as np
import pytest

import edgekd.runner.reading as reading_module
from edgekd.engines import EngineSpec, Outputs
from edgekd.engines.host import HostEngine
from edgekd.errors import ImageError
from edgekd.preprocessing import square
from edgekd.resize_rules import AREA, AREA_2
from edgekd.runner import Frame, inspect_image, inspect_stream
from edgekd.runner.reading import default_readers
from edgekd.verdicts.limits import Limits


class FirstPixel(HostEngine):
    """Scores frames of 16 pixels by their first one."""

    def __init__(self, slots=1, batch=1, rule=AREA_2):
        super().__init__()
        self.slots = slots
        self.spec = EngineSpec("first pixel", "0", "CPU", 16, 16, batch)
        self.preprocessing = square(16, rule)

    def submit(self, frames, maps_above=0.0):
        self.check(frames)
        return frames

    def collect(self, ticket):
        self.release(ticket)
        return Outputs(ticket[:, 0, 0, 0].astype(np.float32), np.zeros((0, 16, 16), np.float32))

    def close(self):
        pass


def of_level(level, side=16):
    return np.full((side, side, 3), level, np.uint8)


@pytest.mark.parametrize("readers", [1, 2, 5])
def test_as_many_frames_are_read_at_once_as_there_are_readers(readers):
    meet = threading.Barrier(readers, timeout=20)

    def load(level):
        meet.wait()  # Breaks, and makes the frame an ERROR, unless all readers come.
        return of_level(level)

    frames = [Frame(str(level), partial(load, level)) for level in range(3 * readers)]
    answers = list(inspect_stream(FirstPixel(slots=1), frames, Limits(1000.0), readers=readers))
    assert [answer.result.error for answer in answers] == [None] * len(frames)
    assert [answer.result.score for answer in answers] == list(range(len(frames)))


@pytest.mark.parametrize(("slots", "batch"), [(1, 1), (2, 3), (4, 2)])
def test_answers_keep_the_order_of_frames_that_are_read_in_any(slots, batch):
    waits = np.random.default_rng(1).uniform(0, 0.004, 60)

    def load(level):
        time.sleep(waits[level])
        if level % 7 == 3:
            raise ImageError(f"{level} is damaged")
        return of_level(level, side=40)

    frames = [Frame(str(level), partial(load, level)) for level in range(60)]
    answers = list(inspect_stream(FirstPixel(slots, batch), frames, Limits(1000.0), readers=6))
    assert [answer.name for answer in answers] == [str(level) for level in range(60)]
    said = [answer.result.error or answer.result.score for answer in answers]
    assert said == [f"{level} is damaged" if level % 7 == 3 else level for level in range(60)]


@pytest.mark.parametrize("live", [False, True])
def test_a_frame_that_cannot_be_read_leaves_nothing_of_another_in_its_slot(live):
    submitted = []

    class Noted(FirstPixel):
        def submit(self, frames, maps_above=0.0):
            submitted.append(frames.copy())
            return super().submit(frames, maps_above)

    engine = Noted(slots=1, batch=4)
    poison = engine.acquire(4)
    poison[:] = 255
    engine.release(poison)
    arrays = [of_level(7), np.zeros((16, 16, 2), np.uint8), of_level(9, side=40), of_level(3).astype(np.int16)]
    loads = [Frame(str(number), partial(np.copy, array)) for number, array in enumerate(arrays)]
    answers = list(inspect_stream(engine, loads, Limits(1000.0), live=live, batch=4))
    assert [np.unique(frames).tolist() for frames in submitted] == [[0, 7, 9]]
    assert [answer.result.score for answer in answers if answer.result.error is None] == [7, 9]
    assert [answer.result.verdict.value for answer in answers] == ["OK", "ERROR", "OK", "ERROR"]


def test_nothing_is_read_ahead_of_a_slot_where_frames_cannot_wait():
    loaded, go_on = [], threading.Event()

    class Slow(FirstPixel):
        def collect(self, ticket):
            assert go_on.wait(20)
            return super().collect(ticket)

    def load(level):
        loaded.append(level)
        return of_level(level)

    def camera():
        yield from (Frame(str(level), partial(load, level)) for level in range(50))
        go_on.set()  # All fifty came while the first was computed.

    answers = list(inspect_stream(Slow(slots=1), camera(), Limits(1000.0), live=True, readers=4))
    assert loaded == [int(answer.name) for answer in answers]
    assert len(answers) + sum(answer.dropped for answer in answers) == 50
    assert len(answers) <= 3


def test_stopping_early_reads_no_more_than_was_begun():
    loaded = []

    def load(level):
        loaded.append(level)
        return of_level(level % 256)

    stream = inspect_stream(
        FirstPixel(), (Frame(str(n), partial(load, n)) for n in range(10_000)), Limits(1e3), readers=3
    )
    next(stream)
    stream.close()
    assert len(loaded) < 12
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reader")]


@pytest.mark.parametrize(("rule", "level"), [(AREA, 1), (AREA_2, 0)])
def test_frames_are_resized_by_the_rule_of_the_engine(rule, level):
    image = of_level(0, side=32)
    image[::2] = 1
    engine = FirstPixel(rule=rule)
    (answer,) = inspect_stream(engine, [Frame("half", lambda: image)], Limits(1000.0))
    assert answer.result.score == level
    assert inspect_image(engine, image, Limits(1000.0)).score == level


@pytest.mark.parametrize(
    ("cores", "threads", "expected"), [(1, 1, 2), (2, 2, 2), (16, 16, 4), (64, 8, 8), (2, None, 2), (6, None, 5)]
)
def test_readers_leave_the_cores_to_an_engine_that_computes_on_them(monkeypatch, cores, threads, expected):
    monkeypatch.setattr(reading_module, "usable_cores", lambda: cores)
    assert default_readers(EngineSpec("any", "0", "any", 16, 16, 1, threads)) == expected
