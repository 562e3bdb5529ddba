import json
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import onnx
import openvino
import pytest

import edgekd.engines.compiling as compiling
from edgekd.artifact import manifest_path, read_json, read_manifest, write_manifest
from edgekd.data.good_images import read_frames
from edgekd.engines import open_engine
from edgekd.engines.tensorrt.flavours import is_installed
from edgekd.errors import MachineError
from edgekd.workflows.build import build

from ..engines import hand_made
from ..run_command import main

needs_rtx = pytest.mark.skipif(not is_installed("tensorrt-rtx"), reason="TensorRT for RTX is not installed")
RTX = ("--backend", "tensorrt-rtx")


@pytest.fixture
def graph(exported, tmp_path):
    """A copy of the exported detector, alone in its folder."""
    for path in (exported, manifest_path(exported)):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path / exported.name


@pytest.fixture
def free_graph(tmp_path):
    """A graph that takes any batch; no builder comes to see it."""
    return hand_made.save(hand_made.graph(batch="batch"), tmp_path)


@pytest.fixture
def no_gpu(monkeypatch):
    def refuse(index):
        raise MachineError("no NVIDIA GPU answers")

    monkeypatch.setattr(compiling, "open_driver", refuse)


def run(*words):
    return main([str(word) for word in words])


def names_beside(graph):
    return sorted(path.name for path in graph.parent.iterdir())


@needs_rtx
def test_an_engine_is_written_with_all_that_the_graphs_manifest_says_and_how_it_was_built(graph, capsys):
    words = ["build", graph, *RTX, "--compute-capability", "8.9", "--compute-capability", "8.6", "--workspace", 64]
    assert run(*words) == 0
    engine = graph.with_name("detector_sm86_sm89.engine")
    said = capsys.readouterr().out
    assert f"wrote {engine}: " in said
    assert "by TensorRT for RTX 1.7.1.116, for GPUs of compute capability 8.6 or 8.9" in said
    assert f"edgekd bench --engine {engine}" in said
    command = "--compute-capability 8.6 --compute-capability 8.9 --workspace 64 --if-needed compares them"
    assert "not compared with its graph, since it cannot run here: " in said
    assert command in said
    source, built = read_manifest(graph), read_manifest(engine)
    record, layers, verified = (built.pop(name) for name in ("engine", "layers", "verified"))
    assert verified is None
    assert {name: value for name, value in built.items() if name not in ("file", "sha256")} == {
        name: value for name, value in source.items() if name not in ("file", "sha256")
    }
    assert built["threshold"] is not None
    assert record.pop("build_seconds") > 0
    assert record == {
        "flavour": "tensorrt-rtx",
        "version": "1.7.1.116",
        "portable": False,
        "compute_capabilities": ["8.6", "8.9"],
        "onnx": "detector.onnx",
        "onnx_sha256": source["sha256"],
        "largest_batch": 1,
        "opt_batch": 1,
        "hardware_compatibility": "none",
        "user_allocation": True,
        "workspace_mib": 64,
        "command": f"edgekd build {graph} --backend tensorrt-rtx --compute-capability 8.6 --compute-capability 8.9 "
        "--workspace 64",
        "device": None,
    }
    reading = [layer["reads"] for layer in layers if layer["kind"] == "correlation"]
    assert f"{len(reading)} convolutions: {len(reading)} read Float" in said
    assert set(reading) == {"Float"}


@needs_rtx
def test_the_recorded_command_builds_it_again(graph):
    assert run("build", graph, *RTX, "--output", graph.with_name("line 2.engine")) == 0
    engine = graph.with_name("line 2.engine")
    command = read_manifest(engine)["engine"]["command"]
    engine.unlink()
    assert main(shlex.split(command)[1:]) == 0
    assert read_manifest(engine)["engine"]["command"] == command


@needs_rtx
def test_json_says_how_large_and_for_what(graph, capsys):
    assert run("build", graph, *RTX, "--json", "-") == 0
    figures = json.loads(capsys.readouterr().out)
    engine = graph.with_name("detector_tensorrt_rtx.engine")
    assert figures["file"] == str(engine)
    assert figures["bytes"] == engine.stat().st_size
    assert figures["engine"] == read_manifest(engine)["engine"]
    assert figures["engine"]["compute_capabilities"] == ["8.0", "8.6", "8.9", "12.0", "12.1"]
    assert figures["engine"]["portable"] is True
    assert figures["built"] is True
    assert figures["verified"] is None
    assert figures["convolutions_reading"].keys() == {"Float"}


