import threading

import numpy as np
import pytest

from edgekd.engines import EVERY_MAP, NO_MAP, EngineSpec
from edgekd.engines.base import Engine
from edgekd.engines.cuda.driver import CudaError
from edgekd.engines.cuda.ring import SlotRing
from edgekd.engines.inference_limit import InferenceLimit, LateInferenceError
from edgekd.errors import EdgekdError, MachineError
from edgekd.result import Verdict
from edgekd.runner import Frame, inspect_stream
from edgekd.verdicts.limits import Limits

from .recording_driver import RecordingDriver

SIDE = 16


def kernel(driver):
    """An inference: a frame's score is its first byte, its map half of every first channel."""

    def compute(slot, count):
        def work():
            frames = driver.memory[slot.addresses["frames"]].reshape(-1, SIDE, SIDE, 3)[:count]
            maps = frames[..., 0].astype(np.float32) / 2
            scores = frames[:, 0, 0, 0].astype(np.float32)
            driver.memory[slot.addresses["anomaly_map"]][: maps.nbytes] = maps.reshape(-1).view(np.uint8)
            driver.memory[slot.addresses["score"]][: scores.nbytes] = scores.view(np.uint8)

        driver.compute(slot.stream, work)

    return compute


class RingEngine(Engine):
    """A ring behind the contract of an engine, as TensorRT's is."""

    def __init__(self, driver, batch=1, slots=4, **options):
        self.driver, self.slots = driver, slots
        self.spec = EngineSpec("ring", "0", "none", SIDE, SIDE, batch)
        try:
            self.ring = SlotRing(driver, (batch, SIDE, SIDE), slots, kernel(driver), **options)
        except BaseException:
            driver.close()
            raise

    @property
    def broken(self):
        return self.ring.broken

    def acquire(self, count=1):
        return self.ring.acquire(count)

    def release(self, frames):
        self.ring.release(frames)

    def submit(self, frames, maps_above=EVERY_MAP):
        self.check(frames)
        return self.ring.submit(frames, maps_above)

    def collect(self, ticket):
        return self.ring.collect(ticket)

    def close(self):
        self.driver.close()


def frame(number):
    return np.full((1, SIDE, SIDE, 3), number, np.uint8)


def stream_of(count):
    return [Frame(str(number), lambda number=number: frame(number)[0]) for number in range(count)]


@pytest.fixture(params=range(8))
def engine(request):
    with RingEngine(RecordingDriver(seed=request.param)) as engine:
        yield engine


def test_every_batch_gets_its_own_answer_whatever_order_streams_go_in(engine):
    tickets = [engine.submit(frame(number)) for number in (10, 20, 30, 40)]
    for index in (2, 0, 3, 1):
        outputs = engine.collect(tickets[index])
        assert outputs.scores == [10 * (index + 1)]
        assert np.all(outputs.anomaly_maps == 5 * (index + 1))


def test_a_slot_is_used_again_only_when_it_was_collected(engine):
    tickets = [engine.submit(frame(number)) for number in range(4)]
    for number in range(56):
        outputs = engine.collect(tickets.pop(0))
        assert outputs.scores == [number]
        assert np.all(outputs.anomaly_maps == number / 2)
        tickets.append(engine.submit(frame(number + 4)))


def test_a_stream_of_frames_is_answered_in_order(engine):
    answers = list(inspect_stream(engine, stream_of(100), Limits(49.5), maps_above=EVERY_MAP))
    assert [answer.name for answer in answers] == [str(number) for number in range(100)]
    assert [answer.result.score for answer in answers] == list(range(100))
    assert all(np.all(answer.result.anomaly_map == answer.result.score / 2) for answer in answers)
    assert [answer.result.verdict.value for answer in answers] == ["OK"] * 50 + ["NG"] * 50


def test_frames_are_read_into_page_locked_memory(engine):
    acquired = engine.acquire()
    assert any(np.shares_memory(acquired, slot.frames) for slot in engine.ring.slots)
    acquired[:] = 7
    assert engine.infer(acquired).scores == [7]


