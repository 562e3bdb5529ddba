"""Channels that are quiet on good images are made louder before they are rounded, and their weights less by as much.

A tensor has one scale, that of its loudest channel; one that takes a tenth of it has a tenth of the steps. The factors
are powers of two, so in float nothing changes, not even a bit. They multiply the tensor right before it is rounded,
since what makes it, such as a map that attention gated, cannot take them in.
Source: the equalization of Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction (ICCV
2019), section 4.1, with factors from activations alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgekd.engines import Frames
from edgekd.quantization.editing import copy_of, replace_nodes
from edgekd.quantization.layers import Layer
from edgekd.quantization.running import tensors_of

# Every channel keeps twice the room that good images take: defects wake quiet ones up. With none to spare, the last
# layer of HKT had ten times the noise on defective solar cells.
ROOM = 1  # Doublings.
MOST = 3  # Doublings of a channel, for those that are silent on good images.

Factors = NDArray[np.float32]  # [C]


def equalise_channels(
    model: onnx.ModelProto, layers: Sequence[Layer], exact: Collection[str], frames: Frames
) -> onnx.ModelProto:
    """The same graph with the quiet channels of what layers read made louder, where most of a tensor's channels are.

    Args:
        model: Float; not changed.
        layers: Of it, to be quantized.
        exact: Tensors that INT8 holds as they are.
        frames: The calibration set, uint8 [N, H, W, 3], BGR.
    """
    equalised = copy_of(model)
    graph = equalised.graph
    held = {tensor.name: tensor for tensor in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    own = [layer for layer in layers if layer.activation not in exact and uses[layer.weight] == 1]
    readers: dict[str, list[Layer]] = {}
    for layer in own:
        readers.setdefault(layer.activation, []).append(layer)
    factors = {name: _factors(peaks) for name, peaks in _peaks(model, list(readers), frames).items()}
    changed = {layer.node: factors[layer.activation] for layer in own if np.median(factors[layer.activation]) > 1}
    nodes: list[onnx.NodeProto] = []
    done: set[str] = set()
    for node in graph.node:
        if node.output[0] in changed:
            name, louder = node.input[0], f"{node.input[0]}_equalised"
            if name not in done:
                by_channel = changed[node.output[0]].reshape(1, -1, 1, 1)
                graph.initializer.append(numpy_helper.from_array(by_channel, f"{name}_factors"))
                nodes.append(helper.make_node("Mul", [name, f"{name}_factors"], [louder], name=f"equalise_{name}"))
                done.add(name)
            node.input[0] = louder
            _divide(held[node.input[1]], changed[node.output[0]])
        nodes.append(node)
    replace_nodes(graph, nodes)
    return equalised


def _factors(peaks: NDArray[np.float32]) -> Factors:
    """Powers of two that bring channels up towards the loudest.

    Args:
        peaks: The largest magnitude of each channel, [C].
    """
    loudest = float(peaks.max())
    if not loudest:
        return np.ones_like(peaks)
    quieter = loudest / np.maximum(peaks, loudest * 2.0 ** -(MOST + ROOM))
    doublings: NDArray[np.float32] = np.floor(np.log2(quieter) + 1e-6) - ROOM
    factors: Factors = np.exp2(doublings.clip(0, MOST)).astype(np.float32)
    return factors


def _peaks(model: onnx.ModelProto, names: list[str], frames: Frames) -> dict[str, NDArray[np.float32]]:
    """The largest magnitudes that the channels of tensors take, [C] each."""
    peaks: dict[str, NDArray[np.float32]] = {}
    if not names:
        return peaks
    for values in tensors_of(model, names, frames):
        for name, value in zip(names, values, strict=True):
            largest = np.abs(value).max((0, 2, 3))
            peaks[name] = np.maximum(peaks.get(name, largest), largest)
    return peaks


def _divide(tensor: onnx.TensorProto, factors: Factors) -> None:
    """Divides a weight [outputs, inputs of a group, kernel, kernel] by the factors of what it multiplies."""
    weight = numpy_helper.to_array(tensor)
    outputs, inputs = weight.shape[:2]
    groups = len(factors) // inputs
    by_group = weight.reshape(groups, outputs // groups, inputs, -1) / factors.reshape(groups, 1, inputs, 1)
    tensor.CopyFrom(numpy_helper.from_array(by_group.reshape(weight.shape).astype(np.float32), tensor.name))
