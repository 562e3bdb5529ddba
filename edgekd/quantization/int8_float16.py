"""INT8 with float16 around it, for TensorRT: INT8 convolutions between float16 maps, and no large map in float32.

A strongly typed engine computes what the graph states. An INT8 graph for the CPU leaves everything around its
convolutions in float32, so on a GPU it moves more bytes than an FP16 graph does. Three exact changes mend that; none
touches the INT8 weights or the scales of activations:

- A weight gets one scale instead of one for each output channel. What the channels differ by is multiplied to the
  output, behind the ReLU where one follows. With a scale for each channel, TensorRT for RTX writes the accumulators as
  float32 and leaves bias, activation and residual to a kernel of their own; with one scale it writes float16, bias,
  ReLU and residual included.
- The common scale is a power of two at which no input, whatever it is, can exceed float16's range.
- Convolutions that do little with each number return to float16, as 1 x 1 convolutions with few outputs do. Rounding
  their input is a kernel of its own, which costs more than the faster products save. So do depthwise ones, whose groups
  TensorRT pads to four channels.

What remains in float then becomes float16 by the rules of FP16 graphs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgekd.errors import EdgekdError
from edgekd.quantization.editing import attributes_of, copy_of, replace_nodes
from edgekd.quantization.float16 import narrowed
from edgekd.quantization.layers import CONVOLUTION
from edgekd.quantization.qdq import LEVELS

OPSET = 19  # The first in which QuantizeLinear takes float16.
LARGEST = 2.0**15  # Of a convolution's output in its common scale; float16 ends at 65504.
SMALLEST_SCALE = 2.0**-14  # Of an activation; below, float16 loses digits.
QUIETEST = 2.0**-10  # Scale of an output channel beside the loudest; below, its weights are rounded in larger steps.
# Products of a convolution with each number of its input from which on INT8 pays. Rounding a number moves two bytes
# more, and a byte takes as long as 200 to 220 products save, by the data sheets of Jetson AGX Orin and RTX 4060.
LEAST_WORK = 432
STEPS = LEVELS + 1  # Of an activation, at most: -128 is one.


class _Quantized(NamedTuple):
    """A convolution in INT8: the convolution, and the DequantizeLinear nodes of what it reads."""

    node: onnx.NodeProto
    activation: onnx.NodeProto
    weight: onnx.NodeProto


def to_int8_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph of the same INT8 convolutions with float16 around them.

    Args:
        model: INT8 with float32 around it, as `edgekd.quantization.qdq.quantize` writes it; not changed.

    Returns:
        The graph; inputs and outputs keep their types.

    Raises:
        EdgekdError: The graph has no INT8 convolution, or is float16 already.
    """
    mixed = copy_of(model)
    graph = mixed.graph
    if not any(True for _ in _quantized_convolutions(graph)):
        raise EdgekdError("this graph has no INT8 convolution: give one that edgekd export --precision int8 wrote")
    if any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in graph.initializer):
        raise EdgekdError("this graph has float16 already: give one that edgekd export --precision int8 wrote")
    _return_to_float(graph)
    _leave_other_maps(graph)
    _give_one_scale(graph)
    next(entry for entry in mixed.opset_import if not entry.domain).version = OPSET
    return narrowed(mixed)


def worth_int8(model: onnx.ModelProto) -> set[str]:
    """The convolutions for which INT8 pays between float16 maps, by their outputs.

    Args:
        model: Float.
    """
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    return {
        node.output[0]
        for node in model.graph.node
        if node.op_type == CONVOLUTION and _work(node, weights[node.input[1]]) >= LEAST_WORK
    }


def _quantized_convolutions(graph: onnx.GraphProto) -> Iterator[_Quantized]:
    makers = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type != CONVOLUTION:
            continue
        activation, weight = (makers.get(name) for name in node.input[:2])
        if activation is not None and weight is not None and weight.op_type == "DequantizeLinear":
            yield _Quantized(node, activation, weight)