def test_an_engine_of_openvino_says_what_the_graph_says(graph, elpv_images, capsys):
    assert run("build", graph, "--backend", "openvino") == 0
    said = capsys.readouterr().out
    assert "by OpenVINO" in said
    assert "compared with its graph in onnxruntime " in said
    assert "on 32 generated images (" in said
    path = graph.with_name("detector_openvino.engine")
    frames = read_frames(elpv_images[200:201], 64)
    with open_engine(graph, "openvino") as engine:
        expected = engine.infer(frames)
    with open_engine(path) as engine:
        answer = engine.infer(frames)
    assert np.array_equal(answer.scores, expected.scores)
    assert np.array_equal(answer.anomaly_maps, expected.anomaly_maps)
    record = read_manifest(path)["engine"]
    assert record["flavour"] == "openvino"
    assert record["version"] == openvino.get_version().split("-")[0]
    assert record["device"]["name"]
    assert not record["user_allocation"]
    verified = read_manifest(path)["verified"]
    assert verified["on"] == record["device"]["name"]
    assert verified["noise"] < 1e-4


def test_the_standard_flavour_without_a_gpu_says_where_to_build(graph, no_gpu, capsys):
    assert run("build", graph, "--backend", "tensorrt") == 3
    line = capsys.readouterr().err
    assert "TensorRT builds on the GPU that the engine is for, and none answers here: no NVIDIA GPU answers" in line
    assert "build on the machine that has it, or give --backend tensorrt-rtx" in line
    assert names_beside(graph) == ["detector.json", "detector.onnx"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--backend", "tensor-rt"], "unknown back end to build for 'tensor-rt': did you mean tensorrt?"),
        ([*RTX, "--compute-capability", "8.7"], "8.7 is a Jetson Orin, which TensorRT for RTX does not build for"),
        ([*RTX, "--compute-capability", "86"], "does not build for compute capability '86', only for 7.5"),
        (["--backend", "tensorrt", "--compute-capability", "8.6"], "--compute-capability is for TensorRT for RTX"),
        (
            ["--backend", "openvino", "--compute-capability", "8.6"],
            "--compute-capability is for TensorRT, and OpenVINO",
        ),
        (["--backend", "openvino", "--workspace", 64], "--workspace is for TensorRT"),
        ([*RTX, "--timing-cache", "x.cache"], "--timing-cache is for TensorRT, which measures kernels"),
        (["--backend", "tensorrt", "--timing-cache", "."], "--timing-cache . is a folder"),
        (
            [*RTX, "--max-batch", 4],
            "takes batches of 1 and no others: leave --max-batch out, or export it with --batch dynamic",
        ),
        ([*RTX, "--opt-batch", 1], "takes batches of 1 and no others: leave --opt-batch out"),
        ([*RTX, "--max-batch", 0], "must be a positive integer, got '0'"),
        ([*RTX, "--batch", 4], "no such option: --batch"),
        ([*RTX, "--hardware-compatibility", "ampere-plus"], "--hardware-compatibility is for TensorRT: leave it out; "),
        (["--backend", "openvino", "--hardware-compatibility", "ampere-plus"], "is for TensorRT: leave it out"),
        (
            ["--backend", "tensorrt", "--hardware-compatibility", "hopper"],
            "'hopper' is not one of 'same-compute-capability', 'ampere-plus'",
        ),
        (["--backend", "openvino", "--device", "cuda:0"], "--device is for TensorRT, and OpenVINO builds for this"),
        ([*RTX, "--device", "gpu:1"], "'gpu:1'"),
        ([*RTX, "--workspace", "-1"], "--workspace"),
        ([*RTX, "--output", "x.plan"], "--output x.plan must end in .engine"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(graph, capsys, words, complaint):
    assert run("build", graph, *words) == 2
    said = capsys.readouterr().err.strip()
    assert complaint in said
    assert len(said.splitlines()) == 1
    assert names_beside(graph) == ["detector.json", "detector.onnx"]


@pytest.mark.parametrize("option", ["--max-batch", "--opt-batch"])
def test_a_batch_for_openvino_is_refused(free_graph, capsys, option):
    assert run("build", free_graph, "--backend", "openvino", option, 4) == 2
    assert f"{option} is for TensorRT, and an engine of OpenVINO takes any batch" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "largest"), [(["--opt-batch", 9], "8, its default:"), (["--max-batch", 2, "--opt-batch", 3], "2:")]
)
def test_kernels_for_a_larger_batch_than_the_largest_are_refused(free_graph, capsys, words, largest):
    assert run("build", free_graph, *RTX, *words) == 2
    assert f"--opt-batch {words[-1]} must be at most --max-batch, which is {largest}" in capsys.readouterr().err


