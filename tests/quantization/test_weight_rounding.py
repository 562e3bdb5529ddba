import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgekd.quantization import weight_rounding
from edgekd.quantization.editing import copy_of
from edgekd.quantization.histogram import observe
from edgekd.quantization.layers import find_layers
from edgekd.quantization.qdq import LEVELS, PAIR_LEVELS, quantized_weight
from edgekd.quantization.running import tensors_of
from edgekd.quantization.scales import scales_of
from edgekd.quantization.splitting import split_concatenated
from edgekd.quantization.weight_rounding import rounded_weights


def convolution_of(weight, frames, **attributes):
    """A graph of one convolution over frames [N, H, W, 3], its layer, and a scale of 1 for what it reads."""
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "weight"], ["out"], name="convolution", **attributes),
    ]
    shape = [1, *frames.shape[1:]]
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model), find_layers(model).quantizable, {"planes": 1.0}


@pytest.fixture
def some_frames():
    return np.random.default_rng(0).integers(0, 100, (3, 8, 8, 3)).astype(np.uint8)


def test_inputs_that_are_always_alike_share_what_rounding_takes(some_frames):
    some_frames[..., 1] = some_frames[..., 0]
    weight = np.array([0.4, 0.4, 127.0], np.float32).reshape(1, 3, 1, 1)
    weight = np.concatenate([weight, -weight])
    model, layers, scales = convolution_of(weight, some_frames)
    steps = rounded_weights(model, layers, scales, some_frames)["weight"]
    assert steps[:, 2].ravel().tolist() == [127, -127]
    assert steps[:, :2].sum(1).ravel().tolist() == [1, -1]  # 0.8; to the nearest, each would be 0.


def test_inputs_that_have_nothing_to_do_with_each_other_are_rounded_to_the_nearest():
    frames = np.zeros((3, 9, 9, 3), np.uint8)
    for channel in range(3):  # Each pixel is of one colour.
        frames[:, :, channel::3, channel] = 100
    weight = np.array([[0.4, 0.6, 127.0], [127.0, -1.4, 1.6]], np.float32).reshape(2, 3, 1, 1)
    model, layers, scales = convolution_of(weight, frames)
    assert rounded_weights(model, layers, scales, frames)["weight"].ravel().tolist() == [0, 1, 127, 127, -1, 2]


@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ((4, 3, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ((3, 1, 3, 3), {"group": 3, "pads": [0, 1, 2, 1]}),
        ((2, 3, 3, 3), {"dilations": [2, 2], "pads": [1, 1, 1, 1]}),
        ((5, 3, 2, 4), {}),
    ],
)
def test_what_a_convolution_reads_gives_what_it_says(shape, attributes, some_frames):
    weight = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    node = helper.make_node("Conv", ["planes", "weight"], ["out"], **attributes)
    window = weight_rounding._window(node, numpy_helper.from_array(weight))
    planes = some_frames.astype(np.float32).transpose(0, 3, 1, 2)
    patches = weight_rounding._patches(planes, window, 1, np.random.default_rng(0))  # So few positions are all.
    found = patches @ weight.reshape(window.groups, -1, patches.shape[2]).swapaxes(1, 2)
    top, left, bottom, right = window.pads
    padded = torch.nn.functional.pad(torch.from_numpy(planes), (left, right, top, bottom))
    given = {"stride": window.strides, "dilation": window.dilations, "groups": window.groups}
    expected = torch.nn.functional.conv2d(padded, torch.from_numpy(weight), **given).numpy()
    by_channel = found.transpose(0, 2, 1).reshape(shape[0], -1)
    assert np.sort(by_channel, axis=1) == pytest.approx(
        np.sort(expected.transpose(1, 0, 2, 3).reshape(shape[0], -1), axis=1), abs=1e-3
    )


@pytest.mark.slow
def test_layers_of_a_trained_network_say_more_nearly_what_they_said(float_graph, frames, unseen):
    split = split_concatenated(float_graph)
    layers = [
        layer for layer in find_layers(split).quantizable if layer.name in ("teacher.3", "student.convolutions.2")
    ]
    scales = scales_of(observe(split, [layer.activation for layer in layers], frames), "min-max")
    weights = rounded_weights(split, layers, scales, frames)

    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in split.graph.initializer}

    def errors(steps_of):
        """Of the layers' outputs, by the weights alone."""
        model = copy_of(split)
        for tensor in model.graph.initializer:
            if tensor.name in weights:
                scale = quantized_weight(held[tensor.name])[1].reshape(-1, 1, 1, 1)
                tensor.CopyFrom(numpy_helper.from_array(steps_of(tensor.name) * scale, tensor.name))
        found = []
        for layer in layers:
            pairs = zip(tensors_of(split, [layer.node], unseen), tensors_of(model, [layer.node], unseen), strict=True)
            found.append(np.mean([np.square(exact - rounded).mean() for (exact,), (rounded,) in pairs]))
        return found

    nearest, chosen = errors(lambda name: quantized_weight(held[name])[0]), errors(lambda name: weights[name])
    assert all(after < 0.5 * before for before, after in zip(nearest, chosen, strict=True)), (nearest, chosen)


def test_no_weight_goes_beyond_its_neighbouring_steps_by_much_nor_beyond_the_ends(float_graph, frames):
    split = split_concatenated(float_graph)
    layers = find_layers(split).quantizable
    scales = scales_of(observe(split, [layer.activation for layer in layers], frames), "min-max")
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in split.graph.initializer}
    for name, steps in rounded_weights(split, layers, scales, frames).items():
        nearest, _ = quantized_weight(held[name])
        assert steps.dtype == np.int8
        assert np.abs(steps.astype(int)).max() <= LEVELS
        evens, odds = (steps[:, first::2].astype(int) for first in (0, 1))
        together = [evens[:, : odds.shape[1]], odds]
        assert sum(np.maximum(each, 0) for each in together).max(initial=0) <= PAIR_LEVELS
        assert sum(np.maximum(-each, 0) for each in together).max(initial=0) <= PAIR_LEVELS
        assert np.abs(steps.astype(int) - nearest).mean() < 2, name


def test_layers_of_more_inputs_than_pay_are_left_to_the_nearest(some_frames, monkeypatch):
    model, layers, scales = convolution_of(np.ones((2, 3, 3, 3), np.float32), some_frames)
    assert set(rounded_weights(model, layers, scales, some_frames)) == {"weight"}
    monkeypatch.setattr(weight_rounding, "WIDEST", 26)
    assert rounded_weights(model, layers, scales, some_frames) == {}