def _return_to_float(graph: onnx.GraphProto) -> None:
    """Takes INT8 from convolutions that it does not pay for, and where float16 cannot hold the activation's scale."""
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    for node, activation, weight in list(_quantized_convolutions(graph)):
        steps, scale = held[weight.input[0]], held[weight.input[1]]
        if _work(node, steps.shape) >= LEAST_WORK and float(held[activation.input[1]]) >= SMALLEST_SCALE:
            continue
        name = f"{weight.input[0]}_float"
        if name not in held:
            held[name] = (steps * scale.reshape(-1, 1, 1, 1)).astype(np.float32)
            graph.initializer.append(numpy_helper.from_array(held[name], name))
        node.input[0] = makers[activation.input[0]].input[0]
        node.input[1] = name
    replace_nodes(graph, list(graph.node))


def _leave_other_maps(graph: onnx.GraphProto) -> None:
    """Takes INT8 from maps that are read by anything but INT8 convolutions, as attention does.

    TensorRT writes such a map as float16 all the same, and rounds it in between.
    """
    makers = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        for index, name in enumerate(node.input):
            back = makers.get(name)
            if back is None or back.op_type != "DequantizeLinear" or node.op_type == CONVOLUTION:
                continue
            node.input[index] = makers[back.input[0]].input[0]
    replace_nodes(graph, list(graph.node))


def _give_one_scale(graph: onnx.GraphProto) -> None:
    """Gives every INT8 weight one scale, and multiplies what its channels differ by to the output."""
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    readers = _readers(graph)
    convolutions = {entry.node.output[0]: entry for entry in _quantized_convolutions(graph)}
    factors: dict[str, str] = {}  # By the tensor to multiply.
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        output = node.output[0]
        if output in convolutions:
            scale, factor = _with_one_scale(graph, convolutions[output], held)
            nodes.append(scale)
            behind = readers[output]
            factors[behind[0].output[0] if [reader.op_type for reader in behind] == ["Relu"] else output] = factor
        nodes.append(node)
        if output in factors:
            node.output[0] = f"{output}_unscaled"
            nodes.append(helper.make_node("Mul", [node.output[0], factors[output]], [output], name=f"scale_{output}"))
    replace_nodes(graph, nodes)


def _with_one_scale(
    graph: onnx.GraphProto, entry: _Quantized, held: Mapping[str, NDArray[np.generic]]
) -> tuple[onnx.NodeProto, str]:
    """Lets a convolution read its weight with one scale, its bias in that scale too.

    Returns:
        The weight's DequantizeLinear, and the name of what the output is to be multiplied by, [1, C, 1, 1].
    """
    node, activation, weight = entry
    scales = np.asarray(held[weight.input[1]], np.float64)
    own = np.maximum(scales, scales.max() * QUIETEST)
    steps = np.rint(held[weight.input[0]] * (scales / own).reshape(-1, 1, 1, 1)).astype(np.int8)
    bias = np.asarray(held[node.input[2]], np.float64) if len(node.input) > 2 else np.zeros(len(own))
    most = (
        STEPS * float(held[activation.input[1]]) * np.abs(steps, dtype=np.float64).sum((1, 2, 3)) + np.abs(bias) / own
    )
    common = 2.0 ** np.floor(np.log2(LARGEST / most.max()))
    name = node.output[0]
    added = {
        f"{name}_weight": steps,
        f"{name}_weight_scale": np.float32(common),
        f"{name}_weight_zero_point": np.int8(0),
        f"{name}_scaled_bias": (bias * common / own).astype(np.float32),
        f"{name}_factors": (own / common).astype(np.float32).reshape(1, -1, 1, 1),
    }
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), key) for key, value in added.items())
    back = f"{name}_weight_dequantized"
    names = list(added)
    del node.input[1:]
    node.input.extend([back, names[3]])
    return helper.make_node("DequantizeLinear", names[:3], [back], name=f"dequantize_{name}_weight"), names[4]


def _readers(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """The nodes that read each tensor; a graph's output has a reader of its own, which is not a node of it."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for output in graph.output:
        readers.setdefault(output.name, []).append(onnx.NodeProto())
    return readers


def _work(node: onnx.NodeProto, weight: tuple[int, ...]) -> float:
    """How many products a convolution computes with each number that it reads."""
    given = attributes_of(node)
    outputs, _, *kernel = weight
    return float(outputs * math.prod(kernel) / given.get("group", 1) / math.prod(given.get("strides", (1,))))
