"""Maps without negative values take all of INT8's steps: half their range is taken off before they are rounded.

A symmetric scale gives a map that is never negative only its positive half, 127 steps of 255. Less half its range it
takes them all, each half as large; and what convolutions miss by that is the same everywhere, so it goes into their
biases. Zero points stay 0, which every TensorRT asks for. Convolutions that pad are left alone: what they pad with is
zero, and would no longer be.
Source: Jacob et al., Quantization and Training of Neural Networks (CVPR 2018), section 2.1, with the zero point moved
out of the quantization and into the graph.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgekd.engines import Frames
from edgekd.quantization.editing import copy_of, replace_nodes
from edgekd.quantization.layers import Layer
from edgekd.quantization.running import tensors_of

# What bounds a convolution's output rounds it in the same kernel; a subtraction in between would cost that.
FUSED_WITH_CONVOLUTIONS = {"Relu", "Clip"}


def centre_positive(
    model: onnx.ModelProto, layers: Sequence[Layer], exact: Collection[str], frames: Frames
) -> onnx.ModelProto:
    """The same graph with half the range taken off what layers read, where that is never negative.

    Args:
        model: Float; not changed.
        layers: Of it, to be quantized.
        exact: Tensors that INT8 holds as they are.
        frames: The calibration set, uint8 [N, H, W, 3], BGR.
    """
    centred = copy_of(model)
    graph = centred.graph
    quantized = {layer.node for layer in layers}
    held = {tensor.name: tensor for tensor in graph.initializer}
    halves = _halves(model, [name for name in _can_be_centred(graph, layers) if name not in exact], frames)
    nodes: list[onnx.NodeProto] = []
    done: set[str] = set()
    for node in graph.node:
        if node.output[0] in quantized and node.input[0] in halves:
            name, less = node.input[0], f"{node.input[0]}_centred"
            if name not in done:
                graph.initializer.append(numpy_helper.from_array(np.asarray(halves[name]), f"{name}_half"))
                nodes.append(helper.make_node("Sub", [name, f"{name}_half"], [less], name=f"centre_{name}"))
                done.add(name)
            node.input[0] = less
            _give_back(graph, node, held, halves[name])
        nodes.append(node)
    replace_nodes(graph, nodes)
    return centred


def _can_be_centred(graph: onnx.GraphProto, layers: Sequence[Layer]) -> list[str]:
    """What only convolutions that do not pad read, and no activation function makes."""
    quantized = {layer.node for layer in layers}
    makers = {node.output[0]: node.op_type for node in graph.node}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        readers.setdefault(node.input[0], []).append(node)
    return [
        name
        for name in dict.fromkeys(layer.activation for layer in layers)
        if makers.get(name) not in FUSED_WITH_CONVOLUTIONS
        and all(not _pads(node) for node in readers[name] if node.output[0] in quantized)
    ]


def _pads(convolution: onnx.NodeProto) -> bool:
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in convolution.attribute}
    return any(given.get("pads", ())) or given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")


def _halves(model: onnx.ModelProto, names: list[str], frames: Frames) -> dict[str, np.float32]:
    """Half of the largest value of each tensor that is never negative, nor zero throughout."""
    if not names:
        return {}
    least, most = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for values in tensors_of(model, names, frames):
        for name, value in zip(names, values, strict=True):
            least[name] = min(least[name], float(value.min()))
            most[name] = max(most[name], float(value.max()))
    return {name: np.float32(most[name] / 2) for name in names if least[name] >= 0 and most[name] > 0}


def _give_back(
    graph: onnx.GraphProto, node: onnx.NodeProto, held: dict[str, onnx.TensorProto], half: np.float32
) -> None:
    """Adds to a convolution's bias what it makes of a map that is `half` everywhere."""
    missed = half * numpy_helper.to_array(held[node.input[1]]).sum((1, 2, 3), np.float64)
    bias = numpy_helper.to_array(held[node.input[2]]) if len(node.input) > 2 else 0.0
    name = f"{node.output[0]}_centred_bias"
    graph.initializer.append(numpy_helper.from_array((bias + missed).astype(np.float32), name))
    del node.input[2:]
    node.input.append(name)
