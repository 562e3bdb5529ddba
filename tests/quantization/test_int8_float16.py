import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.artifact import read_manifest, sha256
from edgekd.engines import BACKENDS, cpu_backends
from edgekd.errors import DriftError, EdgekdError
from edgekd.precisions import INT8_FP16
from edgekd.quantization import int8_float16
from edgekd.quantization.drift import map_noise
from edgekd.quantization.float16 import to_float16
from edgekd.quantization.int8_float16 import LARGEST, to_int8_float16, worth_int8
from edgekd.quantization.lowering import to_int8
from edgekd.quantization.running import open_session, run_graph, tensors_of


@pytest.fixture(scope="module")
def int8_graph(float_graph, frames):
    return to_int8(float_graph, frames, "min-max", None)[0]


@pytest.fixture(scope="module")
def mixed(int8_graph):
    return to_int8_float16(int8_graph)


def int8_convolutions(model):
    """Convolutions whose weight and input are dequantized, and the two nodes that do it."""
    makers = {node.output[0]: node for node in model.graph.node}
    for node in model.graph.node:
        if node.op_type == "Conv":
            read = [makers.get(name) for name in node.input[:2]]
            if all(maker is not None and maker.op_type == "DequantizeLinear" for maker in read):
                yield node, *read


def constants(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def weight_of(model, name):
    """The initializer with a name, to be changed in place."""
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def test_inputs_and_outputs_keep_their_types_and_the_graph_is_legal(mixed):
    onnx.checker.check_model(mixed, full_check=True)
    assert mixed.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    assert {value.type.tensor_type.elem_type for value in mixed.graph.output} == {TensorProto.FLOAT}


def test_every_int8_convolution_has_one_weight_scale_and_float16_outside(mixed):
    held = constants(mixed)
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in onnx.shape_inference.infer_shapes(mixed).graph.value_info
    }
    found = list(int8_convolutions(mixed))
    assert found
    for node, activation, weight in found:
        assert held[weight.input[0]].dtype == np.int8
        assert held[weight.input[1]].shape == ()
        assert {held[activation.input[1]].dtype, held[weight.input[1]].dtype} == {np.dtype(np.float16)}
        assert types[node.output[0]] == TensorProto.FLOAT16


def test_it_outputs_what_the_int8_graph_outputs(int8_graph, mixed, float_graph, unseen):
    reference, before, after = (run_graph(model, unseen).maps for model in (float_graph, int8_graph, mixed))
    assert map_noise(reference, after) < map_noise(reference, before) + 0.01


def test_every_engine_that_computes_it_agrees_with_the_graph(mixed, exported, unseen, tmp_path):
    path, manifest = tmp_path / "x.onnx", read_manifest(exported) | {"precision": INT8_FP16}
    onnx.save(mixed, path)
    manifest["sha256"] = sha256(path)
    expected = run_graph(mixed, unseen[:1]).maps
    backends = cpu_backends(manifest)
    assert "openvino" in backends
    for backend in backends:
        with BACKENDS[backend](path, manifest, 1) as engine:
            assert map_noise(expected, engine.infer(unseen[:1]).anomaly_maps) < 0.01


def test_float16_is_rounded_to_int8_and_not_truncated():
    scale, values = np.float16(0.25), np.array([0.2, -0.2, 0.3, -0.3], np.float16)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["frames"], ["half"], to=TensorProto.FLOAT16),
            helper.make_node("QuantizeLinear", ["half", "scale", "zero"], ["int8"]),
            helper.make_node("DequantizeLinear", ["int8", "scale", "zero"], ["back"]),
        ],
        "rounding",
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, (4,))],
        [helper.make_tensor_value_info("back", TensorProto.FLOAT16, (4,))],
        [numpy_helper.from_array(scale, "scale"), numpy_helper.from_array(np.int8(0), "zero")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    (found,) = open_session(model).run(["back"], {"frames": values.astype(np.float32)})
    assert found.tolist() == [0.25, -0.25, 0.25, -0.25]


def test_no_frame_can_take_a_convolution_beyond_float16(mixed):
    extreme = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (4, 64, 64, 3))
    names = [node.output[0] for node, *_ in int8_convolutions(mixed)]
    largest = max(float(np.abs(value).max()) for values in tensors_of(mixed, names, extreme) for value in values)
    assert 0 < largest <= LARGEST


