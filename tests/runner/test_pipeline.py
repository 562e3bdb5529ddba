import math
import threading
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from edgekd.data.images import read_image
from edgekd.engines import EVERY_MAP, EngineSpec, Outputs, open_engine
from edgekd.engines.host import HostEngine
from edgekd.result import Verdict
from edgekd.runner import Frame, inspect_image, inspect_stream
from edgekd.runner.sources import image_frames
from edgekd.verdicts.limits import Limits

from ..run_command import main


@pytest.fixture(scope="module")
def batch_of_four(trained_run, tmp_path_factory):
    """The run's detector for four frames at a time."""
    output = tmp_path_factory.mktemp("four") / "four.onnx"
    assert main(["export", str(trained_run), "--batch", "4", "--output", str(output)]) == 0
    return output


@pytest.fixture(params=["onnxruntime", "openvino"])
def engine(request, exported):
    with open_engine(exported, request.param, threads=1) as engine:
        yield engine


@pytest.fixture
def paths(elpv_images):
    return elpv_images[300:310]


class FaultyEngine(HostEngine):
    """Takes frames of 16 pixels, scores them by their first pixel, and fails where that is told to."""

    def __init__(self, batch=1, fails_on_submit=(), fails_on_collect=(), scores=None):
        super().__init__()
        self.spec = EngineSpec("faulty", "0", "CPU", 16, 16, batch)
        self.slots = 2
        self.scores = scores or {}
        self.fails_on_submit, self.fails_on_collect = fails_on_submit, fails_on_collect
        self.under_way = 0

    def submit(self, frames, maps_above=EVERY_MAP):
        self.check(frames)
        if frames[0, 0, 0, 0] in self.fails_on_submit:
            raise MemoryError("no room")
        self.under_way += 1
        assert self.under_way <= self.slots
        return frames

    def collect(self, ticket):
        self.under_way -= 1
        self.release(ticket)
        if ticket[0, 0, 0, 0] in self.fails_on_collect:
            raise RuntimeError("the device is gone")
        firsts = ticket[:, 0, 0, 0]
        scores = [self.scores.get(int(first), float(first)) for first in firsts]
        return Outputs(np.array(scores, np.float32), np.ones(ticket.shape[:3], np.float32))

    def close(self):
        pass


def numbered(count):
    return [Frame(str(n), partial(np.full, (16, 16, 3), n, np.uint8)) for n in range(count)]


def test_answers_come_in_order_and_are_those_of_single_images(engine, paths):
    alone = [inspect_image(engine, read_image(path), Limits(1.0)) for path in paths]
    answers = list(inspect_stream(engine, image_frames(paths), Limits(1.0), EVERY_MAP, keep_images=True))
    assert [answer.name for answer in answers] == [str(path) for path in paths]
    assert [answer.result.score for answer in answers] == [result.score for result in alone]
    assert len({result.score for result in alone}) == len(paths)
    for answer, result, path in zip(answers, alone, paths, strict=True):
        assert np.array_equal(answer.result.anomaly_map, result.anomaly_map)
        assert np.array_equal(answer.image, read_image(path))


def test_images_and_maps_are_kept_only_where_they_are_asked_for(engine, paths):
    (answer,) = inspect_stream(engine, image_frames(paths[:1]), Limits(1.0))
    assert answer.image is None
    assert answer.result.anomaly_map is None


def test_the_threshold_parts_ok_from_ng_and_is_itself_ok(engine, paths):
    scores = [answer.result.score for answer in inspect_stream(engine, image_frames(paths[:5]), Limits(1.0))]
    threshold = sorted(scores)[2]
    verdicts = [answer.result.verdict for answer in inspect_stream(engine, image_frames(paths[:5]), Limits(threshold))]
    assert verdicts == [Verdict.NG if score > threshold else Verdict.OK for score in scores]
    assert verdicts.count(Verdict.OK) == 3


def test_an_unreadable_frame_is_error_and_the_stream_goes_on(engine, paths, tmp_path):
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(paths[0].read_bytes()[:900])
    mixed = [damaged, paths[0], tmp_path / "gone.png", paths[1], damaged]
    answers = list(inspect_stream(engine, image_frames(mixed), Limits(0.0)))
    assert [answer.result.verdict.value for answer in answers] == ["ERROR", "NG", "ERROR", "NG", "ERROR"]
    assert "damaged.png is cut off" in answers[0].result.error
    assert "gone.png" in answers[2].result.error
    assert all(math.isnan(answers[index].result.score) for index in (0, 2, 4))
    expected = [inspect_image(engine, read_image(path), Limits(0.0)).score for path in paths[:2]]
    assert [answers[1].result.score, answers[3].result.score] == expected


def test_any_exception_of_a_source_is_that_frames_error():
    def fail():
        raise ZeroDivisionError("a driver's fault")

    frames = [*numbered(2), Frame("bad", fail), *numbered(1)]
    answers = list(inspect_stream(FaultyEngine(), frames, Limits(5.0)))
    assert [answer.result.verdict.value for answer in answers] == ["OK", "OK", "ERROR", "OK"]
    assert answers[2].result.error == "bad: ZeroDivisionError: a driver's fault"


@pytest.mark.parametrize("count", [1, 4, 6, 9])
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_batch_of_four_says_what_single_frames_say(exported, batch_of_four, elpv_images, backend, count):
    paths = elpv_images[300 : 300 + count]
    with open_engine(exported, backend, threads=1) as engine:
        single = [answer.result.score for answer in inspect_stream(engine, image_frames(paths), Limits(1.0))]
    with open_engine(batch_of_four, backend, threads=1) as engine:
        answers = list(inspect_stream(engine, image_frames(paths), Limits(1.0)))
    assert [answer.name for answer in answers] == [str(path) for path in paths]
    np.testing.assert_allclose([answer.result.score for answer in answers], single, rtol=1e-5)


