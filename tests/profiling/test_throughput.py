"""Throughput with readers and without, of an engine that takes no time."""

import threading

import numpy as np
import pytest

import edgekd.profiling.throughput as throughput_module
import edgekd.runner.reading as reading_module
from edgekd.data.preparing import prepare_into
from edgekd.engines import EVERY_MAP, EngineSpec, Outputs
from edgekd.engines.host import HostEngine
from edgekd.errors import EdgekdError
from edgekd.profiling.throughput import measure_throughput


class NoEngine(HostEngine):
    """Answers at once, with a map, and keeps the batches it was given in mind."""

    slots = 3

    def __init__(self, batch=None):
        super().__init__()
        self.spec = EngineSpec("none", "0", "CPU", 32, 32, batch, 1)
        self.batches = []

    def submit(self, frames, maps_above=EVERY_MAP):
        self.check(frames)
        self.batches.append(len(frames))
        assert frames.min() == 9, "a slot that nobody filled"
        return frames

    def collect(self, ticket):
        self.release(ticket)
        return Outputs(np.zeros(len(ticket), np.float32), np.zeros((0, 32, 32), np.float32))

    def close(self):
        pass


@pytest.fixture
def images():
    return [np.full((600, 500, 3), 9, np.uint8)] * 2


def test_resizing_is_never_done_by_the_thread_that_submits(monkeypatch, images):
    filled, read = [], []

    def noted(list_of_threads):
        def prepare(*words):
            list_of_threads.append(threading.current_thread())
            return prepare_into(*words)

        return prepare

    monkeypatch.setattr(throughput_module, "prepare_into", noted(filled))
    monkeypatch.setattr(reading_module, "prepare_into", noted(read))
    engine = NoEngine()
    measure_throughput(engine, images, 4, 0.2)
    assert len(filled) == 4 * (engine.slots + 1)  # Before anything is timed.
    assert len(read) >= 4 * 3
    assert threading.main_thread() not in read


def test_the_engine_alone_is_measured_beside_what_the_readers_can_bring_it(images):
    rates = measure_throughput(NoEngine(), images, 1, 0.3, readers=1)
    assert rates.engine_frames_per_second > 3 * rates.frames_per_second > 0
    assert rates.overlap is None


@pytest.mark.parametrize("batch", [1, 5])
def test_only_whole_batches_are_counted(images, batch):
    engine = NoEngine()
    measure_throughput(engine, images, batch, 0.05)
    assert set(engine.batches) == {batch}
    assert not engine._acquired


def test_a_batch_that_the_engine_does_not_take_is_refused(images):
    with pytest.raises(EdgekdError, match="takes uint8 frames of shape"):
        measure_throughput(NoEngine(batch=2), images, 3, 0.05)


def test_an_engine_that_fails_ends_the_measurement(images):
    class Failing(NoEngine):
        def collect(self, ticket):
            super().collect(ticket)
            if threading.current_thread() is threading.main_thread() and len(self.batches) > 50:
                raise RuntimeError("out of order")
            return super().collect(ticket)

    with pytest.raises((EdgekdError, RuntimeError), match="out of order"):
        measure_throughput(Failing(), images, 1, 5.0)
