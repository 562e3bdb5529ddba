"""Whether TensorRT for RTX parses and compiles every system's graph in every precision; its builder needs no GPU.

The engines are built to be captured in CUDA graphs: a graph that would allocate memory while it infers does not build.
"""

import logging
from functools import cache

import onnx
import pytest

import edgekd.engines.tensorrt.progress as progress
from edgekd.data.good_images import read_frames
from edgekd.engines.tensorrt.building import BuildOptions, build_engine
from edgekd.engines.tensorrt.flavours import load_flavour
from edgekd.engines.tensorrt.layers import bytes_moved, convolution_inputs
from edgekd.errors import ArtifactError
from edgekd.models.registry import SYSTEMS
from edgekd.preprocessing import Preprocessing
from edgekd.quantization.drift import map_noise
from edgekd.quantization.float16 import to_float16
from edgekd.quantization.int8_float16 import to_int8_float16
from edgekd.quantization.lowering import to_int8
from edgekd.quantization.running import run_graph

from .graphs import graph_of

pytest.importorskip("tensorrt_rtx")

# The variants whose graphs are built for other tests too.
SWITCHES = {
    "dskd": (("backbone", "efficientnet_lite0"),),
    "hkt": (("border", False),),
    "hkt_plus": (("border", False), ("teacher", "efficientnet_lite0")),
}
CAPABILITIES = ("8.6", "8.9", "12.0")
QUICK = ("dskd", "hkt")  # The others' graphs take the builder minutes in all.
BY_TIME = [pytest.param(system, marks=[] if system in QUICK else [pytest.mark.slow]) for system in SYSTEMS]


@pytest.fixture(autouse=True)
def no_warnings(caplog):
    """TensorRT has nothing to say against any of the graphs."""
    progress._logged.clear()
    with caplog.at_level(logging.WARNING, "edgekd.tensorrt"):
        yield
    assert [record.getMessage() for record in caplog.records if record.name == "edgekd.tensorrt"] == []


def compile_graph(path):
    """What the builder makes of a graph for three compute capabilities."""
    return build_engine(path, load_flavour("tensorrt-rtx"), BuildOptions(CAPABILITIES))


@pytest.mark.parametrize("system", BY_TIME)
def test_every_systems_graph_compiles(system, elpv_images, tmp_path):
    onnx.save(graph_of(system, tuple(elpv_images[:4]), 64, 4, SWITCHES.get(system, ())), tmp_path / "x.onnx")
    built = compile_graph(tmp_path / "x.onnx")
    assert len(built.blob) > 1000


