"""Building engines with TensorRT for RTX, whose builder needs no GPU; all systems are built in tests/graph."""

import json
import logging
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import edgekd.engines.tensorrt.progress as progress
from edgekd.artifact import manifest_path
from edgekd.engines.tensorrt.building import BuildOptions, build_engine, uses_user_allocation
from edgekd.engines.tensorrt.flavours import Flavour, load_flavour
from edgekd.engines.tensorrt.layers import Layer, convolution_inputs, layers_inspected, layers_listed
from edgekd.engines.tensorrt.progress import NestedPhases, make_build_log, make_monitor
from edgekd.errors import ArtifactError, EdgekdError

trt = pytest.importorskip("tensorrt_rtx")
LEVEL = "same-compute-capability"


@pytest.fixture(scope="module")
def flavour():
    return load_flavour("tensorrt-rtx")


def convolution_graph(path, batch):
    """One convolution of frames, as small as a graph can be."""
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, [batch, 16, 16, 3])
    out = helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, [batch, 4, 16, 16])
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["frames"], ["float"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["image"], "transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["image", "weight"], ["anomaly_map"], "conv", pads=[1, 1, 1, 1]),
    ]
    graph = helper.make_graph(nodes, "g", [frames], [out], [onnx.numpy_helper.from_array(weight, "weight")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    return path


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return convolution_graph(tmp_path_factory.mktemp("graph") / "fixed.onnx", 2)


@pytest.fixture(scope="module")
def free_graph(tmp_path_factory):
    return convolution_graph(tmp_path_factory.mktemp("graph") / "free.onnx", "batch")


@pytest.mark.parametrize("capabilities", [(), ("7.5",), ("8.6", "8.9", "12.1")])
def test_an_engine_is_built_for_each_compute_capability(flavour, graph, capabilities):
    built = build_engine(graph, flavour, BuildOptions(capabilities))
    assert len(built.blob) > 1000
    assert built.timing_cache is None
    assert any("conv" in layer.nodes for layer in built.layers)


def test_more_compute_capabilities_make_another_engine(flavour, graph):
    one, two = (build_engine(graph, flavour, BuildOptions(names)).blob for names in (("8.6",), ("8.6", "12.0")))
    assert one != two


def test_a_free_batch_is_opened_up_to_the_largest(flavour, free_graph):
    few, many = (build_engine(free_graph, flavour, BuildOptions(("8.6",), largest)).blob for largest in (2, 64))
    assert few != many


@pytest.mark.parametrize("largest", [2_000_000_000, 1 << 31, 1 << 64])
def test_a_batch_that_is_too_large_says_what_to_try(flavour, free_graph, largest):
    with pytest.raises(ArtifactError, match=r"cannot build .*free\.onnx: .*; try a smaller --max-batch$"):
        build_engine(free_graph, flavour, BuildOptions(("8.6",), largest))


def test_kernels_are_chosen_for_another_batch_than_the_largest(flavour, free_graph):
    few, many = (build_engine(free_graph, flavour, BuildOptions(("8.6",), 8, opt)).blob for opt in (1, 8))
    assert few == tensorrts_own(free_graph, (1, 1, 8), capture=True)
    assert many == tensorrts_own(free_graph, (1, 8, 8), capture=True)
    assert few != many


def test_a_batch_for_kernels_above_the_largest_is_one_line(flavour, free_graph):
    with pytest.raises(ArtifactError, match=r"cannot build .*MIN<=OPT<=MAX.*; try a smaller --max-batch$"):
        build_engine(free_graph, flavour, BuildOptions(("8.6",), 8, 9))


def tensorrts_own(path, batches, capture):
    """What TensorRT for RTX makes of a graph for 8.6, asked directly; the same bytes each time."""
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, trt.Logger(trt.Logger.ERROR))
    assert parser.parse_from_file(str(path))
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    if capture:
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    profile = builder.create_optimization_profile()
    profile.set_shape("frames", *([batch, 16, 16, 3] for batch in batches))
    config.add_optimization_profile(profile)
    return bytes(memoryview(builder.build_serialized_network(network, config)))


def test_engines_of_tensorrt_for_rtx_are_built_to_be_captured_and_standard_ones_without_the_flag(flavour, free_graph):
    with_flag, without = (tensorrts_own(free_graph, (1, 1, 4), capture) for capture in (True, False))
    assert with_flag != without
    options = BuildOptions(("8.6",), 4)
    assert build_engine(free_graph, flavour, options).blob == with_flag
    assert build_engine(free_graph, Flavour("tensorrt", trt.__version__, trt), options).blob == without
    assert (uses_user_allocation("tensorrt-rtx"), uses_user_allocation("tensorrt")) == (True, False)


def test_a_workspace_that_is_too_small_says_what_to_try(flavour, free_graph):
    with pytest.raises(ArtifactError, match=r"workspace limit.*; try a smaller --max-batch or a larger --workspace$"):
        build_engine(free_graph, flavour, BuildOptions(("8.6",), 4096, workspace_mib=1))
    assert build_engine(free_graph, flavour, BuildOptions(("8.6",), 4096, workspace_mib=256)).blob


def test_the_phases_are_told_with_their_steps(flavour, graph):
    said = []
    build_engine(graph, flavour, BuildOptions(), lambda *step: said.append(step))
    assert len({phase for phase, _, _ in said}) > 3
    assert all(0 <= done <= of for _, done, of in said)
    last = {phase: done == of for phase, done, of in said}
    assert all(last.values()), last
    phases = NestedPhases()
    parts = [phases.update(*step) for step in said]
    assert parts == sorted(parts)
    assert (parts[0], parts[-1]) == (0, phases.PARTS)
    assert len(set(parts)) > 10, "inner phases count too"


def test_an_inner_phase_is_a_share_of_the_step_that_it_runs_in():
    phases = NestedPhases()
    steps = [("build", 0, 4), ("build", 1, 4), ("time", 0, 2), ("time", 1, 2), ("time", 2, 2), ("build", 2, 4)]
    assert [phases.update(*step) for step in steps] == [0, 250, 250, 375, 375, 500]
    assert [phases.update("time", done, 2) for done in range(3)] == [500, 625, 625]
    assert phases.update("build", 4, 4) == 1000


@pytest.mark.parametrize("saved", [b"", b"not what was measured"])
def test_the_standard_flavours_steps_run_as_far_as_they_can_without_a_gpu(graph, saved):
    # The same classes; without a GPU the engine cannot be inspected, and the timing cache holds no measurements.
    standard = Flavour("tensorrt", trt.__version__, trt)
    first = build_engine(graph, standard, BuildOptions(timing_cache=saved))
    again = build_engine(graph, standard, BuildOptions(timing_cache=first.timing_cache))
    assert first.blob
    assert again.timing_cache == first.timing_cache
    assert first.timing_cache not in (None, b"", saved)


@pytest.fixture
def lines(caplog):
    """Reads the lines that TensorRT's warnings and errors came to the user in."""
    progress._logged.clear()
    caplog.set_level(logging.WARNING, "edgekd.tensorrt")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "edgekd.tensorrt"]


