"""Whether TensorRT for RTX parses and compiles every system's graph; its builder needs no GPU."""

import onnx
import pytest

from edgekd.models.registry import SYSTEMS

from .graphs import graph_of

trt = pytest.importorskip("tensorrt_rtx")

# The variants whose graphs are built for other tests too.
SWITCHES = {"dskd": (("backbone", "efficientnet_lite0"),), "hkt_plus": (("teacher", "efficientnet_lite0"),)}


class Listener(trt.ILogger):
    """Keeps what the builder says."""

    def __init__(self):
        trt.ILogger.__init__(self)
        self.errors = []

    def log(self, severity, message):
        # Without a driver every build complains of CUDA; that is no fault of the graph.
        if severity <= trt.ILogger.Severity.ERROR and "catchCudaError" not in message:
            self.errors.append(message)


def compile_graph(path, listener):
    """A serialised engine for compute capability 8.6, or None."""
    builder = trt.Builder(listener)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, listener)
    if not parser.parse_from_file(str(path)):
        return None
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    return builder.build_serialized_network(network, config)


@pytest.mark.parametrize("system", list(SYSTEMS))
def test_every_systems_graph_compiles(system, elpv_pictures, tmp_path):
    onnx.save(graph_of(system, tuple(elpv_pictures[:4]), 64, 4, SWITCHES.get(system, ())), tmp_path / "x.onnx")
    listener = Listener()
    engine = compile_graph(tmp_path / "x.onnx", listener)
    assert engine is not None, listener.errors
    assert engine.nbytes > 1000


def test_a_graph_it_cannot_take_is_refused(tmp_path):
    frames = onnx.helper.make_tensor_value_info("frames", onnx.TensorProto.UINT8, [1, 4, 4, 3])
    turned = onnx.helper.make_tensor_value_info("turned", onnx.TensorProto.UINT8, [1, 3, 4, 4])
    node = onnx.helper.make_node("Transpose", ["frames"], ["turned"], perm=[0, 3, 1, 2])
    graph = onnx.helper.make_graph([node], "g", [frames], [turned])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)]), tmp_path / "x.onnx")
    listener = Listener()
    assert compile_graph(tmp_path / "x.onnx", listener) is None
    assert any("UInt8" in message for message in listener.errors)