@pytest.mark.parametrize("system", BY_TIME)
def test_every_systems_graph_compiles_in_float16(system, elpv_images, tmp_path):
    model = graph_of(system, tuple(elpv_images[:4]), 64, 4, SWITCHES.get(system, ()))
    lowered = to_float16(model)
    onnx.save(lowered, tmp_path / "x.onnx")
    built = compile_graph(tmp_path / "x.onnx")
    half = {tensor.name for tensor in lowered.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    meant = {node.name for node in lowered.graph.node if node.op_type == "Conv" and node.input[1] in half}
    inputs = inputs_of_convolutions(built.layers, meant)
    assert len(inputs) > len(meant) / 2  # Some are merged into other kernels, and not listed as convolutions.
    assert set(inputs.values()) == {"Half"}, inputs


@cache
def int8_of(system, paths):
    """A system's INT8 graph, and what is said of it. Read it, do not change it."""
    model = graph_of(system, paths, 64, 4, SWITCHES.get(system, ()))
    return to_int8(model, read_frames(paths, 64), "min-max", None)


def int8_convolutions(model):
    """The weights of convolutions between DequantizeLinear, by the convolution's name."""
    dequantized = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return {
        node.name: node.input[1]
        for node in model.graph.node
        if node.op_type == "Conv" and set(node.input[:2]) <= dequantized
    }


@pytest.mark.parametrize("system", BY_TIME)
def test_every_systems_graph_compiles_in_int8_and_its_convolutions_read_int8(system, elpv_images, tmp_path):
    model, about = int8_of(system, tuple(elpv_images[:4]))
    onnx.save(model, tmp_path / "x.onnx")
    built = compile_graph(tmp_path / "x.onnx")
    meant = int8_convolutions(model)
    inputs = inputs_of_convolutions(built.layers, set(meant))
    assert len(meant) >= len(about["quantization"]["layers_in_int8"])
    # Three numbers a pixel: that one goes into the kernel that quantizes for the next.
    merged = [weight for name, weight in meant.items() if name not in inputs]
    assert all("renormalise" in weight or "network.entry" in weight for weight in merged), merged
    assert set(inputs.values()) == {"Int8"}, {name: kind for name, kind in inputs.items() if kind != "Int8"}


@pytest.mark.parametrize("system", BY_TIME)
def test_int8_with_float16_around_it_moves_no_more_float32_than_float16_alone(system, elpv_images, tmp_path):
    paths = tuple(elpv_images[:4])
    mixed = to_int8_float16(int8_of(system, paths)[0])
    graphs = {"fp16": to_float16(graph_of(system, paths, 64, 4, SWITCHES.get(system, ()))), "mixed": mixed}
    layers = {}
    for name, graph in graphs.items():
        onnx.save(graph, tmp_path / f"{name}.onnx")
        layers[name] = compile_graph(tmp_path / f"{name}.onnx").layers
    meant = int8_convolutions(mixed)
    # Untrained, the maps of light trunks are too small for scales in float16: all their convolutions are float16 then.
    assert bool(meant) == (system not in ("dskd", "mthf"))
    assert set(inputs_of_convolutions(layers["mixed"], set(meant)).values()) <= {"Int8"}
    assert convolution_inputs(layers["mixed"]).get("Int8", 0) == len(meant)
    for name in ("fp16", "mixed"):
        assert convolution_inputs(layers[name]).get("Float", 0) <= 1
    assert bytes_moved(layers["mixed"]).get("Float", 0) <= 1.02 * bytes_moved(layers["fp16"])["Float"]


def test_a_rectangles_graph_compiles_in_float_and_in_int8(elpv_images, tmp_path):
    paths, size = tuple(elpv_images[:2]), (64, 128)
    model = graph_of("mhkd", paths, size, 1, (("teacher", "efficientnet_lite0"),))
    frames = read_frames(paths, Preprocessing(*size))
    lowered, _ = to_int8(model, frames, "min-max", None)
    noise = map_noise(run_graph(model, frames).maps, run_graph(lowered, frames).maps)
    assert 0 < noise < 0.5
    for graph in (model, to_int8_float16(lowered)):
        onnx.save(graph, tmp_path / "x.onnx")
        assert len(compile_graph(tmp_path / "x.onnx").blob) > 1000


def inputs_of_convolutions(layers, names):
    """The data type of the first input of each convolution, by its ONNX node, as the builder lists them."""
    return {
        node: layer.reads
        for layer in layers
        if layer.is_convolution and layer.reads is not None
        for node in layer.nodes
        if node in names
    }


def test_a_graph_it_cannot_take_is_refused(tmp_path):
    frames = onnx.helper.make_tensor_value_info("frames", onnx.TensorProto.UINT8, [1, 4, 4, 3])
    turned = onnx.helper.make_tensor_value_info("turned", onnx.TensorProto.UINT8, [1, 3, 4, 4])
    node = onnx.helper.make_node("Transpose", ["frames"], ["turned"], perm=[0, 3, 1, 2])
    graph = onnx.helper.make_graph([node], "g", [frames], [turned])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)]), tmp_path / "x.onnx")
    with pytest.raises(ArtifactError, match="UInt8"):
        compile_graph(tmp_path / "x.onnx")
