"""What `edgekd build` makes of INT8 graphs: for TensorRT with float16 around INT8, by the command line."""

import json
import shutil

import onnx
import pytest

from edgekd.artifact import read_manifest, sha256

from ..run_command import main

pytest.importorskip("tensorrt_rtx")

RTX = ["--backend", "tensorrt-rtx", "--compute-capability", "8.9"]


@pytest.fixture
def run(every_precision, tmp_path):
    """A run with its INT8 graph, and none that has float16 around it."""
    return shutil.copytree(every_precision, tmp_path / "run", ignore=shutil.ignore_patterns("*int8_fp16*"))


def test_an_engine_of_an_int8_run_has_float16_around_it(run, tmp_path):
    assert main(["build", str(run), *RTX, "--json", str(tmp_path / "x.json")]) == 0
    figures = json.loads((tmp_path / "x.json").read_text())
    manifest = read_manifest(run / "detector_int8_fp16_sm89.engine")
    assert figures["precision"] == manifest["precision"] == "int8_fp16"
    assert figures["convolutions_reading"].keys() <= {"Int8", "Half"}
    graph = read_manifest(run / "detector_int8_fp16.onnx")
    assert graph["made_from"]["detector_int8.onnx"] == sha256(run / "detector_int8.onnx")
    assert graph["threshold"] == read_manifest(run / "detector_int8.onnx")["threshold"]
    assert 0 <= graph["agreement"]["int8"]["noise"] < 0.5


def test_the_graph_with_float16_is_kept_until_the_int8_one_changes(run):
    source, mixed = run / "detector_int8.onnx", run / "detector_int8_fp16.onnx"
    assert main(["build", str(source), *RTX]) == 0
    written = mixed.stat().st_mtime_ns
    assert main(["build", str(source), *RTX, "--if-needed"]) == 0
    assert mixed.stat().st_mtime_ns == written
    mixed.write_bytes(b"damaged")
    assert main(["build", str(source), *RTX]) == 0
    onnx.checker.check_model(onnx.load(mixed))


def test_openvino_is_built_from_the_int8_graph_itself(run):
    assert main(["build", str(run), "--backend", "openvino"]) == 0
    assert not (run / "detector_int8_fp16.onnx").exists()
    assert read_manifest(run / "detector_int8_openvino.engine")["precision"] == "int8"


@pytest.mark.parametrize("what", ["missing", "run"])
def test_what_cannot_be_built_is_one_line(what, trained_run, tmp_path, capsys):
    source = tmp_path / "missing.onnx"
    if what == "run":
        source = tmp_path / "run"
        shutil.copytree(trained_run, source)
        (source / "detector_int8.onnx").unlink(missing_ok=True)
    assert main(["build", str(source), *RTX]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert ("edgekd export" in line) if what == "run" else ("no such graph or run" in line)
