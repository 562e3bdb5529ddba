import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.quantization.drift import map_noise
from edgekd.quantization.float16 import to_float16
from edgekd.quantization.running import run_graph


@pytest.fixture(scope="module")
def halved(float_graph):
    return to_float16(float_graph)


def types_of(model):
    return {
        value.name: value.type.tensor_type.elem_type
        for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }


def test_the_outputs_stay_float32(halved, frames):
    outputs = run_graph(halved, frames)
    assert outputs.scores.dtype == outputs.maps.dtype == np.float32
    assert {value.type.tensor_type.elem_type for value in halved.graph.output} == {TensorProto.FLOAT}


def test_the_graph_is_legal_and_every_convolution_in_it_is_float16(halved):
    onnx.checker.check_model(halved, full_check=True)
    types = types_of(halved)
    held = {tensor.name: tensor.data_type for tensor in halved.graph.initializer} | types
    for node in halved.graph.node:
        if node.op_type == "Conv":
            assert {held[name] for name in [*node.input, *node.output]} == {TensorProto.FLOAT16}, node.name


def test_the_difference_and_its_square_are_float32(halved):
    types = types_of(halved)
    square = next(node for node in halved.graph.node if node.op_type == "Mul" and node.input[0] == node.input[1])
    assert types[square.input[0]] == types[square.output[0]] == TensorProto.FLOAT


def test_the_map_is_nearly_the_same(float_graph, halved, unseen):
    noise = map_noise(run_graph(float_graph, unseen).maps, run_graph(halved, unseen).maps)
    assert 0 < noise < 0.01


def test_the_weights_take_half_the_room(float_graph, halved):
    assert halved.ByteSize() < 0.55 * float_graph.ByteSize()


def graph_of_a_norm(convolution_after):
    """Frames, a convolution to large numbers, their norm; with another convolution behind it or not."""
    weight = np.full((4, 3, 1, 1), 3.0, np.float32)
    nodes = [
        helper.make_node("Cast", ["frames"], ["single"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["single"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["turned", "c"], ["centred"]),
        helper.make_node("Conv", ["centred", "w.weight"], ["large"]),
        helper.make_node("Mul", ["large", "large"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "one"], ["sum"]),
        helper.make_node("Sqrt", ["sum"], ["norm"]),
    ]
    if convolution_after:
        nodes += [helper.make_node("Conv", ["norm", "v.weight"], ["norm2"])]
    nodes += [helper.make_node("Squeeze", [nodes[-1].output[0], "one"], ["anomaly_map"])]
    constants = [
        numpy_helper.from_array(np.float32(128), "c"),
        numpy_helper.from_array(weight, "w.weight"),
        numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "v.weight"),
        numpy_helper.from_array(np.asarray([1]), "one"),
    ]
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, [1, 4, 4, 3])
    answer = helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, [1, 4, 4])
    graph = helper.make_graph(nodes, "g", [frames], [answer], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize("convolution_after", [False, True])
def test_a_norm_of_large_features_does_not_overflow(convolution_after):
    import onnxruntime

    model = graph_of_a_norm(convolution_after)
    frames = np.full((1, 4, 4, 3), 255, np.uint8)
    before, after = (
        onnxruntime.InferenceSession(one.SerializeToString()).run(None, {"frames": frames})[0]
        for one in (model, to_float16(model))
    )
    assert before.max() ** 2 > 65504 * 10  # What float16 cannot hold.
    assert np.abs(after - before).max() < 2e-3 * before.max()
