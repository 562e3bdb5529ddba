import json
from types import SimpleNamespace

import numpy as np
import pytest

from edgekd.artifact import read_manifest
from edgekd.data.good_images import read_frames
from edgekd.engines import open_engine, streams
from edgekd.engines.streams import check_streams, fastest_streams
from edgekd.errors import EdgekdError


def test_inferences_at_a_time_give_the_same_as_one_after_the_other_in_any_order(exported, elpv_images):
    frames = read_frames(elpv_images[200:208], 64)
    with open_engine(exported, "openvino", threads=1) as engine:
        alone = [engine.infer(frame[None]) for frame in frames]
    with open_engine(exported, "openvino", threads=4, streams=4) as engine:
        assert (engine.spec.streams, engine.spec.threads, engine.slots) == (4, 4, 6)
        tickets = [engine.submit(frame[None]) for frame in frames[:6]]
        answers = {index: engine.collect(tickets[index]) for index in (5, 0, 3, 1, 4, 2)}
    for index, answer in answers.items():
        assert np.array_equal(answer.scores, alone[index].scores)
        assert np.array_equal(answer.anomaly_maps, alone[index].anomaly_maps)


def test_an_engine_has_one_stream_unless_more_are_asked_for(exported):
    for backend in ("openvino", "onnxruntime"):
        with open_engine(exported, backend, threads=2) as engine:
            assert (engine.spec.streams, engine.slots) == (1, 3)


def test_several_streams_are_openvinos_whatever_was_faster_one_by_one(exported, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path))
    with open_engine(exported, threads=2, streams=2) as engine:
        assert engine.spec.backend == "openvino"
    assert not (tmp_path / "fastest_backend.json").exists()
    with open_engine(exported, "onnxruntime", threads=2, streams="auto") as engine:
        assert engine.spec.streams == 1


@pytest.mark.parametrize(
    ("rates", "chosen"),
    [
        ({1: 10.0, 2: 15.0, 4: 12.0}, 2),
        ({1: 10.0, 2: 11.0, 4: 14.0}, 4),
        ({1: 10.0, 2: 9.8, 4: 9.9}, 2),  # Alike: several streams suffer less from threads that decode.
        ({1: 10.0, 2: 9.5, 4: 9.0}, 1),
    ],
)
def test_the_fastest_number_is_measured_once_and_remembered(exported, tmp_path, monkeypatch, rates, chosen):
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path))
    monkeypatch.setattr(streams, "_rate", lambda path, manifest, threads, count: rates[count])
    manifest = read_manifest(exported)
    assert fastest_streams(exported, manifest, 4, "1.0") == chosen
    assert list(json.loads((tmp_path / "streams.json").read_text()).values()) == [chosen]
    rates.clear()  # Measuring again would fail.
    assert fastest_streams(exported, manifest, 4, "1.0") == chosen
    with pytest.raises(KeyError):
        fastest_streams(exported, manifest, 3, "1.0")  # Another number of threads is another question.


class Streams:
    """An engine whose streams take a sixth of a second for each batch, and the clock that it moves."""

    def __init__(self, streams):
        self.now, self.free, self.slots = 0.0, [0.0] * streams, streams + 2
        self.spec = SimpleNamespace(batch=1, height=16, width=16)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def submit(self, frames):
        stream = self.free.index(min(self.free))
        self.free[stream] = max(self.free[stream], self.now) + 1 / 6
        return self.free[stream]

    def collect(self, ticket):
        self.now = max(self.now, ticket)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_streams_that_end_together_are_all_counted(tmp_path, monkeypatch, count):
    engine = Streams(count)
    monkeypatch.setattr("edgekd.engines.openvino.OpenVINOEngine", lambda *arguments, **options: engine)
    monkeypatch.setattr(streams, "time", SimpleNamespace(perf_counter=lambda: engine.now))
    assert streams._rate(tmp_path, {}, count, count) == pytest.approx(6 * count)


def test_streams_are_measured_with_the_graph_itself(exported, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path))
    monkeypatch.setattr(streams, "SECONDS", 0.01)
    with open_engine(exported, "openvino", threads=2, streams="auto") as engine:
        assert engine.spec.streams in (1, 2)
    assert len(json.loads((tmp_path / "streams.json").read_text())) == 1


def test_no_more_streams_are_chosen_than_there_are_slots(exported, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path))
    monkeypatch.setattr(streams, "_rate", lambda path, manifest, threads, count: float(count))
    for slots, chosen in ((None, 4), (2, 2), (1, 1)):
        with open_engine(exported, "openvino", threads=4, slots=slots, streams="auto") as engine:
            assert engine.spec.streams == chosen


def test_wrong_numbers_of_streams_are_refused(exported):
    for wrong in (0, -1, 1.5, "all"):
        with pytest.raises(EdgekdError, match="streams must be a positive integer or auto, got"):
            check_streams(wrong, 4, None)
    with pytest.raises(EdgekdError, match="needs as many threads, and there are 2: give at most 2"):
        open_engine(exported, "openvino", threads=2, streams=3)
    with pytest.raises(EdgekdError, match="--streams 3 needs as many slots, or threads would idle: --slots 3 or more"):
        open_engine(exported, "openvino", threads=4, slots=2, streams=3)
    with pytest.raises(EdgekdError, match="onnxruntime computes one inference at a time: leave it out"):
        open_engine(exported, "onnxruntime", threads=2, streams=2)
    with pytest.raises(EdgekdError, match="openvino:gpu does not compute on the CPU: leave it out"):
        open_engine(exported, "openvino:gpu", threads=2, streams=2)
