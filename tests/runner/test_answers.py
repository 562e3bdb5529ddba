"""What an engine may answer wrongly, or an answer be wrongly judged: that frame's ERROR, and no other frame's."""

import math
import threading
from functools import partial

import cv2
import numpy as np
import pytest
from onnx import helper

import edgekd.runner.pipeline as pipeline
from edgekd.data.images import list_images
from edgekd.engines import EVERY_MAP, NO_MAP, open_engine, require_finite
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.quantization.drift_report import outputs_of
from edgekd.result import Verdict
from edgekd.runner import Frame, inspect_image, inspect_stream
from edgekd.runner.inspector import Inspector
from edgekd.runner.sources import Source
from edgekd.verdicts.limits import Limits
from edgekd.workflows.scoring import measure_images, synthetic_scores

from ..engines.hand_made import MEAN, graph, grey_frame, save

BACKENDS = ("onnxruntime", "openvino")
DARK, BRIGHT = 50, 200
LIMITS = Limits(1e6, 0.0, 150.0)
# Below a grey value of 100 the square root is that of a negative number.
MAP_NAN = [
    MEAN,
    helper.make_node("Sub", ["grey", "hundred"], ["above"]),
    helper.make_node("Sqrt", ["above"], ["anomaly_map"]),
    helper.make_node("Relu", ["mean"], ["score"]),
]
SCORE_NAN = [
    MEAN,
    helper.make_node("Sub", ["mean", "hundred"], ["above"]),
    helper.make_node("Sqrt", ["above"], ["score"]),
]
HUNDRED = {"hundred": np.float32([100])}


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def opened(nodes, folder, backend, batch=1, constants=HUNDRED):
    return open_engine(save(graph(nodes, constants, batch), folder), backend, threads=1)


def frames(levels):
    return [Frame(f"{number}.png", partial(grey_frame, level)) for number, level in enumerate(levels)]


def verdicts(answers):
    return [answer.result.verdict.value for answer in answers]


@pytest.mark.parametrize(("nodes", "reason"), [(MAP_NAN, "the anomaly map is not finite"), (SCORE_NAN, "score is not")])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("maps_above", [EVERY_MAP, NO_MAP, 100.0])
def test_one_frame_without_a_finite_answer_is_error_and_costs_its_neighbours_nothing(
    tmp_path, backend, nodes, reason, batch, maps_above
):
    with opened(nodes, tmp_path, backend, batch) as engine:
        answers = list(inspect_stream(engine, frames([BRIGHT, DARK, BRIGHT, BRIGHT, BRIGHT, DARK]), LIMITS, maps_above))
    assert verdicts(answers) == ["OK", "ERROR", "OK", "OK", "OK", "ERROR"]
    assert reason in answers[1].result.error
    assert answers[1].result.anomaly_map is None
    assert math.isnan(answers[1].result.score)
    assert set(answers[1].result.timings) == set(answers[0].result.timings)


@pytest.mark.parametrize("nodes", [MAP_NAN, SCORE_NAN])
def test_an_image_without_a_finite_answer_is_error_when_called_alone(tmp_path, backend, nodes):
    path = save(graph(nodes, HUNDRED), tmp_path)
    with Inspector(path, backend=backend, threads=1) as inspector:
        assert inspector(grey_frame(DARK)).verdict is Verdict.ERROR
        assert inspector(grey_frame(BRIGHT)).verdict is Verdict.OK
        source = Source(iter(frames([BRIGHT, DARK])), live=False)
        assert verdicts(inspector.stream(source, maps="none")) == ["OK", "ERROR"]


def test_a_map_of_infinities_is_error_though_the_score_is_finite(tmp_path, backend):
    nodes = [
        helper.make_node("Div", ["grey", "none"], ["anomaly_map"]),
        MEAN,
        helper.make_node("Relu", ["mean"], ["score"]),
    ]
    with opened(nodes, tmp_path, backend, constants={"none": np.float32([0])}) as engine:
        (answer,) = inspect_stream(engine, frames([BRIGHT]), LIMITS)
    assert answer.result.error == "the anomaly map is not finite"


def test_more_scores_than_frames_are_error_for_the_whole_batch(tmp_path, backend):
    nodes = [MEAN, helper.make_node("Concat", ["mean", "mean"], ["score"], axis=0)]
    with opened(nodes, tmp_path, backend, "n") as engine:
        with pytest.raises(ArtifactError, match=r"answered a batch of 3 with scores float32 \[6\]"):
            engine.infer(np.stack([grey_frame(BRIGHT)] * 3))
        answers = list(inspect_stream(engine, frames([BRIGHT] * 4), LIMITS, batch=2))
    assert verdicts(answers) == ["ERROR"] * 4
    assert "and not one of each a frame" in answers[0].result.error