def test_unreadable_frames_inside_a_batch_leave_the_others_theirs(tmp_path):
    gone = list(image_frames([tmp_path / "gone.png"] * 4))
    frames = [gone[0], *numbered(3), *gone, *numbered(2)]
    answers = list(inspect_stream(FaultyEngine(batch=4), frames, Limits(100.0)))
    said = [None if answer.result.error else answer.result.score for answer in answers]
    assert said == [None, 0, 1, 2, None, None, None, None, 0, 1]


@pytest.mark.parametrize("when", ["fails_on_submit", "fails_on_collect"])
def test_an_engines_failure_is_error_and_the_stream_goes_on(when):
    engine = FaultyEngine(**{when: (1, 2)})
    answers = list(inspect_stream(engine, numbered(5), Limits(100.0)))
    assert [answer.result.verdict.value for answer in answers] == ["OK", "ERROR", "ERROR", "OK", "OK"]
    assert "the engine failed: " in answers[1].result.error
    assert engine.under_way == 0


def test_a_failed_batch_is_error_for_every_frame_of_it_but_no_other():
    answers = list(inspect_stream(FaultyEngine(batch=2, fails_on_collect=(2,)), numbered(6), Limits(100.0)))
    assert [answer.result.verdict.value for answer in answers] == ["OK", "OK", "ERROR", "ERROR", "OK", "OK"]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_finite_number_is_error_with_its_reason(score):
    engine = FaultyEngine(scores={1: score})
    answers = [answer.result for answer in inspect_stream(engine, numbered(3), Limits(100.0))]
    assert [result.verdict.value for result in answers] == ["OK", "ERROR", "OK"]
    assert answers[1].error == f"the engine's score is not finite: {score}"
    alone = inspect_image(engine, np.full((16, 16, 3), 1, np.uint8), Limits(100.0))
    assert alone.verdict is Verdict.ERROR
    assert alone.error == answers[1].error


@pytest.mark.parametrize("threshold", [math.nan, math.inf])
def test_no_threshold_makes_no_ok(threshold):
    verdicts = {answer.result.verdict for answer in inspect_stream(FaultyEngine(), numbered(3), Limits(threshold))}
    assert verdicts == {Verdict.ERROR}


@pytest.mark.parametrize("after", [1, 3])
def test_stopping_early_leaves_the_engine_usable(engine, paths, after):
    expected = [answer.result.score for answer in inspect_stream(engine, image_frames(paths), Limits(1.0))]
    for _ in range(3):
        stream = inspect_stream(engine, image_frames(paths), Limits(1.0))
        assert [next(stream).result.score for _ in range(after)] == expected[:after]
        stream.close()
    assert [answer.result.score for answer in inspect_stream(engine, image_frames(paths), Limits(1.0))] == expected


def test_a_stream_that_is_left_after_its_engine_was_closed_ends_without_an_error(exported, paths):
    engine = open_engine(exported, "onnxruntime", threads=1)
    answers = inspect_stream(engine, image_frames(paths), Limits(1.0))
    next(answers)
    engine.close()
    answers.close()


def test_stopping_early_collects_what_is_under_way_and_reads_no_further():
    engine, taken = FaultyEngine(), []

    def source():
        for frame in numbered(1000):
            taken.append(frame)
            yield frame

    stream = inspect_stream(engine, source(), Limits(1.0))
    next(stream)
    stream.close()
    assert engine.under_way == 0
    assert len(taken) < 10


@pytest.mark.parametrize("streams", [1, 2, 3])
def test_no_stream_is_idle_while_a_frame_is_still_read(streams):
    class Busy(FaultyEngine):
        def collect(self, ticket):
            seen.append(self.under_way)
            return super().collect(ticket)

    def slowly(number):
        time.sleep(0.02)
        return np.full((16, 16, 3), number, np.uint8)

    engine, seen = Busy(), []
    engine.spec, engine.slots = replace(engine.spec, streams=streams), streams + 2
    frames = [Frame(str(number), partial(slowly, number)) for number in range(12)]
    answers = list(inspect_stream(engine, frames, Limits(100.0), readers=1))
    assert [answer.name for answer in answers] == [frame.name for frame in frames]
    assert min(seen[1 : 12 - streams]) >= streams  # Nothing is read ahead of the first frame.


@pytest.mark.parametrize("live", [True, False])
def test_a_frame_is_answered_although_a_stream_is_idle_until_the_next_one_comes(live):
    answered = threading.Event()

    def camera():
        yield numbered(1)[0]
        assert answered.wait(10)
        yield numbered(2)[1]

    engine = FaultyEngine()
    engine.spec, engine.slots = replace(engine.spec, streams=2), 4
    answers = []
    for answer in inspect_stream(engine, camera(), Limits(100.0), live=live):
        answers.append(answer.name)
        answered.set()
    assert answers == ["0", "1"]


def test_a_stream_of_nothing_gives_nothing(engine):
    assert list(inspect_stream(engine, iter(()), Limits(1.0))) == []


def test_timings_say_how_long_each_stage_took(engine, paths):
    results = [answer.result for answer in inspect_stream(engine, image_frames(paths[:3]), Limits(1.0))]
    results.append(inspect_image(engine, read_image(paths[0]), Limits(1.0)))
    for result in results:
        times = result.timings
        assert set(times) == {"pre", "inference", "post", "end_to_end"}
        assert min(times.values()) >= 0
        assert times["end_to_end"] >= times["pre"] + times["post"]
    alone = results[-1].timings
    assert alone["end_to_end"] == pytest.approx(alone["pre"] + alone["inference"] + alone["post"])
