"""Bilinear resizes of single maps as products with constant matrices.

Resizing is linear and separable: R X C^T. OpenVINO's resize is made for many channels; a single map takes it several
times as long as two small products.
"""

from __future__ import annotations

import onnx
from onnx import helper, numpy_helper

from edgekd.models.maps import resize_matrix

BILINEAR = {"mode": b"linear", "coordinate_transformation_mode": b"half_pixel"}  # As torch exports it.


def resizes_as_products(model: onnx.ModelProto) -> None:
    """Gives a graph, in place, two products for each bilinear resize of maps that have one channel.

    Args:
        model: Float, with fixed heights and widths, not simplified yet: that takes away the sizes that nothing reads.
    """
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in [*graph.input, *graph.value_info, *graph.output]
    }
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        single = _is_bilinear(node) and shapes[node.input[0]][1] == 1
        nodes += _products(model.graph, node, shapes[node.input[0]], shapes[node.output[0]]) if single else [node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _is_bilinear(node: onnx.NodeProto) -> bool:
    given = {attribute.name: attribute.s for attribute in node.attribute}
    return node.op_type == "Resize" and BILINEAR.items() <= given.items()


def _products(
    graph: onnx.GraphProto, resize: onnx.NodeProto, inputs: list[int], outputs: list[int]
) -> list[onnx.NodeProto]:
    result = resize.output[0]
    rows, columns, between = (f"{result}_{part}" for part in ("rows", "columns", "across"))
    down, across = (resize_matrix(*sides, "bilinear").float() for sides in zip(inputs[2:], outputs[2:], strict=True))
    for name, matrix in ((rows, down), (columns, across.T)):
        graph.initializer.append(numpy_helper.from_array(matrix.contiguous().numpy(), name))
    return [
        helper.make_node("MatMul", [resize.input[0], columns], [between], name=f"{resize.name}_across"),
        helper.make_node("MatMul", [rows, between], [result], name=f"{resize.name}_down"),
    ]
