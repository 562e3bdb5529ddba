"""What rounding shifts a channel by on average, given back in its bias, which stays float.

Rounded weights err by the same amounts at every position, and what they multiply is mostly positive, so a channel's
error has a mean. Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction (ICCV
2019), section 4.2.1, with the means measured on the calibration set, of each layer apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgekd.engines import Frames
from edgekd.quantization.editing import copy_of, replace_nodes
from edgekd.quantization.layers import Layer
from edgekd.quantization.qdq import Scheme, activation_pair, stored_weight
from edgekd.quantization.running import tensors_of

Corrections = dict[str, NDArray[np.float32]]  # By layer: what to add to its bias, float32 [C].


def bias_corrections(model: onnx.ModelProto, layers: Sequence[Layer], scheme: Scheme, frames: Frames) -> Corrections:
    """The mean over images and positions of each layer's float output less its INT8 one, both of float inputs.

    Args:
        model: Float.
        layers: Of it.
        scheme: How it is quantized; its corrections are not looked at.
        frames: The calibration set, uint8 [N, H, W, 3], BGR.
    """
    both = copy_of(model)
    graph = both.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    graph.initializer.append(numpy_helper.from_array(np.asarray([2, 3]), "positions"))
    by_output = {node.output[0]: node for node in graph.node}
    means = {layer.node: f"{layer.node}_shift" for layer in layers}
    nodes = list(graph.node)
    for name in {layer.activation for layer in layers}:
        nodes += activation_pair(graph, name, scheme.scales[name])
    for name in {layer.weight for layer in layers}:
        nodes.append(stored_weight(graph, tensors[name], scheme.weights.get(name)))
    for layer in layers:
        nodes += _shift(by_output[layer.node], layer, means[layer.node])
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in means.values())
    replace_nodes(graph, nodes)
    sums: list[NDArray[np.float64]] = [np.zeros(1)] * len(layers)
    for shifts in tensors_of(both, list(means.values()), frames):
        sums = [total + shift.sum((0, 2, 3), np.float64) for total, shift in zip(sums, shifts, strict=True)]
    return {layer.node: (total / len(frames)).astype(np.float32) for layer, total in zip(layers, sums, strict=True)}


def _shift(node: onnx.NodeProto, layer: Layer, mean: str) -> list[onnx.NodeProto]:
    """A quantized copy of a convolution beside it, and the mean of their difference an image and channel."""
    rounded = onnx.NodeProto()
    rounded.CopyFrom(node)
    rounded.name, rounded.output[0] = f"{node.name}_rounded", f"{layer.node}_rounded"
    rounded.input[0], rounded.input[1] = f"{layer.activation}_dequantized", f"{layer.weight}_dequantized"
    error = f"{layer.node}_error"
    return [
        rounded,
        helper.make_node("Sub", [layer.node, rounded.output[0]], [error]),
        helper.make_node("ReduceMean", [error, "positions"], [mean]),
    ]
