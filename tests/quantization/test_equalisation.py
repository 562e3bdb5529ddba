import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.quantization.equalisation import MOST, ROOM, equalise_channels
from edgekd.quantization.histogram import observe
from edgekd.quantization.layers import find_layers
from edgekd.quantization.qdq import Scheme, quantize
from edgekd.quantization.running import tensors_of
from edgekd.quantization.scales import scales_of

LOUDNESS = np.array([100, 40, 10, 1, 0], np.float32)  # Of the channels, over the brightest pixel.


def two_convolutions(groups=1):
    """Frames, a 1 x 1 convolution that makes channels of given loudness, a ReLU, and a convolution that reads them."""
    count = len(LOUDNESS)
    weights = {
        "first.weight": (LOUDNESS.reshape(-1, 1, 1, 1) / 255 / 3 * np.ones((1, 3, 1, 1))).astype(np.float32),
        "second.weight": np.random.default_rng(0).standard_normal((count, count // groups, 3, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "first.weight"], ["convolved"]),
        helper.make_node("Relu", ["convolved"], ["channels"]),
        helper.make_node("Conv", ["channels", "second.weight"], ["out"], group=groups),
    ]
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, [1, 8, 8, 3])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    )


@pytest.fixture
def bright():
    frames = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    frames[0, 0, 0] = 255
    return frames


def outputs(model, frames):
    return np.concatenate([out for (out,) in tensors_of(model, ["out"], frames)])


@pytest.mark.parametrize("groups", [1, len(LOUDNESS)])
def test_quiet_channels_become_louder_and_nothing_changes(groups, bright):
    model = two_convolutions(groups)
    equalised = equalise_channels(model, find_layers(model).quantizable, {"planes"}, bright)
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in equalised.graph.initializer}
    # 100 / 40 is one doubling, which is the room; 100 / 10 three, 100 / 1 six and 100 / 0 as many as may be.
    assert held["channels_factors"].ravel().tolist() == [1, 1, 4, 8, 8]
    assert (ROOM, MOST) == (1, 3)
    assert outputs(equalised, bright) == pytest.approx(outputs(model, bright), rel=1e-6)
    assert not np.allclose(held["second.weight"], numpy_helper.to_array(model.graph.initializer[1]))


def test_channels_that_are_alike_stay(bright):
    model = two_convolutions()
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((5, 3, 1, 1), np.float32), "first.weight"))
    equalised = equalise_channels(model, find_layers(model).quantizable, {"planes"}, bright)
    assert [node.op_type for node in equalised.graph.node] == [node.op_type for node in model.graph.node]


def test_a_weight_that_several_layers_share_stays(bright):
    model = two_convolutions()
    again = helper.make_node("Conv", ["channels", "second.weight"], ["again"])
    model.graph.node.append(again)
    model.graph.output.append(helper.make_tensor_value_info("again", TensorProto.FLOAT, None))
    model = onnx.shape_inference.infer_shapes(model)
    equalised = equalise_channels(model, find_layers(model).quantizable, {"planes"}, bright)
    assert "Mul" not in [node.op_type for node in equalised.graph.node]


def test_what_a_layer_says_of_quiet_channels_is_rounded_less(bright):
    model = two_convolutions()
    exact = outputs(model, bright)

    def error(graph):
        layers = [layer for layer in find_layers(graph).quantizable if layer.name == "second"]
        scales = scales_of(observe(graph, [layer.activation for layer in layers], bright), "min-max")
        return np.square(outputs(quantize(graph, Scheme(scales), layers), bright) - exact).mean()

    equalised = equalise_channels(model, find_layers(model).quantizable, {"planes"}, bright)
    assert error(equalised) < 0.7 * error(model)  # Three of five channels have next to no error left.
