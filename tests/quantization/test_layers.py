import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.errors import EdgekdError
from edgekd.graph.macs import count_macs
from edgekd.quantization.float16 import to_float16
from edgekd.quantization.layers import centred_frames, exact_scales, find_layers
from edgekd.quantization.qdq import Scheme, quantize
from edgekd.quantization.splitting import split_concatenated


def test_layers_have_the_names_that_they_have_in_torch(float_graph):
    names = [layer.name for layer in find_layers(float_graph).quantizable]
    assert "student.convolutions.0" in names
    assert "teacher.3" in names
    assert len(names) == 7


def test_the_gates_of_attention_are_no_layers(float_graph):
    layers = find_layers(float_graph)
    assert sorted(layers.in_float) == sorted(
        f"student.cbams.{width}.{part}" for width in (128, 256) for part in ("excite", "spatial", "squeeze")
    )
    assert not {layer.name for layer in layers.quantizable} & set(layers.in_float)


def test_maps_that_attention_reads_are_known_by_their_layer(float_graph):
    layers = find_layers(float_graph)
    students = [layer.node for layer in layers.quantizable if layer.name.startswith("student.convolutions")]
    assert sorted(layers.attended) == sorted(students)


def test_centred_frames_are_what_the_first_layers_read(float_graph):
    first = {layer.activation for layer in find_layers(float_graph).quantizable if layer.name.endswith("s.0")}
    assert first == {centred_frames(float_graph)}


def test_a_graph_that_is_quantized_already_is_refused(float_graph):
    split = split_concatenated(float_graph)
    layers = find_layers(split).quantizable
    once = quantize(split, Scheme({layer.activation: 0.1 for layer in layers}), layers)
    for again in (find_layers, to_float16, split_concatenated):
        with pytest.raises(EdgekdError, match="quantized already"):
            again(once)


def test_a_graph_that_is_float16_already_is_refused(float_graph):
    for again in (find_layers, split_concatenated):
        with pytest.raises(EdgekdError, match="float16 already"):
            again(to_float16(float_graph))


def test_the_work_of_its_layers_is_the_graphs_but_for_gates(float_graph):
    layers = find_layers(float_graph)
    assert 0.99 * count_macs(float_graph) < sum(layer.macs for layer in layers.quantizable) <= count_macs(float_graph)


def renormalising(weight, bias):
    """A graph of frames less 128 and a 1 x 1 convolution of them."""
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["planes", "centre"], ["centred"]),
        helper.make_node("Conv", ["centred", "weight", "bias"], ["images"]),
    ]
    held = {"centre": np.float32(128), "weight": np.reshape(weight, (3, 3, 1, 1)), "bias": np.array(bias)}
    graph = helper.make_graph(
        nodes,
        "images",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, [1, 4, 4, 3])],
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 4, 4])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in held.items()],
    )
    return helper.make_model(graph)


@pytest.mark.parametrize(
    ("mode", "kept"), [("reflect", {"centred": 1.0, "around": 1.0}), ("constant", {"centred": 1.0})]
)
def test_frames_that_are_reflected_beyond_their_edge_keep_their_steps(mode, kept):
    model = renormalising(np.diag([1 / 58.4, 1 / 57.1, 1 / 57.4]), [0.0] * 3)
    pad = helper.make_node("Pad", ["centred", "pads"], ["around"], mode=mode)
    model.graph.node.insert(3, pad)
    model.graph.initializer.append(numpy_helper.from_array(np.array([0, 0, 2, 2] * 2, np.int64), "pads"))
    assert exact_scales(model) == kept


def test_images_that_are_bytes_in_another_unit_keep_their_steps():
    to_rgb = np.eye(3)[::-1]
    alike = exact_scales(renormalising(to_rgb / 128, [1 / 128] * 3))  # (byte - 127) / 128
    assert alike == pytest.approx({"centred": 1.0, "images": 1 / 128})


@pytest.mark.parametrize(
    ("weight", "bias"),
    [
        (np.diag([1 / 58.4, 1 / 57.1, 1 / 57.4]), [0.0, 0.0, 0.0]),  # ImageNet's deviations differ by channel.
        (np.eye(3) / 128, [0.5 / 128] * 3),  # Grey between two steps.
        (np.full((3, 3), 1 / 128), [0.0] * 3),  # Sums of bytes.
    ],
)
def test_images_that_steps_of_bytes_do_not_hold_are_left_to_calibration(weight, bias):
    assert exact_scales(renormalising(weight, bias)) == {"centred": 1.0}


def test_a_network_without_such_images_has_its_frames_alone(float_graph):
    assert exact_scales(float_graph) == {centred_frames(float_graph): 1.0}