def test_a_warning_reaches_the_user_once_in_one_line(flavour, tmp_path, lines):
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, [1, 16, 16, 3])
    out = helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, [1, 16, 16, 3])
    nodes = [
        helper.make_node("Cast", ["frames"], ["float"], "same", to=TensorProto.FLOAT),
        helper.make_node("Relu", ["float"], ["anomaly_map"], "same"),
    ]
    onnx.save(
        helper.make_model(helper.make_graph(nodes, "g", [frames], [out]), opset_imports=[helper.make_opsetid("", 18)]),
        tmp_path / "two.onnx",
    )
    for _ in range(2):
        build_engine(tmp_path / "two.onnx", flavour, BuildOptions())
    (line,) = lines()
    assert "A node named same already exists" in line
    assert "\n" not in line


def test_a_build_on_the_cpu_warns_of_nothing(flavour, graph, free_graph, lines):
    build_engine(graph, flavour, BuildOptions())
    build_engine(free_graph, flavour, BuildOptions(("8.6", "12.0"), 4))
    assert lines() == []


def test_a_failed_build_reports_the_first_error_once(flavour, free_graph, tmp_path, lines):
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(ArtifactError):
        build_engine(tmp_path / "text.onnx", flavour, BuildOptions())
    assert lines() == []
    with pytest.raises(ArtifactError) as caught:
        build_engine(free_graph, flavour, BuildOptions(("8.6",), 8, 9))
    others = lines()
    assert others
    assert not any(line in str(caught.value) for line in others)
    assert not any("CUDA driver" in line for line in others)


@pytest.mark.parametrize("name", ["same-compute-capability", "ampere-plus"])
def test_hardware_compatibility_is_set(graph, lines, name):
    # The one for RTX has the attribute and says that it does nothing there, which tells that it was set.
    build_engine(graph, Flavour("tensorrt", "10.13", trt), BuildOptions(hardware_compatibility=name))
    assert "setHardwareCompatibilityLevel() is unsupported in TensorRT-RTX." in lines()


def test_no_hardware_compatibility_is_set_unless_asked_for(graph, lines):
    build_engine(graph, Flavour("tensorrt", "10.13", trt), BuildOptions())
    assert lines() == []