@needs_rtx
def test_a_free_batch_has_a_largest_and_one_that_kernels_are_chosen_for(trained_run, tmp_path, capsys):
    graph = tmp_path / "free.onnx"
    assert run("export", trained_run, "--batch", "dynamic", "--output", graph) == 0
    for words, batches in ([], (8, 1)), (["--max-batch", 16, "--opt-batch", 4], (16, 4)):
        capsys.readouterr()
        assert run("build", graph, *RTX, *words) == 0
        record = read_manifest(tmp_path / "free_tensorrt_rtx.engine")["engine"]
        assert (record["largest_batch"], record["opt_batch"]) == batches
        assert record["command"].endswith(" ".join(["tensorrt-rtx", *map(str, words)]))
        said = capsys.readouterr().out
        assert f"it takes batches of 1 to {batches[0]}; its kernels are chosen for {batches[1]}" in said


def test_an_engine_is_compared_on_what_its_run_held_out(exported, tmp_path, capsys):
    output = tmp_path / "x.engine"
    assert run("build", exported, "--backend", "openvino", "--output", output) == 0
    said = capsys.readouterr().out
    assert "on 22 held-out images of the run: noise " in said
    assert re.search(r"verdicts? differs?", said)
    verified = read_manifest(output)["verified"]
    assert (verified["images"], verified["from"]) == (22, "held-out images of the run")
    assert verified["flips"] in (0, 1)


@pytest.fixture
def wrong_builder(graph, tmp_path, monkeypatch):
    """A builder whose engines compute something else than their graphs."""
    model = onnx.load(graph)
    weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    changed = onnx.numpy_helper.to_array(weight) * np.float32(1.1)
    weight.CopyFrom(onnx.numpy_helper.from_array(changed, weight.name))
    (tmp_path / "elsewhere").mkdir()
    onnx.save(model, tmp_path / "elsewhere" / "other.onnx")
    original = compiling._with_openvino
    other = tmp_path / "elsewhere" / "other.onnx"
    monkeypatch.setattr(
        compiling, "_with_openvino", lambda plan, progress: original(plan._replace(onnx_path=other), progress)
    )


def test_an_engine_that_computes_something_else_is_not_kept(graph, wrong_builder, capsys):
    before = names_beside(graph)
    assert run("build", graph, "--backend", "openvino") == 1
    step, line = capsys.readouterr().err.strip().splitlines()
    assert step == "building detector_openvino.engine: done"
    assert f"{graph.with_name('detector_openvino.engine')} was not written: the engine does not compute what" in line
    assert names_beside(graph) == before


def test_an_earlier_engine_stays_where_the_new_one_is_wrong(graph, request, capsys):
    assert run("build", graph, "--backend", "openvino") == 0
    request.getfixturevalue("wrong_builder")
    engine = graph.with_name("detector_openvino.engine")
    before = engine.read_bytes(), manifest_path(engine).read_bytes()
    assert run("build", graph, "--backend", "openvino") == 1
    assert (engine.read_bytes(), manifest_path(engine).read_bytes()) == before


def test_if_needed_builds_once_and_again_where_the_engine_is_damaged(graph, capsys):
    words = ("build", graph, "--backend", "openvino", "--if-needed")
    engine = graph.with_name("detector_openvino.engine")
    assert run(*words) == 0
    first = capsys.readouterr()
    assert f"building: there is no {engine} yet" in first.err
    assert "wrote" in first.out
    written = engine.stat().st_mtime_ns
    assert run(*words) == 0
    assert capsys.readouterr() == (f"{engine} fits this machine: nothing to do\n", "")
    assert engine.stat().st_mtime_ns == written
    engine.write_bytes(engine.read_bytes()[:-1])
    assert run(*words) == 0
    assert "its SHA-256 differs" in capsys.readouterr().err
    assert read_manifest(engine)["verified"] is not None


def test_if_needed_compares_an_engine_that_was_not_compared_on_this_machine(graph, capsys):
    words = ("build", graph, "--backend", "openvino", "--if-needed")
    engine = graph.with_name("detector_openvino.engine")
    assert run(*words) == 0
    content = engine.read_bytes()
    here = read_manifest(engine)["verified"]
    for verified in (None, here | {"on": "another processor"}):
        write_manifest(engine, read_manifest(engine) | {"verified": verified})
        capsys.readouterr()
        assert run(*words) == 0
        compared, last = capsys.readouterr().out.splitlines()
        assert compared.startswith("compared with its graph in onnxruntime ")
        assert last == f"{engine} fits this machine: nothing to build"
        assert read_manifest(engine)["verified"] == here
    assert engine.read_bytes() == content


