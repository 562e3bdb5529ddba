"""Inferences that take longer than they may, on graphs that are truly slow."""

import signal
import subprocess
import sys
import time
from functools import partial

import cv2
import numpy as np
import pytest
from onnx import helper

import edgekd.engines.inference_limit as limits_module
from edgekd.engines import open_engine
from edgekd.engines.inference_limit import FIRST, LEAST, TIMES, InferenceLimit, LateInferenceError
from edgekd.errors import EdgekdError, MachineError
from edgekd.result import Verdict
from edgekd.runner import Frame, inspect_stream
from edgekd.runner.inspector import Inspector
from edgekd.runner.sources import Source
from edgekd.verdicts.limits import Limits

from .hand_made import MEAN, graph, grey_frame, save

ROWS = 1000
BACKENDS = ("onnxruntime", "openvino")


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def slow_graph(products):
    """A graph whose score takes so many matrix products of 1000 x 1000, each about 50 ms on one core."""
    weight = np.random.default_rng(0).normal(0, ROWS**-0.5, (ROWS, ROWS)).astype(np.float32)
    nodes, name = [MEAN, helper.make_node("Mul", ["weight", "mean"], ["product_0"])], "product_0"
    for number in range(1, products + 1):
        nodes.append(helper.make_node("MatMul", [name, "weight"], [f"product_{number}"]))
        name = f"product_{number}"
    nodes.append(helper.make_node("ReduceMax", [name, "sides"], ["highest"], keepdims=0))
    nodes.append(helper.make_node("Add", ["highest", "mean"], ["score"]))
    return graph(nodes, {"weight": weight, "sides": np.array([0, 1])})


@pytest.fixture
def impatient(monkeypatch):
    """An inference counts as one that does not end soon after its limit."""
    monkeypatch.setattr(limits_module, "LEAST", 0.05)


def frames(count):
    return [Frame(str(number), partial(grey_frame, 9)) for number in range(count)]


def test_a_late_inference_is_error_for_its_frame_and_the_stream_goes_on(tmp_path, backend, caplog):
    path = save(slow_graph(12), tmp_path)
    with open_engine(path, backend, threads=1, slots=1, inference_limit=0.01) as engine:
        answers = list(inspect_stream(engine, frames(3), Limits(1e9)))
        engine.limit.seconds = 60
        again = list(inspect_stream(engine, frames(3), Limits(1e9)))
    assert [answer.result.verdict for answer in answers] == [Verdict.ERROR] * 3
    assert "longer than its limit of 0.01 s" in answers[0].result.error
    assert "an inference takes longer than its limit of 0.01 s" in caplog.text
    assert [answer.result.verdict for answer in again] == [Verdict.OK] * 3


def test_an_inference_that_does_not_end_breaks_the_engine_in_one_line(tmp_path, backend, impatient):
    path = save(slow_graph(60), tmp_path)
    with Inspector(path, backend=backend, threads=1, inference_limit=0.05) as inspector:
        answers, start = [], time.perf_counter()
        with pytest.raises(MachineError, match=r"^an inference does not end: .* were not inspected: start again$"):
            answers.extend(inspector.stream(Source(iter(frames(20)), live=False)))
        with pytest.raises(MachineError, match="an inference does not end"):
            inspector(grey_frame(1))
        inspector.close()
        taken = time.perf_counter() - start
    assert 0 < len(answers) < 20
    assert {answer.result.verdict for answer in answers} == {Verdict.ERROR}
    assert taken < 2.5  # It would take longer to end.


def test_the_command_ends_with_exit_code_3_though_an_inference_does_not_end(tmp_path, backend):
    path = save(slow_graph(400), tmp_path)
    (tmp_path / "images").mkdir()
    for number in range(5):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), grey_frame(9, 32))
    words = ["inspect", "--engine", str(path), "--source", str(tmp_path / "images"), "--backend", backend]
    script = (
        "import sys, edgekd.engines.inference_limit as limits, edgekd.cli.main as cli;"
        "limits.LEAST = 0.2; sys.exit(cli.main(sys.argv[1:]))"
    )
    words += ["--threads", "1", "--inference-limit", "0.2"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "edgekd: an inference does not end: 0.6 s, and its limit is 0.2 s; the frames that follow" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("ERROR 0.png")


def test_ctrl_c_counts_during_an_inference_and_the_engine_goes_on(tmp_path, backend):
    with open_engine(save(slow_graph(80), tmp_path), backend, threads=1, inference_limit=60) as engine:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        start = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            engine.infer(grey_frame(9)[None])
        interrupted = time.perf_counter()
        assert np.isfinite(engine.infer(grey_frame(9)[None]).scores).all()
        assert interrupted - start < time.perf_counter() - interrupted


def test_the_limit_is_derived_from_the_first_inferences_of_each_size():
    limit = InferenceLimit()
    assert limit.of(1) == FIRST
    limit.wait(1, lambda seconds: True, None)
    assert limit.of(1) == LEAST
    assert limit.of(4) == FIRST

    def slowly(seconds):
        time.sleep(0.3)
        return True

    limit.wait(1, slowly, None)
    assert limit.of(1) == pytest.approx(TIMES * 0.3, rel=0.2)
    assert InferenceLimit(2.5).of(1) == 2.5


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_limit_that_is_no_time_is_refused(tmp_path, seconds):
    with pytest.raises(EdgekdError, match="inference limit must be a positive number of seconds"):
        open_engine(save(graph(), tmp_path), "openvino", inference_limit=seconds)


def test_a_wait_that_nothing_can_interrupt_is_late_once_it_has_ended():
    limit = InferenceLimit(0.02)
    with pytest.raises(LateInferenceError, match=r"longer than its limit of 0\.02 s"), limit.watch(1):
        time.sleep(0.05)
    with limit.watch(1):
        pass
    limit.close()


def test_a_wait_that_nothing_can_interrupt_and_does_not_end_ends_the_process():
    script = (
        "import time, edgekd.engines.inference_limit as limits; limits.LEAST = limits.LOOKS = 0.05\n"
        "with limits.InferenceLimit(0.05).watch(1): time.sleep(30)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20)
    assert done.returncode == 3
    assert "an inference does not end" in done.stderr