def test_a_level_of_compatibility_that_tensorrt_lacks_is_one_line(graph):
    older = SimpleNamespace(HardwareCompatibilityLevel=SimpleNamespace(NONE=0, AMPERE_PLUS=1))  # As 10.3 has it.
    with pytest.raises(EdgekdError) as caught:
        build_engine(graph, Flavour("tensorrt", "10.3.0", older), BuildOptions(hardware_compatibility=LEVEL))
    assert str(caught.value) == (
        "TensorRT 10.3.0 does not have --hardware-compatibility same-compute-capability: update TensorRT, leave the "
        "option out, or give ampere-plus"
    )


def test_what_is_no_graph_is_one_line(flavour, tmp_path):
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(
        ArtifactError, match=r"TensorRT for RTX cannot build .*text\.onnx: .*[Ff]ailed to parse"
    ) as caught:
        build_engine(tmp_path / "text.onnx", flavour, BuildOptions())
    assert "\n" not in str(caught.value)


def test_a_refusal_does_not_keep_the_next_builder_from_being_heard(flavour, graph, tmp_path):
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(ArtifactError) as kept:
        build_engine(tmp_path / "text.onnx", flavour, BuildOptions())
    assert build_engine(graph, flavour, BuildOptions()).layers
    assert kept.value is not None


def test_a_cancelled_monitor_ends_the_building(graph):
    build_log, monitor = make_build_log(trt), make_monitor(trt, None)
    builder = trt.Builder(build_log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    assert trt.OnnxParser(network, build_log).parse_from_file(str(graph))
    config = builder.create_builder_config()
    config.progress_monitor = monitor
    monitor.cancelled = True
    assert builder.build_serialized_network(network, config) is None


# In a process of its own, as a command is one: what a signal does beside TensorRT's threads is its exit code then.
INTERRUPTED_BUILD = """
import os, signal, sys
from pathlib import Path
from edgekd.engines.build_plan import BuildChoices, plan_build
from edgekd.engines.compiling import build

signal.signal(signal.SIGINT, signal.default_int_handler)
pressed = []


def press(*step):
    if not pressed:
        pressed.append(step)
        os.kill(os.getpid(), signal.SIGINT)


try:
    build(plan_build(Path(sys.argv[1]), BuildChoices(backend="tensorrt-rtx")), press)
except KeyboardInterrupt:
    print("interrupted at", *pressed[0])
"""


def test_ctrl_c_ends_a_build_and_leaves_no_file(exported, tmp_path):
    for path in (exported, manifest_path(exported)):
        shutil.copy(path, tmp_path / path.name)
    command = [sys.executable, "-c", INTERRUPTED_BUILD, str(tmp_path / exported.name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "interrupted at building detector_tensorrt_rtx.engine 0 1000\n"), done
    assert sorted(path.name for path in tmp_path.iterdir()) == ["detector.json", "detector.onnx"]


def test_the_list_of_layers_is_read():
    lines = [
        "Name: wait_3, LayerType: wait, Inputs: [], Constants: [], Outputs: [], StreamId: 0, Metadata: ",
        "Name: conv_6, LayerType: correlation, Inputs: [ { Name: a, Dimensions: [1,4], Datatype: Int8, Format: (x) }, "
        "{ Name: b, Dimensions: [1], Datatype: Float, Format: (y) }], Constants: [], Outputs: [ { Name: c, "
        "Datatype: Half }], TacticName: , StreamId: 0, Metadata: [ONNX Layer: conv][ONNX Layer: relu]",
        "",
        "Bindings:",
    ]
    layers = layers_listed(lines)
    assert layers == [
        Layer("wait_3", "wait", None, [], {}),
        Layer("conv_6", "correlation", "Int8", ["conv", "relu"], {"Int8": 4, "Float": 4}),
    ]
    assert convolution_inputs(layers) == {"Int8": 1}


@pytest.mark.parametrize(
    ("said", "reads"),
    [
        ({"Format/Datatype": "Row major linear FP32"}, "Float"),
        ({"Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}, "Half"),
        ({"Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"}, "Int8"),
        ({"Format/Datatype": "Float"}, "Float"),
        ({"Format": "linear", "Datatype": "Half"}, "Half"),
        ({"Format/Datatype": "UInt8"}, "UInt8"),
        ({"Format/Datatype": "N/A due to dynamic shapes"}, None),
        ({}, None),
    ],
)
def test_an_inspectors_words_for_data_types_are_read(said, reads):
    entry = {"Name": "conv", "LayerType": "CaskConvolution", "Inputs": [said], "Metadata": "[ONNX Layer: /0/Conv]"}
    text = json.dumps({"Layers": [entry, "a name without details"], "Bindings": ["frames"]})
    assert layers_inspected(text) == [Layer("conv", "CaskConvolution", reads, ["/0/Conv"])]
    assert convolution_inputs(layers_inspected(text)) == {reads or "unknown": 1}
