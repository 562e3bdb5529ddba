import json
import shutil

import numpy as np
import pytest

import edgekd.engines.opening as opening
from edgekd.artifact import manifest_path, read_manifest, write_manifest
from edgekd.data.good_images import read_frames
from edgekd.engines import BACKENDS, open_engine
from edgekd.errors import ArtifactError, EdgekdError, MachineError


@pytest.fixture(scope="module")
def frames(elpv_images):
    return read_frames(elpv_images[200:203], 64)


@pytest.fixture(params=sorted(BACKENDS))
def engine(request, exported):
    with open_engine(exported, request.param, threads=1) as engine:
        yield engine


def test_an_engine_says_what_it_is(engine):
    assert engine.spec.backend in BACKENDS
    assert (engine.spec.height, engine.spec.width, engine.spec.batch) == (64, 64, 1)
    assert engine.spec.threads == 1
    assert engine.spec.device == "CPU"
    assert engine.spec.version[0].isdigit()


def test_infer_gives_raw_scores_and_maps_of_float32(engine, frames):
    outputs = engine.infer(frames[:1])
    assert outputs.scores.shape == (1,)
    assert outputs.anomaly_maps.shape == (1, 64, 64)
    assert outputs.scores.dtype == outputs.anomaly_maps.dtype == np.float32
    assert 0 < outputs.anomaly_maps.max() <= outputs.scores[0]


def test_tickets_give_their_own_frames_answers_in_any_order(engine, frames):
    expected = [engine.infer(frame[None]) for frame in frames[:2]]
    assert expected[0].scores != expected[1].scores
    for order in ((0, 1), (1, 0)):
        tickets = [engine.submit(frame[None]) for frame in frames[:2]]
        for index in order:
            answer = engine.collect(tickets[index])
            assert np.array_equal(answer.scores, expected[index].scores)
            assert np.array_equal(answer.anomaly_maps, expected[index].anomaly_maps)


def test_what_was_collected_stays_when_the_engine_goes_on(engine, frames):
    first = engine.infer(frames[:1])
    scores, maps = first.scores.copy(), first.anomaly_maps.copy()
    for _ in range(3):
        engine.infer(frames[1:2])
    assert np.array_equal(first.scores, scores)
    assert np.array_equal(first.anomaly_maps, maps)


@pytest.mark.parametrize("layout", ["strided", "read-only"])
def test_frames_of_any_memory_layout_are_read_right(engine, frames, layout):
    frame = frames[:1].copy()
    expected = engine.infer(frame).scores
    if layout == "strided":
        given = np.asfortranarray(frame)
        assert not given.flags.c_contiguous
    else:
        given = frame
        given.flags.writeable = False
    assert np.array_equal(engine.infer(given).scores, expected)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((1, 64, 64, 3), np.float32),
        np.zeros((2, 64, 64, 3), np.uint8),
        np.zeros((1, 32, 64, 3), np.uint8),
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((1, 3, 64, 64), np.uint8),
    ],
)
def test_frames_of_another_type_or_shape_are_refused_and_the_engine_goes_on(engine, frames, wrong):
    with pytest.raises(EdgekdError, match=r"takes uint8 frames of shape \(1, 64, 64, 3\), got"):
        engine.infer(wrong)
    for _ in range(3):
        with pytest.raises(EdgekdError):
            engine.collect(engine.submit(wrong))
    assert np.isfinite(engine.infer(frames[:1]).scores).all()


def test_closing_twice_does_no_harm(engine):
    engine.close()
    engine.close()


def test_a_closed_engine_refuses_everything_in_one_line(engine, frames):
    acquired, given = engine.acquire(), engine.acquire()
    acquired[:] = 9
    ticket = engine.submit(frames[:1])
    engine.close()
    for refused in (
        engine.acquire,
        lambda: engine.release(given),
        lambda: engine.submit(acquired),
        lambda: engine.infer(frames[:1]),
        lambda: engine.collect(ticket),
    ):
        with pytest.raises(EdgekdError, match=r"^this engine is closed: open it again$"):
            refused()
    assert np.all(acquired == 9)


def test_an_engine_on_the_cpu_has_neither_graphs_nor_a_gpu(engine):
    assert (engine.cuda_graphs, engine.spec.gpu_index, engine.spec.gpu_uuid) == (None, None, None)