def test_more_than_all_slots_are_refused(engine):
    tickets = [engine.submit(frame(number)) for number in range(4)]
    assert engine.acquire() is None
    with pytest.raises(EdgekdError, match="all 4 slots are in flight"):
        engine.submit(frame(4))
    assert [float(engine.collect(ticket).scores[0]) for ticket in tickets] == [0, 1, 2, 3]


def test_maps_come_back_only_above_the_limit(engine):
    def copies(maps_above):
        before = engine.driver.log.count("copy_out")
        outputs = engine.infer(frame(8), maps_above)
        return engine.driver.log.count("copy_out") - before, len(outputs.anomaly_maps)

    assert copies(EVERY_MAP) == (2, 1)
    assert copies(NO_MAP) == (2, 0)  # The scores, and one row of the map.
    assert copies(8.0) == (2, 0)
    assert copies(7.5) == (3, 1)
    assert np.all(engine.infer(frame(9), 7.5).anomaly_maps == 4.5)


def test_an_answer_that_is_not_finite_is_known_though_its_map_stays_on_the_device():
    driver, nan = RecordingDriver(), np.float32(np.nan)

    def compute(slot, count):
        def work():
            frames = driver.memory[slot.addresses["frames"]].reshape(-1, SIDE, SIDE, 3)[:count]
            scores = np.where(frames[:, 0, 0, 0] == 1, nan, 5).astype(np.float32)
            maps = np.where(frames[..., 0] == 2, nan, 5).astype(np.float32)
            driver.memory[slot.addresses["anomaly_map"]][: maps.nbytes] = maps.reshape(-1).view(np.uint8)
            driver.memory[slot.addresses["score"]][: scores.nbytes] = scores.view(np.uint8)

        driver.compute(slot.stream, work)

    ring = SlotRing(driver, (4, SIDE, SIDE), 2, compute)
    batch = np.concatenate([frame(level) for level in (0, 1, 2, 3)])
    for maps_above, maps in ((EVERY_MAP, 4), (NO_MAP, 0)):
        outputs = ring.collect(ring.submit(batch, maps_above))
        assert len(outputs.anomaly_maps) == maps
        assert set(outputs.faults) == {1, 2}
        assert outputs.faults[2] == "the anomaly map is not finite"
    driver.close()


def test_an_inference_that_was_late_is_an_error_and_its_slot_serves_again():
    driver = RecordingDriver()
    ring = SlotRing(driver, (1, SIDE, SIDE), 1, kernel(driver), limit=InferenceLimit(1e-9))
    with pytest.raises(LateInferenceError, match="longer than its limit"):
        ring.collect(ring.submit(frame(1), EVERY_MAP))
    ring._limit.seconds = 60
    assert ring.collect(ring.submit(frame(3), EVERY_MAP)).scores.tolist() == [3]
    driver.close()


def test_a_slots_work_stands_in_this_order_on_its_stream():
    driver = RecordingDriver()
    engine = RingEngine(driver, slots=1)
    engine.infer(frame(1))
    driver.log.clear()
    engine.infer(frame(2))
    enqueued = ["record", "copy_in", "record", "launch", "record", "copy_out", "copy_out", "record"]
    assert driver.log == [*enqueued, "wait", "elapsed", "elapsed", "elapsed"]


def test_nothing_is_allocated_after_the_first_batch_of_a_size():
    driver = RecordingDriver()
    engine = RingEngine(driver)
    list(inspect_stream(engine, stream_of(8), Limits(1.0)))
    live = set(driver.live)
    list(inspect_stream(engine, stream_of(50), Limits(1.0)))
    assert driver.live == live


def test_inference_is_captured_once_a_slot_and_size_and_replayed():
    driver = RecordingDriver()
    engine = RingEngine(driver, batch=3, slots=1)
    engine.spec = EngineSpec("ring", "0", "none", SIDE, SIDE, None)
    for count in (1, 1, 3, 3, 1):
        frames = np.concatenate([frame(number + 1) for number in range(count)])
        outputs = engine.infer(frames)
        assert outputs.scores.tolist() == list(range(1, count + 1))
        assert outputs.anomaly_maps.shape == (count, SIDE, SIDE)
    assert driver.log.count("capture") == 3
    assert driver.log.count("launch") == 5
    assert sum(kind == "graph" for kind, _ in driver.live) == 1


