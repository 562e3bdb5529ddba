"""Multiply-accumulates of a graph, counted from its shapes."""

from __future__ import annotations

import onnx

from edgekd.macs import convolution_macs, product_macs, transposed_convolution_macs


def count_macs(model: onnx.ModelProto) -> int:
    """MACs of a graph's convolutions and matrix products for one frame.

    Args:
        model: A graph whose shapes can be inferred; a dynamic batch counts as one frame.
    """
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        shapes[value.name] = [entry.dim_value or 1 for entry in value.type.tensor_type.shape.dim]
    batch = shapes[graph.input[0].name][0]
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            total += convolution_macs(shapes[node.output[0]], shapes[node.input[1]])
        elif node.op_type == "ConvTranspose":
            total += transposed_convolution_macs(shapes[node.input[0]], shapes[node.input[1]])
        elif node.op_type in ("MatMul", "Gemm"):
            total += product_macs(shapes[node.output[0]], shapes[node.input[0]])
    return int(total // batch)