def test_what_measures_names_the_image_without_a_finite_answer(tmp_path, backend):
    folder = tmp_path / "images"
    folder.mkdir()
    cv2.imwrite(str(tmp_path / "dark.png"), grey_frame(DARK))
    for number, level in enumerate((BRIGHT, BRIGHT, DARK, BRIGHT)):
        cv2.imwrite(str(folder / f"{number}.png"), grey_frame(level))
    for nodes in (MAP_NAN, SCORE_NAN):
        with opened(nodes, tmp_path, backend) as engine:
            for peaks in (0, 4):
                with pytest.raises(EdgekdError, match=r"scoring failed: .*2\.png: .*not finite"):
                    measure_images(engine, list_images(folder), "scoring", lambda *_: None, peaks)
            batch = np.stack([grey_frame(BRIGHT), grey_frame(DARK)])
            with pytest.raises(EdgekdError, match=r"^b\.png: .*not finite"):
                outputs_of(engine, batch, names=["a.png", "b.png"])
            with pytest.raises(EdgekdError, match=r"synthetic defect 1: .*not finite"):
                synthetic_scores(engine, [tmp_path / "dark.png"], 0, lambda *_: None)


def test_a_batch_that_was_filled_up_is_judged_by_the_frames_that_are_meant(tmp_path, backend):
    with opened(MAP_NAN, tmp_path, backend, 2) as engine:
        outputs = engine.infer(np.stack([grey_frame(BRIGHT), grey_frame(DARK)]))
    assert set(outputs.faults) == {1}
    require_finite(outputs, ["a.png"])
    with pytest.raises(EdgekdError, match=r"b\.png: the anomaly map is not finite"):
        require_finite(outputs, ["a.png", "b.png"])


@pytest.mark.parametrize("step", ["find_regions", "assemble", "verdict_of"])
@pytest.mark.parametrize("failure", [MemoryError, ZeroDivisionError("a fault"), cv2.error("OpenCV"), KeyError(3)])
def test_any_exception_after_the_inference_is_that_frames_error_and_logged(
    tmp_path, monkeypatch, caplog, step, failure
):
    right, calls = getattr(pipeline, step), []

    def fails_once(*args):
        calls.append(args)
        if len(calls) == 2:
            raise failure
        return right(*args)

    monkeypatch.setattr(pipeline, step, fails_once)
    with opened([], tmp_path, "openvino", 2) as engine:
        answers = list(inspect_stream(engine, frames([BRIGHT] * 5), LIMITS, EVERY_MAP))
        calls.clear()
        alone = [inspect_image(engine, grey_frame(BRIGHT), LIMITS).verdict.value for _ in range(3)]
    assert verdicts(answers) == ["OK", "ERROR", "OK", "OK", "OK"]
    assert alone == ["OK", "ERROR", "OK"]
    assert "the answer could not be judged: " in answers[1].result.error
    assert "\n" not in answers[1].result.error
    assert "the answer for 1.png could not be judged" in caplog.text


def test_a_monitor_that_fails_does_not_stop_the_line(tmp_path, monkeypatch, caplog):
    with Inspector(save(graph(), tmp_path), backend="openvino", threads=1) as inspector:
        monkeypatch.setattr(inspector.monitor, "add", lambda *_: 1 / 0)
        answers = list(inspector.stream(Source(iter(frames([BRIGHT] * 3)), live=False)))
        assert inspector(grey_frame(BRIGHT)).verdict is Verdict.OK
    assert verdicts(answers) == ["OK"] * 3
    assert "Traceback" not in caplog.text
    assert "the monitor failed at 0.png" in caplog.text


def test_answers_stay_what_they_were_while_the_engine_goes_on(tmp_path, backend):
    levels = [10, 60, 110, 160, 210, 250]
    with opened([], tmp_path, backend) as engine:
        answers = list(inspect_stream(engine, frames(levels), LIMITS, EVERY_MAP))
        engine.infer(grey_frame(1)[None])
    assert [answer.result.score for answer in answers] == levels
    assert [float(answer.result.anomaly_map.min()) for answer in answers] == levels
    assert [float(answer.result.anomaly_map.max()) for answer in answers] == levels


def test_an_engine_that_is_closed_during_a_stream_answers_what_it_has_with_error_and_ends_in_one_line(
    tmp_path, backend
):
    engine = opened([], tmp_path, backend)
    stream = inspect_stream(engine, iter(frames([BRIGHT] * 50)), LIMITS)
    answers = [next(stream)]
    engine.close()
    with pytest.raises(EdgekdError, match=r"^this engine is closed: open it again$"):
        answers.extend(stream)
    assert verdicts(answers[:1]) == ["OK"]
    assert set(verdicts(answers[1:])) <= {"ERROR"}
    assert len(answers) < 10


def test_closing_from_another_thread_ends_a_stream(tmp_path, backend):
    engine = opened([], tmp_path, backend)
    stream = inspect_stream(engine, (frame for _ in range(100_000) for frame in frames([BRIGHT])), LIMITS)
    timer = threading.Timer(0.3, engine.close)
    timer.start()
    answers = []
    with pytest.raises(EdgekdError, match="closed"):
        answers.extend(stream)
    timer.join()
    assert answers
    assert set(verdicts(answers)) <= {"OK", "ERROR"}
