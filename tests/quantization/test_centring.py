import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.quantization.centring import centre_positive
from edgekd.quantization.histogram import observe
from edgekd.quantization.layers import find_layers
from edgekd.quantization.qdq import Scheme, quantize
from edgekd.quantization.running import tensors_of
from edgekd.quantization.scales import scales_of


def pooled(between="AveragePool", pads=(0, 0, 0, 0), activation="Relu", bias=True):
    """Frames, a convolution with a ReLU, something between, and a convolution that reads it."""
    rng = np.random.default_rng(0)
    held = {
        "first.weight": (rng.standard_normal((4, 3, 3, 3)) / 255).astype(np.float32),
        "second.weight": rng.standard_normal((5, 4, 3, 3)).astype(np.float32),
        "second.bias": rng.standard_normal(5).astype(np.float32),
    }
    window = {"kernel_shape": [2, 2], "strides": [2, 2]} if between == "AveragePool" else {}
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "first.weight"], ["convolved"]),
        helper.make_node(activation, ["convolved"], ["active"]),
        helper.make_node(between, ["active"], ["map"], **window),
        helper.make_node("Conv", ["map", "second.weight", *["second.bias"] * bias], ["out"], pads=pads),
    ]
    graph = helper.make_graph(
        nodes,
        "pooled",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, [1, 16, 16, 3])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    return onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    )


def bounded(**switches):
    """The same, but that a clip between 0 and 0.7 is all that stands between the two convolutions."""
    model = pooled(between="Identity", activation="Identity", **switches)
    convolution, reader = (node for node in model.graph.node if node.op_type == "Conv")
    clip = helper.make_node("Clip", [convolution.output[0], "least", "most"], ["map"], name="clip")
    nodes = [*list(model.graph.node)[:3], clip, reader]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for name, bound in (("least", 0), ("most", 0.7)):
        model.graph.initializer.append(numpy_helper.from_array(np.float32(bound), name))
    return model


@pytest.fixture
def frames():
    return np.random.default_rng(1).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)


def tensor(model, name, frames):
    return np.concatenate([value for (value,) in tensors_of(model, [name], frames)])


def centred(model, frames):
    return centre_positive(model, find_layers(model).quantizable, {"planes"}, frames)


@pytest.mark.parametrize("bias", [True, False])
def test_half_the_range_is_taken_off_and_nothing_changes(bias, frames):
    model = pooled(bias=bias)
    changed = centred(model, frames)
    map_ = tensor(changed, "map_centred", frames)
    assert map_.min() == pytest.approx(-map_.max())
    assert tensor(changed, "out", frames) == pytest.approx(tensor(model, "out", frames), abs=1e-5)


def test_a_clips_bounds_are_shifted_so_that_nothing_is_added_to_the_graph(frames):
    model = bounded()
    changed = centred(model, frames)
    assert [node.op_type for node in changed.graph.node] == [node.op_type for node in model.graph.node]
    before, after = tensor(model, "map", frames), tensor(changed, "map", frames)
    assert before.max() == pytest.approx(0.7)
    assert after == pytest.approx(before - np.float32(0.35), abs=1e-5)
    assert tensor(changed, "out", frames) == pytest.approx(tensor(model, "out", frames), abs=1e-5)


@pytest.mark.parametrize("reader", ["a node", "the caller"])
@pytest.mark.parametrize("read", ["map", "convolved"])
def test_a_clip_that_something_else_reads_keeps_its_bounds(read, reader, frames):
    model = bounded()
    if reader == "a node":
        model.graph.node.append(helper.make_node("ReduceMean", [read], ["mean"]))
    name = "mean" if reader == "a node" else read
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    changed = centred(onnx.shape_inference.infer_shapes(model), frames)
    assert tensor(changed, "map", frames) == pytest.approx(tensor(model, "map", frames))


@pytest.mark.parametrize(
    "model",
    [
        pooled(pads=(1, 1, 1, 1)),  # Zeros around the map would no longer be zeros.
        pooled(between="Neg"),  # Never positive.
        pooled(between="Relu"),  # Would come between a convolution and its rounding.
        bounded(pads=(1, 1, 1, 1)),
        pooled(activation="Identity"),  # Of either sign.
    ],
)
def test_other_maps_stay(model, frames):
    changed = centred(model, frames).graph
    assert list(changed.node) == list(model.graph.node)
    assert list(changed.initializer) == list(model.graph.initializer)


def test_a_map_that_attention_reads_too_stays_for_it(frames):
    model = pooled()
    model.graph.node.append(helper.make_node("ReduceMean", ["map"], ["mean"]))
    model.graph.output.append(helper.make_tensor_value_info("mean", TensorProto.FLOAT, None))
    changed = centred(onnx.shape_inference.infer_shapes(model), frames)
    assert [node.input[0] for node in changed.graph.node if node.op_type == "ReduceMean"] == ["map"]


def test_what_a_layer_says_is_rounded_less(frames):
    model = pooled()
    exact = tensor(model, "out", frames)

    def error(graph):
        layers = [layer for layer in find_layers(graph).quantizable if layer.name == "second"]
        scales = scales_of(observe(graph, [layer.activation for layer in layers], frames), "min-max")
        return np.square(tensor(quantize(graph, Scheme(scales), layers), "out", frames) - exact).mean()

    assert error(centred(model, frames)) < 0.7 * error(model)  # A quarter, but for the weights' own rounding.
