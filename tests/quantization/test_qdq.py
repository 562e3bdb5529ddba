import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgekd.artifact import sha256
from edgekd.engines import BACKENDS
from edgekd.quantization.drift import map_noise
from edgekd.quantization.lowering import to_int8
from edgekd.quantization.qdq import quantized_weight
from edgekd.quantization.running import run_graph
from edgekd.quantization.splitting import split_concatenated


@pytest.fixture(scope="module")
def int8_graph(float_graph, frames):
    model, about = to_int8(float_graph, frames, "min-max", None)
    return model, about["quantization"]


def constants(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_without_a_limit_no_verdicts_are_compared(int8_graph):
    assert int8_graph[1]["flips"] is None


def test_every_zero_point_is_zero_and_signed(int8_graph):
    model, _ = int8_graph
    held = constants(model)
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(pairs) > 14
    for node in pairs:
        assert held[node.input[2]].dtype == np.int8
        assert not held[node.input[2]].any()


def test_every_convolution_but_the_gates_reads_int8(int8_graph):
    model, about = int8_graph
    producers = {node.output[0]: node.op_type for node in model.graph.node}
    held = constants(model)
    for node in model.graph.node:
        if node.op_type == "Conv":
            read = [producers.get(name) == "DequantizeLinear" for name in node.input[:2]]
            name = node.input[1].removeprefix("network.").removesuffix("_dequantized").removesuffix(".weight")
            assert read == [name not in about["in_float_by_rule"]] * 2, name
            assert all(held[name].dtype == np.float32 for name in node.input[2:])
    assert len(about["layers_in_int8"]) == 8  # Seven; the last, over a concatenation, is two.


def test_nothing_stands_between_a_convolution_and_its_relu(float_graph, int8_graph):
    def readers_of_convolutions(model):
        outputs = {node.output[0] for node in model.graph.node if node.op_type == "Conv"}
        return sorted(node.op_type for node in model.graph.node if set(node.input) & outputs)

    assert readers_of_convolutions(int8_graph[0]) == readers_of_convolutions(split_concatenated(float_graph))


def test_frames_lose_nothing(int8_graph):
    model, about = int8_graph
    exact = [name for name, scale in about["scales"].items() if scale == 1.0]
    assert exact == [node.output[0] for node in model.graph.node if node.op_type == "Sub"][:1]


def test_a_weight_keeps_the_step_of_its_own_channel():
    weight = np.zeros((2, 1, 1, 2), np.float32)
    weight[0, 0, 0], weight[1, 0, 0] = [1.27, -0.01], [0.0127, 0.0064]
    steps, scale = quantized_weight(weight)
    assert scale == pytest.approx([0.01, 0.0001])
    assert steps.ravel().tolist() == [127, -1, 127, 64]


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
def test_two_neighbouring_products_fit_into_16_bits(channels):
    weight = np.random.default_rng(channels).standard_normal((6, channels, 3, 3)).astype(np.float32)
    weight[0] = 1.0  # All as large as can be.
    steps, scale = quantized_weight(weight)
    pairs = [steps[:, first : first + 2].astype(int) for first in range(0, channels, 2)]
    sums = np.array([[np.maximum(sign * pair, 0).sum(1).max() for sign in (1, -1)] for pair in pairs])
    assert 120 < sums.max() <= 128
    assert steps * scale[:, None, None, None] == pytest.approx(weight, abs=float(scale.max()) / 2 + 1e-6)


def test_a_channel_of_zeros_has_a_scale():
    steps, scale = quantized_weight(np.zeros((2, 3, 1, 1), np.float32))
    assert not steps.any()
    assert (scale > 0).all()


def test_the_weights_take_a_quarter_of_the_room(float_graph, int8_graph):
    assert int8_graph[0].ByteSize() < 0.3 * float_graph.ByteSize()


def test_both_engines_say_what_the_graph_says(int8_graph, float_graph, unseen, tmp_path):
    model, _ = int8_graph
    reference, simulated = run_graph(float_graph, unseen).maps, run_graph(model, unseen).maps
    assert 0.001 < map_noise(reference, simulated) < 0.2
    onnx.save(model, tmp_path / "x.onnx")
    manifest = {"inputs": {"frames": {"shape": [1, 64, 64, 3]}}, "sha256": sha256(tmp_path / "x.onnx")}
    for build in BACKENDS.values():
        with build(tmp_path / "x.onnx", manifest, 1) as engine:
            maps = np.concatenate([engine.infer(unseen[index : index + 1]).anomaly_maps for index in range(4)])
        assert map_noise(simulated, maps) < 0.02