@needs_rtx
def test_if_needed_of_an_engine_for_other_machines_builds_once(graph, capsys):
    words = ("build", graph, *RTX, "--compute-capability", "8.9", "--if-needed")
    assert run(*words) == 0
    capsys.readouterr()
    assert run(*words, "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["built"] is False
    assert run(*words) == 0
    assert "is up to date: nothing to do; it cannot run here: " in capsys.readouterr().out
    assert run(*words, "--workspace", 64) == 0
    assert "was built with workspace none, and now it is 64" in capsys.readouterr().err


def test_what_is_no_graph_is_refused(graph, capsys):
    shutil.copy(graph, graph.with_name("bare.onnx"))
    for name, complaint in {
        "gone.onnx": "no such graph or run",
        "detector.json": "is not a graph: give an .onnx file",
        "bare.onnx": "has no manifest",
    }.items():
        assert run("build", graph.with_name(name), *RTX) == 2
        assert complaint in capsys.readouterr().err


def test_a_damaged_graph_is_refused_before_it_is_parsed(graph, capsys):
    graph.write_bytes(graph.read_bytes()[:-1])
    assert run("build", graph, *RTX) == 2
    assert "its SHA-256 differs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "name", "complaint"),
    [
        ("--output", "detector.engine", "detector.json, which is the manifest of detector.onnx"),
        ("--output", "figures.engine", "figures.json, which is no manifest of an engine"),
        ("--output", "text.engine", "text.json, which is no manifest of an engine"),
        ("--output", "folder.engine", "folder.engine is a folder: name a file"),
        ("--json", "detector.json", "is where a manifest stands"),
        ("--json", "detector_tensorrt_rtx.json", "is where a manifest stands"),
    ],
)
def test_nothing_else_is_overwritten(graph, capsys, option, name, complaint):
    graph.with_name("figures.json").write_text("{}")
    graph.with_name("text.json").write_text("no JSON")
    graph.with_name("folder.engine").mkdir()
    before = {path.name: path.is_file() and path.read_bytes() for path in graph.parent.iterdir()}
    assert run("build", graph, *RTX, option, graph.with_name(name)) == 2
    assert complaint in capsys.readouterr().err
    assert {path.name: path.is_file() and path.read_bytes() for path in graph.parent.iterdir()} == before


@needs_rtx
def test_building_again_replaces_the_engine(graph):
    assert run("build", graph, *RTX) == run("build", graph, *RTX) == 0
    assert len(names_beside(graph)) == 4


@needs_rtx
def test_a_graph_that_cannot_be_built_leaves_nothing(graph, capsys):
    graph.write_text("no graph")
    write_manifest(graph, read_json(manifest_path(graph)))
    for options in (RTX, ("--backend", "openvino")):
        assert run("build", graph, *options) == 2
        assert "it is not an ONNX graph or damaged, export it again" in capsys.readouterr().err
    assert names_beside(graph) == ["detector.json", "detector.onnx"]


INTERRUPTED = """
import os, signal, sys
import edgekd.engines.compiling as compiling
from edgekd.cli.main import main

signal.signal(signal.SIGINT, signal.default_int_handler)
original = compiling.build_engine


def pressed(path, flavour, options, on_progress):
    os.kill(os.getpid(), signal.SIGINT)
    return original(path, flavour, options, on_progress)


compiling.build_engine = pressed
sys.exit(main(sys.argv[1:]))
"""


@needs_rtx
def test_ctrl_c_is_one_line_and_leaves_nothing(graph):
    command = [sys.executable, "-c", INTERRUPTED, "build", str(graph), *RTX]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr.strip()) == (130, "edgekd: interrupted"), done
    assert names_beside(graph) == ["detector.json", "detector.onnx"]


@needs_rtx
def test_an_engine_whose_manifest_cannot_be_written_is_not_left(graph, capsys, monkeypatch):
    def refuse(*_):
        raise MachineError("no room left on the disk")

    monkeypatch.setattr(compiling, "write_manifest", refuse)
    assert run("build", graph, *RTX) == 3
    assert "no room left" in capsys.readouterr().err
    assert names_beside(graph) == ["detector.json", "detector.onnx"]


def test_the_function_and_the_command_give_the_same(graph, capsys):
    steps = {}
    result = build(
        graph,
        backend="openvino",
        progress=lambda step, done, total=None, loss=None: steps.update({step: (done, total)}),
    )
    assert result.built
    assert result.compared
    assert result.file == graph.with_name("detector_openvino.engine")
    assert steps == {
        "building detector_openvino.engine": (1, 1),
        "comparing detector_openvino.engine with its graph": (1, 1),
    }
    capsys.readouterr()
    assert run("build", graph, "--backend", "openvino", "--if-needed", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out) == result.to_dict() | {"built": False}
