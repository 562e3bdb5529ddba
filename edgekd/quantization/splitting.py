"""A convolution over a concatenation as the sum of convolutions over its parts, so that each part has its own scale.

Exact in float. In INT8 it keeps small features small steps beside large ones; and OpenVINO 2026.4 computes a signed
INT8 convolution over a concatenation wrongly (by as much as the result itself), which this leaves no place for.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgekd.errors import EdgekdError
from edgekd.quantization.editing import attributes_of, copy_of, replace_nodes
from edgekd.quantization.layers import of_one_channel, require_float


def split_concatenated(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph in which no ungrouped convolution to several channels reads a concatenation of channels.

    Args:
        model: Float; not changed.

    Raises:
        EdgekdError: The graph is quantized or float16 already, or the widths of its parts are not known.
    """
    require_float(model)
    split, changed = copy_of(model), True
    while changed:  # A part may be a concatenation itself.
        changed = _split_one_pass(split)
    return split


def _split_one_pass(model: onnx.ModelProto) -> bool:
    """Splits every such convolution once; whether there was one."""
    graph = model.graph
    producers = {name: node for node in graph.node for name in node.output}
    values = [*graph.input, *onnx.shape_inference.infer_shapes(model, data_prop=True).graph.value_info]
    widths = {value.name: value.type.tensor_type.shape.dim[1].dim_value for value in values if _is_map(value)}
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    gates = of_one_channel(graph)  # They stay in float.
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        source = producers.get(node.input[0])
        if (
            node.op_type == "Conv"
            and source is not None
            and _concatenates_channels(source)
            and attributes_of(node).get("group", 1) == 1
            and node.output[0] not in gates
        ):
            weight = numpy_helper.to_array(tensors[node.input[1]])
            parts = list(source.input)
            nodes += _sum_of_parts(graph, node, parts, _known_widths(parts, widths, weight.shape[1]), weight)
        else:
            nodes.append(node)
    changed = len(nodes) > len(graph.node)
    replace_nodes(graph, nodes)
    return changed


def _known_widths(parts: list[str], widths: dict[str, int], total: int) -> list[int]:
    """Channels of each part. Of one that shape inference does not know, as with a free batch, it is what is left."""
    known = [widths.get(part, 0) for part in parts]
    if known.count(0) == 1:
        known[known.index(0)] = total - sum(known)
    if min(known) < 1 or sum(known) != total:
        raise EdgekdError(f"the widths of {', '.join(parts)} are not known: export with --batch 1")
    return known


def _sum_of_parts(
    graph: onnx.GraphProto, node: onnx.NodeProto, parts: list[str], widths: list[int], weight: NDArray[np.float32]
) -> list[onnx.NodeProto]:
    nodes, sums, start = [], "", 0
    for index, (part, width) in enumerate(zip(parts, widths, strict=True)):
        name = f"{node.input[1].removesuffix('.weight')}.{index}.weight"
        graph.initializer.append(numpy_helper.from_array(weight[:, start : start + width].copy(), name))
        start += width
        convolution = onnx.NodeProto()
        convolution.CopyFrom(node)
        convolution.name, output = f"{node.name}_{index}", f"{node.output[0]}_{index}"
        bias = list(node.input[2:]) if index == 0 else []
        del convolution.input[:]
        convolution.input.extend([part, name, *bias])
        convolution.output[0] = output
        nodes.append(convolution)
        if index:
            total = node.output[0] if index == len(parts) - 1 else f"{output}_sum"
            nodes.append(helper.make_node("Add", [sums, output], [total], name=f"{convolution.name}_sum"))
            sums = total
        else:
            sums = output
    return nodes


def _concatenates_channels(node: onnx.NodeProto) -> bool:
    return node.op_type == "Concat" and len(node.input) > 1 and node.attribute[0].i == 1


def _is_map(value: onnx.ValueInfoProto) -> bool:
    return len(value.type.tensor_type.shape.dim) == 4