def test_both_back_ends_say_the_same(exported, frames):
    answers = []
    for backend in BACKENDS:
        with open_engine(exported, backend) as engine:
            answers.append(engine.infer(frames[:1]))
    spread = float(np.ptp(answers[0].anomaly_maps))
    assert np.abs(answers[0].anomaly_maps - answers[1].anomaly_maps).max() < 1e-4 * spread


def test_the_faster_back_end_is_measured_once_and_remembered(exported, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path))
    with open_engine(exported, threads=1) as engine:
        chosen = engine.spec.backend
    memory = tmp_path / "fastest_backend.json"
    (key, remembered), *others = json.loads(memory.read_text()).items()
    assert remembered == chosen
    assert others == []
    assert key.startswith(read_manifest(exported)["sha256"][:16] + " 1 threads")
    other = next(backend for backend in BACKENDS if backend != chosen)
    memory.write_text(json.dumps({key: other}))
    with open_engine(exported, threads=1) as engine:
        assert engine.spec.backend == other


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"x": 1}', '["onnxruntime"]'])
def test_a_damaged_memory_is_measured_anew(exported, tmp_path, monkeypatch, content):
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path))
    monkeypatch.setattr(opening, "TRIALS", 1)
    (tmp_path / "fastest_backend.json").write_text(content)
    with open_engine(exported) as engine:
        chosen = engine.spec.backend
    assert chosen in json.loads((tmp_path / "fastest_backend.json").read_text()).values()


def test_an_unknown_back_end_names_the_nearest(exported):
    with pytest.raises(EdgekdError, match=r"unknown back end 'onnx-runtime': did you mean onnxruntime\?"):
        open_engine(exported, "onnx-runtime")


def test_what_is_no_artifact_is_refused(exported, tmp_path):
    with pytest.raises(ArtifactError, match="no such artifact"):
        open_engine(tmp_path / "gone.onnx")
    with pytest.raises(EdgekdError, match=r"must be an \.onnx file of edgekd export"):
        open_engine(exported.with_suffix(".json"))
    shutil.copy(exported, tmp_path / "bare.onnx")
    with pytest.raises(ArtifactError, match=r"bare\.onnx has no manifest: bare\.json must be beside it"):
        open_engine(tmp_path / "bare.onnx")


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_a_file_that_is_no_graph_is_one_line_though_its_hash_is_right(tmp_path, exported, backend):
    path = tmp_path / "text.onnx"
    path.write_text("no graph")
    write_manifest(path, read_manifest(exported))
    with pytest.raises(ArtifactError, match=r"cannot load .*text\.onnx: ."):
        open_engine(path, backend)


@pytest.mark.parametrize("frames", [None, {"shape": [1, 64, 64]}, {"shape": None}, {}])
def test_a_manifest_that_does_not_say_its_frames_is_refused(exported, tmp_path, frames):
    shutil.copy(exported, tmp_path / "x.onnx")
    manifest = json.loads(manifest_path(exported).read_text())
    write_manifest(tmp_path / "x.onnx", manifest | {"inputs": {"frames": frames}})
    with pytest.raises(ArtifactError, match=r"x\.json: inputs\.frames\S* (is missing|must be an object)"):
        open_engine(tmp_path / "x.onnx", "onnxruntime")


@pytest.fixture
def old_onnxruntime(exported, tmp_path, monkeypatch):
    """An artifact in INT8 with float16 around it, as its manifest says, on a machine whose ONNX Runtime truncates."""
    import onnxruntime

    path = tmp_path / "x.onnx"
    shutil.copy(exported, path)
    write_manifest(path, read_manifest(exported) | {"file": path.name, "precision": "int8_fp16"})
    monkeypatch.setattr(onnxruntime, "__version__", "1.23.2")
    monkeypatch.setattr(opening, "_version", lambda backend: "1.23.2")
    return path


def test_an_onnxruntime_that_truncates_float16_is_refused_for_int8_with_float16(old_onnxruntime, exported):
    with pytest.raises(MachineError, match=r"1\.23\.2 truncates float16 .* --backend openvino"):
        open_engine(old_onnxruntime, "onnxruntime")
    with open_engine(exported, "onnxruntime") as engine:  # Other precisions are right on it.
        assert engine.spec.backend == "onnxruntime"


def test_without_a_choice_the_back_end_that_is_right_opens(old_onnxruntime, monkeypatch):
    with open_engine(old_onnxruntime) as engine:
        assert engine.spec.backend == "openvino"
    monkeypatch.setattr(opening, "_is_installed", lambda backend: backend == "onnxruntime")
    with pytest.raises(MachineError, match="pip install openvino"):
        open_engine(old_onnxruntime)
