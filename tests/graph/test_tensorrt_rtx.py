"""Whether TensorRT for RTX parses and compiles every system's graph in every precision; its builder needs no GPU."""

import re

import onnx
import pytest

from edgekd.data.good_pictures import read_frames
from edgekd.models.registry import SYSTEMS
from edgekd.quantization.float16 import to_float16
from edgekd.quantization.lowering import to_int8

from .graphs import graph_of

trt = pytest.importorskip("tensorrt_rtx")

# The variants whose graphs are built for other tests too.
SWITCHES = {"dskd": (("backbone", "efficientnet_lite0"),), "hkt_plus": (("teacher", "efficientnet_lite0"),)}
CAPABILITIES = ("SM86", "SM89", "SM120")


class Listener(trt.ILogger):
    """Keeps what the builder says."""

    def __init__(self):
        trt.ILogger.__init__(self)
        self.errors = []
        self.layers = []  # What the builder says of each, one line.

    def log(self, severity, message):
        # Without a driver every build complains of CUDA; that is no fault of the graph.
        if severity <= trt.ILogger.Severity.ERROR and "catchCudaError" not in message:
            self.errors.append(message)
        if message.startswith("Layers:"):
            self.layers = message.splitlines()[1:]


def compile_graph(path, listener):
    """A serialised engine for compute capabilities 8.6, 8.9 and 12.0, or None."""
    builder = trt.Builder(listener)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, listener)
    if not parser.parse_from_file(str(path)):
        return None
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.num_compute_capabilities = len(CAPABILITIES)
    for index, name in enumerate(CAPABILITIES):
        config.set_compute_capability(getattr(trt.ComputeCapability, name), index)
    return builder.build_serialized_network(network, config)


@pytest.mark.parametrize("system", list(SYSTEMS))
def test_every_systems_graph_compiles(system, elpv_pictures, tmp_path):
    onnx.save(graph_of(system, tuple(elpv_pictures[:4]), 64, 4, SWITCHES.get(system, ())), tmp_path / "x.onnx")
    listener = Listener()
    engine = compile_graph(tmp_path / "x.onnx", listener)
    assert engine is not None, listener.errors
    assert engine.nbytes > 1000


@pytest.mark.parametrize("system", list(SYSTEMS))
def test_every_systems_graph_compiles_in_float16(system, elpv_pictures, tmp_path):
    model = graph_of(system, tuple(elpv_pictures[:4]), 64, 4, SWITCHES.get(system, ()))
    lowered = to_float16(model)
    onnx.save(lowered, tmp_path / "x.onnx")
    listener = Listener()
    assert compile_graph(tmp_path / "x.onnx", listener) is not None, listener.errors
    half = {tensor.name for tensor in lowered.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    meant = {node.name for node in lowered.graph.node if node.op_type == "Conv" and node.input[1] in half}
    inputs = inputs_of_convolutions(listener, meant)
    assert len(inputs) > len(meant) / 2  # Some are merged into other kernels, and not listed as convolutions.
    assert set(inputs.values()) == {"Half"}, inputs


@pytest.mark.parametrize("system", list(SYSTEMS))
def test_every_systems_graph_compiles_in_int8_and_its_convolutions_read_int8(system, elpv_pictures, tmp_path):
    paths = tuple(elpv_pictures[:4])
    model, about = to_int8(
        graph_of(system, paths, 64, 4, SWITCHES.get(system, ())), read_frames(paths, 64), "min-max", None
    )
    onnx.save(model, tmp_path / "x.onnx")
    listener = Listener()
    assert compile_graph(tmp_path / "x.onnx", listener) is not None, listener.errors
    dequantized = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    meant = {
        node.name: node.input[1]
        for node in model.graph.node
        if node.op_type == "Conv" and set(node.input[:2]) <= dequantized
    }
    inputs = inputs_of_convolutions(listener, set(meant))
    assert len(meant) >= len(about["quantization"]["layers_in_int8"])
    # Three numbers a pixel: that one goes into the kernel that quantizes for the next.
    assert all("renormalise" in weight for name, weight in meant.items() if name not in inputs)
    assert set(inputs.values()) == {"Int8"}, {name: kind for name, kind in inputs.items() if kind != "Int8"}


def inputs_of_convolutions(listener, names):
    """The data type of the first input of each convolution, by its ONNX node, as the builder lists them."""
    found = {}
    for line in listener.layers:
        kind = re.search(r"LayerType: (\w+)", line)
        if kind is None or kind[1] != "correlation":
            continue
        first = re.search(r"Inputs: \[ \{ .*?Datatype: (\w+)", line)
        for node in re.findall(r"\[ONNX Layer: ([^\]]+)\]", line):
            if node in names and first is not None:
                found[node] = first[1]
    return found


def test_a_graph_it_cannot_take_is_refused(tmp_path):
    frames = onnx.helper.make_tensor_value_info("frames", onnx.TensorProto.UINT8, [1, 4, 4, 3])
    turned = onnx.helper.make_tensor_value_info("turned", onnx.TensorProto.UINT8, [1, 3, 4, 4])
    node = onnx.helper.make_node("Transpose", ["frames"], ["turned"], perm=[0, 3, 1, 2])
    graph = onnx.helper.make_graph([node], "g", [frames], [turned])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)]), tmp_path / "x.onnx")
    listener = Listener()
    assert compile_graph(tmp_path / "x.onnx", listener) is None
    assert any("UInt8" in message for message in listener.errors)