def test_a_channel_without_weights_keeps_its_bias(float_graph, frames, unseen):
    dead = onnx.ModelProto()
    dead.CopyFrom(float_graph)
    node = max((n for n in dead.graph.node if n.op_type == "Conv" and len(n.input) == 3), key=work_of(dead))
    for name, values in ((node.input[1], 1e-12), (node.input[2], 3.0)):
        tensor = weight_of(dead, name)
        array = numpy_helper.to_array(tensor).copy()
        array[0] = values
        tensor.CopyFrom(numpy_helper.from_array(array, name))
    int8 = to_int8(dead, frames, "min-max", None)[0]
    before, after = run_graph(int8, unseen).maps, run_graph(to_int8_float16(int8), unseen).maps
    assert map_noise(before, after) < 0.05


def work_of(model):
    shapes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    return lambda node: np.prod(shapes[node.input[1]])


def convolution(name, outputs, inputs, side, **attributes):
    weight = numpy_helper.from_array(np.zeros((outputs, inputs, side, side), np.float32), f"{name}_weight")
    return onnx.helper.make_node("Conv", ["x", weight.name], [name], **attributes), weight


def test_int8_is_for_convolutions_that_compute_much_with_each_number():
    made = [
        convolution("large", 64, 64, 3),
        convolution("narrow", 64, 64, 1),
        convolution("strided", 64, 64, 3, strides=[2, 2]),
        convolution("depthwise", 64, 1, 5, group=64),
        convolution("wide", 512, 64, 1),
    ]
    graph = onnx.helper.make_graph([node for node, _ in made], "g", [], [], [weight for _, weight in made])
    assert worth_int8(onnx.helper.make_model(graph)) == {"large", "wide"}


def test_what_int8_does_not_pay_for_is_left_in_float_by_rule(float_graph, frames, monkeypatch):
    monkeypatch.setattr(int8_float16, "LEAST_WORK", 3000)
    model, about = to_int8(float_graph, frames, "min-max", None, float16_around=True)
    quantization = about["quantization"]
    assert about["precision"] == "int8_fp16"
    assert any("too little" in why for why in quantization["in_float_by_rule"].values())
    assert len(list(int8_convolutions(model))) == len(quantization["layers_in_int8"]) > 0
    assert not quantization["in_float_by_rule"].keys() & set(quantization["layers_in_int8"])


def test_the_limit_of_drift_holds_for_what_ships(float_graph, frames):
    model, about = to_int8(float_graph, frames, "min-max", 0.05, float16_around=True)
    noise = map_noise(run_graph(float_graph, frames).maps, run_graph(model, frames).maps)
    assert noise == pytest.approx(about["quantization"]["noise"], rel=1e-3)
    assert noise <= 0.05


@pytest.mark.slow
def test_a_limit_that_float16_alone_exceeds_is_refused(float_graph, frames):
    alone = map_noise(run_graph(float_graph, frames).maps, run_graph(to_float16(float_graph), frames).maps)
    with pytest.raises(DriftError, match="float16 alone"):
        to_int8(float_graph, frames, "min-max", alone / 2, float16_around=True)


def test_a_graph_without_int8_or_with_float16_is_refused(float_graph, mixed):
    with pytest.raises(EdgekdError, match="no INT8 convolution"):
        to_int8_float16(float_graph)
    with pytest.raises(EdgekdError, match="has float16 already"):
        to_int8_float16(mixed)