def test_a_driver_without_graphs_computes_the_same():
    driver = RecordingDriver()
    driver.graphs = False
    with RingEngine(driver) as engine:
        assert [answer.result.score for answer in inspect_stream(engine, stream_of(20), Limits(1.0))] == list(range(20))
        assert engine.ring.cuda_graphs == "off: recording has no CUDA graphs"
    assert "capture" not in driver.log


def test_an_inference_that_cannot_be_captured_runs_without_a_graph_and_the_reason_is_kept(caplog):
    driver = RecordingDriver()
    engine = RingEngine(driver, slots=1)
    assert engine.ring.cuda_graphs == "off: nothing has run yet"
    driver.fails_at = next_call_of(driver, "capture", lambda: RingEngine(RecordingDriver(), slots=1))
    assert engine.infer(frame(3)).scores == [3]
    assert driver.failed == "capture"
    assert engine.ring.cuda_graphs == "off: CUDA's capture failed: INJECTED"
    assert engine.infer(frame(4)).scores == [4]
    assert [(entry.name, entry.getMessage()) for entry in caplog.records] == [
        ("edgekd.runner", "inference runs without CUDA graphs: CUDA's capture failed: INJECTED")
    ]


def test_what_says_beforehand_that_it_cannot_be_captured_is_not_tried_and_told_once(caplog):
    driver = RecordingDriver()
    engine = RingEngine(driver, refusal=lambda slot: f"slot {slot.index}\ncannot")
    for number in range(8):
        assert engine.infer(frame(number)).scores == [number]
    assert "capture" not in driver.log
    assert engine.ring.cuda_graphs == "off: slot 0 cannot"
    assert len(caplog.records) == 1


def test_graphs_are_on_once_every_slot_that_ran_has_one():
    engine = RingEngine(RecordingDriver())
    engine.infer(frame(1))
    assert engine.ring.cuda_graphs == "on"
    assert engine.ring.why_no_graphs is None


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("warm", [False, True])
def test_nothing_is_given_back_while_work_is_queued(seed, warm):
    driver = RecordingDriver(seed)
    engine = RingEngine(driver)
    if warm:
        for number in range(4):
            engine.infer(frame(number))
    for number in range(3):
        engine.submit(frame(number))
    assert driver.is_busy()
    engine.close()
    assert not driver.is_busy()
    assert driver.live == set()


def test_a_device_that_is_gone_is_closed_all_the_same():
    driver = RecordingDriver()
    engine = RingEngine(driver)
    engine.submit(frame(1))
    driver.fails_at, driver.sticky = len(driver.log), True
    engine.close()
    assert driver.live == set()


def next_call_of(driver, name, make):
    """The number that a call of a name will have, seen on an engine of the same making."""
    other = make()
    other.infer(frame(0))
    return other.driver.log.index(name)


def test_a_slots_timings_are_those_of_its_stages():
    engine = RingEngine(RecordingDriver(), slots=1)
    timings = engine.infer(frame(1)).timings
    assert {name: timings[name] for name in ("h2d", "gpu_compute", "d2h")} == {"h2d": 1, "gpu_compute": 1, "d2h": 1}
    assert timings["enqueue"] >= 0


def test_the_context_belongs_to_one_thread():
    engine = RingEngine(RecordingDriver())
    said = []

    def elsewhere():
        try:
            engine.infer(frame(1))
        except RuntimeError as error:
            said.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert said == ["a CUDA context belongs to the thread that opened the engine"]


def calls_of_a_stream():
    """How many calls an engine makes that is opened, answers twelve frames and is closed."""
    driver = RecordingDriver(seed=1)
    with RingEngine(driver, slots=2) as engine:
        start = len(driver.log)
        list(inspect_stream(engine, stream_of(12), Limits(5.5), maps_above=5.5))
        end = len(driver.log)
    return start, end, len(driver.log)


