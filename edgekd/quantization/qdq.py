"""Explicit INT8: QuantizeLinear and DequantizeLinear around a graph's convolutions, as every TensorRT reads them.

Symmetric throughout, so zero points are 0. An activation has one scale and its pair stands right before the
convolutions that read it, and right after the ReLU where attention reads it; nothing comes between a convolution and
its ReLU. A weight is stored in INT8 with a scale
an output channel. Biases stay float.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgekd.quantization.editing import copy_of, replace_nodes
from edgekd.quantization.layers import Layer

LEVELS = 127  # Of either sign; -128 is not used by weights, so that they stay symmetric.

# x86 processors without VNNI add two products of an unsigned and a signed byte in 16 bits and cut off what goes beyond:
# 255 (a + b) fits as long as neighbouring weights a and b of one sign are at most this together.
PAIR_LEVELS = 128


class Scheme(NamedTuple):
    """How a graph is quantized, whichever of its layers are.

    Attributes:
        scales: What one step of an activation stands for, by tensor; of every layer's activation and all attended.
        attended: Maps that are stored in INT8 between their layer and attention, by the layer's node.
        corrections: What to add to biases, by the layer's node, float32 [C].
        weights: Steps of weights that are not rounded to the nearest, by initializer, int8 of its shape.
    """

    scales: Mapping[str, float]
    attended: Mapping[str, str] = MappingProxyType({})
    corrections: Mapping[str, NDArray[np.float32]] = MappingProxyType({})
    weights: Mapping[str, NDArray[np.int8]] = MappingProxyType({})


def quantize(model: onnx.ModelProto, scheme: Scheme, layers: Sequence[Layer]) -> onnx.ModelProto:
    """A graph with some of its convolutions in INT8.

    Args:
        model: Float, as `edgekd.graph` writes it; not changed.
        scheme: Of the whole graph.
        layers: Of the model, to quantize.

    Returns:
        The graph with Q/DQ.
    """
    quantized = copy_of(model)
    graph = quantized.graph
    chosen = {layer.node: layer for layer in layers}
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    scales, corrections = scheme.scales, scheme.corrections
    stored = set(scheme.attended.values())
    done: set[str] = set()
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name in stored:
                node.input[index] = f"{name}_dequantized"
        layer = chosen.get(node.output[0])
        if layer is not None:
            if layer.activation not in done:
                nodes += activation_pair(graph, layer.activation, scales[layer.activation])
            if layer.weight not in done:
                nodes.append(stored_weight(graph, tensors[layer.weight], scheme.weights.get(layer.weight)))
            done |= {layer.activation, layer.weight}
            node.input[0] = f"{layer.activation}_dequantized"
            node.input[1] = f"{layer.weight}_dequantized"
            if layer.node in corrections:
                _add_to_bias(graph, node, tensors, corrections[layer.node])
        nodes.append(node)
        if node.output[0] in stored:
            nodes += activation_pair(graph, node.output[0], scales[node.output[0]])
    replace_nodes(graph, nodes)
    return quantized


def quantized_weight(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A weight in INT8 and its scales, one an output channel.

    The scales are such that no pair of neighbouring input channels goes beyond PAIR_LEVELS: the graph
    outputs the same on every processor.

    Args:
        weight: Of a convolution, float32 [outputs, inputs of a group, kernel, kernel].
    """
    largest = np.maximum(np.abs(weight).max(axis=(1, 2, 3)), _largest_pair(weight))
    scale = np.where(largest > 0, largest, 1.0).astype(np.float32) / np.float32(LEVELS)
    rounded = np.rint(weight / scale.reshape(-1, 1, 1, 1)).clip(-LEVELS, LEVELS)
    return rounded.astype(np.int8), scale


def _largest_pair(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest sum of two weights of one sign that are added up first: of channels 0 and 1, 2 and 3, ..., [outputs].

    In LEVELS, not PAIR_LEVELS: rounding both up adds one.
    """
    outputs, inputs, *kernel = weight.shape
    even = np.zeros((outputs, inputs + inputs % 2, *kernel), np.float32)
    even[:, :inputs] = weight
    pairs = even.reshape(outputs, -1, 2, *kernel)
    sums = np.maximum(np.maximum(pairs, 0).sum(2), np.maximum(-pairs, 0).sum(2))
    largest: NDArray[np.float32] = sums.max(axis=(1, 2, 3))
    return largest


def activation_pair(graph: onnx.GraphProto, tensor: str, scale: float) -> list[onnx.NodeProto]:
    """Q and DQ of an activation, whose result ends in _dequantized; their numbers go into the graph."""
    numbers = [f"{tensor}_scale", f"{tensor}_zero_point"]
    _add(graph, numbers[0], np.float32(scale))
    _add(graph, numbers[1], np.int8(0))
    steps, back = f"{tensor}_quantized", f"{tensor}_dequantized"
    return [
        helper.make_node("QuantizeLinear", [tensor, *numbers], [steps], name=f"quantize_{tensor}"),
        helper.make_node("DequantizeLinear", [steps, *numbers], [back], name=f"dequantize_{tensor}"),
    ]


def stored_weight(
    graph: onnx.GraphProto, weight: onnx.TensorProto, chosen: NDArray[np.int8] | None = None
) -> onnx.NodeProto:
    """The DQ of a weight, whose result ends in _dequantized; what it reads, in INT8, goes into the graph.

    Args:
        graph: To add to.
        weight: Float, of the graph.
        chosen: Its steps; None rounds it to the nearest.
    """
    nearest, scale = quantized_weight(numpy_helper.to_array(weight))
    steps = nearest if chosen is None else chosen
    names = [f"{weight.name}_quantized", f"{weight.name}_scale", f"{weight.name}_zero_point"]
    _add(graph, names[0], steps)
    _add(graph, names[1], scale)
    _add(graph, names[2], np.zeros(len(scale), np.int8))
    output = f"{weight.name}_dequantized"
    return helper.make_node("DequantizeLinear", names, [output], name=f"dequantize_{weight.name}", axis=0)


def _add_to_bias(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    tensors: Mapping[str, onnx.TensorProto],
    correction: NDArray[np.float32],
) -> None:
    bias = numpy_helper.to_array(tensors[node.input[2]]) if len(node.input) > 2 else np.float32(0)
    name = f"{node.output[0]}_bias"
    _add(graph, name, (bias + correction).astype(np.float32))
    del node.input[2:]
    node.input.append(name)


def _add(graph: onnx.GraphProto, name: str, content: NDArray[np.generic] | np.generic) -> None:
    graph.initializer.append(numpy_helper.from_array(np.asarray(content), name))
