"""Maps without negative values take all of INT8's steps: half their range is taken off before they are rounded.

A symmetric scale gives a map that is never negative only its positive half, 127 steps of 255. Less half its range it
takes them all, each half as large; and what convolutions miss by that is the same everywhere, so it goes into their
biases. Where a convolution and a clip make the map, as with ReLU6, bias and bounds are shifted instead. Zero points
stay 0, which every TensorRT asks for. Convolutions that pad are left alone: what they pad with is zero, and would no
longer be.
Source: Jacob et al., Quantization and Training of Neural Networks (CVPR 2018), section 2.1, with the zero point moved
out of the quantization and into the graph.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgekd.engines import Frames
from edgekd.quantization.editing import attributes_of, copy_of, replace_nodes
from edgekd.quantization.layers import Layer
from edgekd.quantization.running import tensors_of


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
    candidates = _can_be_centred(graph, layers)
    halves = _halves(model, [name for name in candidates if name not in exact], frames)
    held = {tensor.name: tensor for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes.append(node)
        if node.output[0] not in halves:
            continue
        name, half = node.output[0], halves[node.output[0]]
        if node.op_type == "Clip":
            _add_to_bias(graph, makers[node.input[0]], held, np.float64(-half))
            _shift_bounds(graph, node, held, -half)
        else:
            graph.initializer.append(numpy_helper.from_array(np.asarray(half), f"{name}_half"))
            nodes.append(helper.make_node("Sub", [name, f"{name}_half"], [f"{name}_centred"], name=f"centre_{name}"))
    for layer in layers:
        if layer.activation in halves:
            convolution = makers[layer.node]
            weight = numpy_helper.to_array(held[layer.weight])
            _add_to_bias(graph, convolution, held, halves[layer.activation] * weight.sum((1, 2, 3), np.float64))
            if makers[layer.activation].op_type != "Clip":
                convolution.input[0] = f"{layer.activation}_centred"
    replace_nodes(graph, nodes)
    return centred


def _can_be_centred(graph: onnx.GraphProto, layers: Sequence[Layer]) -> list[str]:
    """What layers read that do not pad, and that can be shifted without a pass of its own over the map."""
    makers = {node.output[0]: node for node in graph.node}
    readers: dict[str, list[str]] = {}  # By tensor, the nodes' outputs, and "" for the graph's own.
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.output[0])
    for output in graph.output:
        readers.setdefault(output.name, []).append("")
    held = {tensor.name for tensor in graph.initializer}
    quantized = {layer.node for layer in layers}

    def has_bounds_to_shift(clip: onnx.NodeProto) -> bool:
        """Whether only its convolution comes before it and only quantized ones after."""
        before = makers.get(clip.input[0])
        return (
            before is not None
            and before.op_type == "Conv"
            and len(readers[clip.input[0]]) == 1
            and quantized.issuperset(readers[clip.output[0]])
            and len(clip.input) == 3
            and held.issuperset(clip.input[1:])
        )

    names = []
    for name in dict.fromkeys(layer.activation for layer in layers):
        maker = makers.get(name)
        if maker is None or any(_pads(makers[reader]) for reader in readers[name] if reader in quantized):
            continue
        # A ReLU and a clip are computed in the kernel of their convolution, and so is their rounding.
        if has_bounds_to_shift(maker) if maker.op_type == "Clip" else maker.op_type != "Relu":
            names.append(name)
    return names


def _pads(convolution: onnx.NodeProto) -> bool:
    given = attributes_of(convolution)
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


def _add_to_bias(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    held: dict[str, onnx.TensorProto],
    amount: NDArray[np.float64] | np.float64,
) -> None:
    """Gives a convolution a bias of its own, with an amount a channel, or one for all, added to it."""
    outputs = held[node.input[1]].dims[0]
    bias = numpy_helper.to_array(held[node.input[2]]) if len(node.input) > 2 else np.zeros(outputs)
    name = f"{node.output[0]}_centred_bias"
    tensor = numpy_helper.from_array((bias + amount).astype(np.float32), name)
    if name in held:
        held[name].CopyFrom(tensor)
        return
    graph.initializer.append(tensor)
    held[name] = graph.initializer[-1]
    del node.input[2:]
    node.input.append(name)


def _shift_bounds(
    graph: onnx.GraphProto, clip: onnx.NodeProto, held: Mapping[str, onnx.TensorProto], amount: np.float32
) -> None:
    for index, end in ((1, "least"), (2, "most")):
        bound = numpy_helper.to_array(held[clip.input[index]])
        clip.input[index] = f"{clip.output[0]}_{end}"
        graph.initializer.append(numpy_helper.from_array((bound + amount).astype(np.float32), clip.input[index]))