START, END, ALL = calls_of_a_stream()


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("call", range(START))
def test_a_fault_while_starting_is_one_error_and_leaves_nothing(call, sticky):
    driver = RecordingDriver(seed=1, fails_at=call, sticky=sticky)
    with pytest.raises(CudaError, match=r"^CUDA's (allocate|pinned|stream|event) failed: INJECTED$"):
        RingEngine(driver, slots=2)
    assert driver.live == set()


@pytest.mark.parametrize("call", range(START, END))
def test_a_passing_fault_is_error_for_its_frame_and_no_other_is_wrong(call):
    driver = RecordingDriver(seed=1, fails_at=call)
    with RingEngine(driver, slots=2) as engine:
        answers = list(inspect_stream(engine, stream_of(12), Limits(5.5), maps_above=5.5))
        assert driver.failed is not None
        wrong = [answer for answer in answers if answer.result.verdict is Verdict.ERROR]
        assert [answer.name for answer in answers] == [str(number) for number in range(12)]
        # A capture that fails costs no answer; neither does a failing release.
        assert len(wrong) <= 1
        assert len(wrong) == 1 or driver.failed in ("capture", "instantiate", "compute")
        for answer in wrong:
            assert answer.result.error == f"the engine failed: CUDA's {driver.failed} failed: INJECTED"
        for number, answer in enumerate(answers):
            if answer not in wrong:
                assert answer.result.score == number
                assert answer.result.verdict is (Verdict.NG if number > 5.5 else Verdict.OK)
                assert answer.result.anomaly_map is None or np.all(answer.result.anomaly_map == number / 2)
        driver.fails_at = None
        assert [answer.result.score for answer in inspect_stream(engine, stream_of(9), Limits(5.5))] == list(range(9))
    assert driver.live == set()


@pytest.mark.parametrize("call", range(START, END))
def test_a_device_that_is_gone_makes_errors_of_what_was_under_way_and_one_clear_error(call):
    driver = RecordingDriver(seed=1, fails_at=call, sticky=True)
    answers = []
    with (
        RingEngine(driver, slots=2) as engine,
        pytest.raises(
            MachineError,
            match=r"^the GPU no longer responds: CUDA's \w+ failed: INJECTED; the frames that follow",
        ),
    ):
        answers.extend(inspect_stream(engine, stream_of(400), Limits(5.5), maps_above=5.5))
    assert driver.live == set()


def test_no_frame_is_ok_after_the_device_is_gone():
    driver = RecordingDriver(seed=1, fails_at=START + 60, sticky=True)
    answers = []
    with RingEngine(driver, slots=2) as engine, pytest.raises(MachineError):
        answers.extend(inspect_stream(engine, stream_of(400), Limits(1000.0)))
    verdicts = [answer.result.verdict.value for answer in answers]
    assert verdicts == sorted(verdicts, reverse=True)  # OK before ERROR.
    assert set(verdicts) == {"OK", "ERROR"}
    assert verdicts.count("ERROR") <= 2
    assert [answer.name for answer in answers] == [str(number) for number in range(len(answers))]


@pytest.mark.parametrize("call", range(END, ALL))
def test_a_fault_while_closing_leaves_nothing(call):
    driver = RecordingDriver(seed=1, fails_at=call)
    with RingEngine(driver, slots=2) as engine:
        list(inspect_stream(engine, stream_of(12), Limits(5.5), maps_above=5.5))
    assert driver.live == set()


def test_stopping_early_waits_for_what_is_under_way():
    driver = RecordingDriver(seed=3)
    with RingEngine(driver) as engine:
        stream = inspect_stream(engine, stream_of(100), Limits(5.5))
        next(stream)
        stream.close()
        assert [answer.result.score for answer in inspect_stream(engine, stream_of(9), Limits(5.5))] == list(range(9))
    assert driver.live == set()
