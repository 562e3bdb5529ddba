"""Graphs as OpenVINO compiles them for the CPU."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.engines.openvino import cpu_options
from edgekd.engines.openvino_graphs import WIDEST_PADDED, read_for_cpu

openvino = pytest.importorskip("openvino")

WIDE = WIDEST_PADDED + 1  # Columns of the output.
KERNEL = 4


def quantized_convolution(width: int, padding: int = 3, dtype: type = np.int8, readers: int = 1) -> bytes:
    """A convolution of a quantized map whose output has so many columns; further readers read that map too."""
    constants = {
        "weights": np.random.default_rng(0).integers(-127, 128, (8, 4, KERNEL, KERNEL)).astype(np.int8),
        "weight_scale": np.float32(0.01),
        "weight_zero": np.int8(0),
        "scale": np.float32(0.02),
        "zero": dtype(0),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["quantized"]),
        helper.make_node("DequantizeLinear", ["quantized", "scale", "zero"], ["map"]),
        helper.make_node("DequantizeLinear", ["weights", "weight_scale", "weight_zero"], ["w"]),
        *(
            helper.make_node("Conv", ["map", "w"], [f"y{reader}"], name=f"y{reader}", pads=[padding] * 4)
            for reader in range(readers)
        ),
    ]
    columns = width + KERNEL - 1 - 2 * padding
    outputs = [
        helper.make_tensor_value_info(f"y{reader}", TensorProto.FLOAT, [1, 8, None, width]) for reader in range(readers)
    ]
    graph = helper.make_graph(
        nodes,
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 9, columns])],
        outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def paddings(model) -> list[list[int]]:
    """Where the model's maps are padded: of Pad layers, then of convolutions."""
    nodes = model.get_ordered_ops()
    return [
        *([*node.input_value(1).get_node().get_data()] for node in nodes if node.get_type_name() == "Pad"),
        *(list(node.get_attributes()["pads_begin"]) for node in nodes if node.get_type_name() == "Convolution"),
    ]


def test_a_wide_map_of_signed_bytes_is_padded_before_it_is_quantized():
    core, graph = openvino.Core(), quantized_convolution(WIDE)
    model = read_for_cpu(core, graph)
    assert paddings(model) == [[0, 0, 3, 3], [0, 0]]
    image = np.random.default_rng(1).normal(0, 1, list(model.input(0).shape)).astype(np.float32)
    as_it_is, padded = (
        core.compile_model(each, "CPU", cpu_options(1))([image])[0] for each in (core.read_model(graph, b""), model)
    )
    np.testing.assert_array_equal(padded, as_it_is)
    assert as_it_is.any()


@pytest.mark.parametrize(
    "fast",
    [
        {"width": WIDEST_PADDED},
        {"width": WIDE, "padding": 1},
        {"width": WIDE, "dtype": np.uint8},
        {"width": WIDE, "readers": 2},  # The other one may want the map as it is.
    ],
)
def test_what_is_fast_as_it_is_stays_so(fast):
    core, graph = openvino.Core(), quantized_convolution(**fast)
    assert paddings(read_for_cpu(core, graph)) == paddings(core.read_model(graph, b""))
