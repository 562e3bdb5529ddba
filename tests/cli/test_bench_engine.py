"""`edgekd bench` and the other commands on what `edgekd build` made."""

import json
import shutil

import pytest

from edgekd.artifact import manifest_path, read_manifest
from edgekd.data.good_images import read_frames
from edgekd.engines import open_engine

from ..run_command import main


@pytest.fixture(scope="module")
def folder(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    for path in (exported, manifest_path(exported)):
        shutil.copy(path, folder / path.name)
    return folder


@pytest.fixture(scope="module")
def for_openvino(folder):
    output = folder / "cpu.engine"
    assert main(["build", str(folder / "detector.onnx"), "--backend", "openvino", "--output", str(output)]) == 0
    return output


def test_without_a_gpu_one_line_names_the_gpus_and_what_to_run_instead(folder, capsys):
    pytest.importorskip("tensorrt_rtx")
    output = folder / "gpu.engine"
    words = ["--backend", "tensorrt-rtx", "--compute-capability", "8.6", "--output", str(output)]
    assert main(["build", str(folder / "detector.onnx"), *words]) == 0
    capsys.readouterr()
    for command in (["bench"], ["inspect", "--source", str(folder)], ["evaluate", "--data", str(folder)]):
        assert main([*command, "--engine", str(output)]) in (2, 3)
        said = capsys.readouterr().err
        assert said.count("\n") == 1
    assert main(["bench", "--engine", str(output)]) == 3
    said = capsys.readouterr().err
    assert "needs an NVIDIA GPU of compute capability 8.6, and none answers here" in said
    assert f"without one run edgekd bench --engine {folder / 'detector.onnx'}" in said


def test_an_engine_of_openvino_says_what_its_graph_says(folder, for_openvino, elpv_images):
    frames = read_frames(elpv_images[200:201], 64)
    answers = []
    for path in (folder / "detector.onnx", for_openvino):
        with open_engine(path, "openvino" if path.suffix == ".onnx" else None) as engine:
            answers.append(engine.infer(frames))
    assert answers[0].scores == answers[1].scores
    assert (answers[0].anomaly_maps == answers[1].anomaly_maps).all()


def test_bench_measures_it(for_openvino, tmp_path):
    words = ["--engine", str(for_openvino), "--duration", "0.2", "--json", str(tmp_path / "b.json")]
    assert main(["bench", *words]) == 0
    figures = json.loads((tmp_path / "b.json").read_text())
    assert figures["engine"]["backend"] == "openvino"
    assert figures["engine"]["cuda_graphs"] is None
    assert figures["overlap"] == {"1": None}


def test_it_runs_on_nothing_but_what_it_was_built_for(for_openvino, capsys):
    assert main(["bench", "--engine", str(for_openvino), "--backend", "onnxruntime"]) == 2
    assert "was built for openvino and runs on nothing else" in capsys.readouterr().err


def test_one_of_another_version_is_refused_with_the_command_that_mends_it(for_openvino, tmp_path, capsys):
    other = tmp_path / "other.engine"
    shutil.copy(for_openvino, other)
    manifest = read_manifest(for_openvino)
    manifest |= {"file": other.name, "engine": manifest["engine"] | {"version": "2024.1.0"}}
    manifest_path(other).write_text(json.dumps(manifest))
    assert main(["bench", "--engine", str(other)]) == 2
    said = capsys.readouterr().err
    assert "was built by OpenVINO 2024.1.0" in said
    assert "build it again with edgekd build" in said


def test_one_that_is_cut_off_is_refused_with_the_command_that_mends_it(for_openvino, tmp_path, capsys):
    other = tmp_path / "cpu.engine"
    other.write_bytes(for_openvino.read_bytes()[:-100])
    shutil.copy(manifest_path(for_openvino), manifest_path(other))
    assert main(["bench", "--engine", str(other)]) == 2
    said = capsys.readouterr().err
    assert "its SHA-256 differs" in said
    assert "edgekd build" in said
