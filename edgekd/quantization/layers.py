"""The convolutions of a graph that can be quantized, by the names that they have in torch."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from edgekd.errors import EdgekdError
from edgekd.macs import convolution_macs
from edgekd.quantization.editing import attributes_of

CONVOLUTION = "Conv"
GATE = "gate: its map has one position or one channel"
CBAM_READERS = {"ReduceMean", "ReduceMax", "Mul"}
BYTE_TOLERANCE = 1e-4  # Of a step: what folding the normalisation in float32 may leave.
NETWORK = "network."  # What every name in an exported graph begins with.


class Layer(NamedTuple):
    """One convolution of a graph.

    Attributes:
        name: Of its module in the deployed network, such as "student.convolutions.0".
        node: The name of its output tensor, which identifies the node.
        activation: The tensor that it reads.
        weight: Its initializer, [outputs, inputs of a group, kernel, kernel].
        macs: Its multiply-accumulates for one batch.
        outputs: The numbers that it gives for one batch.
    """

    name: str
    node: str
    activation: str
    weight: str
    macs: int
    outputs: int


class Layers(NamedTuple):
    """The convolutions of a graph.

    Attributes:
        quantizable: Those that INT8 is for.
        in_float: The names of the others, and why they are not. Gates, as in attention, are a thousandth of the work,
            and their outputs are multiplied into whole maps.
        attended: Maps that attention reads several times, by the node of the layer that makes them; stored in INT8,
            they cost a quarter to read.
    """

    quantizable: list[Layer]
    in_float: dict[str, str]
    attended: dict[str, str]


def find_layers(model: onnx.ModelProto) -> Layers:
    """The convolutions of a float graph, in its order.

    Args:
        model: As `edgekd.graph` writes it.

    Raises:
        EdgekdError: The graph is quantized already.
    """
    require_float(model)
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {value.name: value.type.tensor_type.shape.dim for value in [*graph.value_info, *graph.output]}
    kernels = {tensor.name: tensor.dims for tensor in graph.initializer}
    single = of_one_channel(graph)
    quantizable, in_float = [], {}
    for node in graph.node:
        if node.op_type != CONVOLUTION:
            continue
        weight = node.input[1]
        name = weight.removeprefix(NETWORK).removesuffix(".weight")
        sides = [dimension.dim_value for dimension in shapes[node.output[0]]][2:]
        if node.output[0] in single or all(side == 1 for side in sides):
            in_float[name] = GATE
        else:
            output = [max(dimension.dim_value, 1) for dimension in shapes[node.output[0]]]
            macs = convolution_macs(output, kernels[weight])
            quantizable.append(Layer(name, node.output[0], node.input[0], weight, macs, math.prod(output)))
    return Layers(quantizable, in_float, _attended(graph, {layer.node for layer in quantizable}))


def of_one_channel(graph: onnx.GraphProto) -> set[str]:
    """The outputs of convolutions to a map of one channel; its positions may come as channels, laid side by side after.

    Args:
        graph: Float.
    """
    blocks = {node.input[0]: attributes_of(node)["blocksize"] for node in graph.node if node.op_type == "DepthToSpace"}
    shapes = {tensor.name: tensor.dims for tensor in graph.initializer}
    return {
        node.output[0]
        for node in graph.node
        if node.op_type == CONVOLUTION and shapes[node.input[1]][0] == blocks.get(node.output[0], 1) ** 2
    }


def centred_frames(model: onnx.ModelProto) -> str:
    """The tensor of frames less 128, -128..127, which INT8 holds exactly with a scale of 1."""
    name = model.graph.input[0].name
    for node in model.graph.node:
        if node.input[0] == name:
            name = node.output[0]
            if node.op_type == "Sub":
                return str(name)
    raise EdgekdError("this graph does not begin as edgekd export writes it: give one that it wrote")


def exact_scales(model: onnx.ModelProto) -> dict[str, float]:
    """The scales of tensors that are bytes in another unit, which INT8 holds as they are.

    They are the frames less 128, and images that a backbone's own normalisation makes of them, where one step of a
    byte is the same in all channels and grey falls on a step; of these only a byte of 255 may be cut to 254. Either
    may be reflected beyond its edge.

    Args:
        model: Float.

    Raises:
        EdgekdError: The graph does not begin as edgekd export writes it.
    """
    centred = centred_frames(model)
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    scales = {centred: 1.0}
    for node in model.graph.node:
        if node.op_type == "Pad" and node.input[0] in scales and _reflects(node):
            scales[node.output[0]] = scales[node.input[0]]
        if node.op_type == CONVOLUTION and node.input[0] == centred and len(node.input) == 3:
            weight, bias = (numpy_helper.to_array(held[name]) for name in node.input[1:])
            step = float(np.abs(weight).max())
            if weight.shape[1:] != (3, 1, 1) or not step:
                continue
            steps, offsets = weight[:, :, 0, 0] / step, bias / step
            one_byte_each = np.allclose(np.sort(np.abs(steps), axis=1), [0, 0, 1], atol=BYTE_TOLERANCE)
            if one_byte_each and np.allclose(offsets, np.rint(offsets), atol=BYTE_TOLERANCE):
                scales[node.output[0]] = step
    return scales


def _reflects(pad: onnx.NodeProto) -> bool:
    return bool(attributes_of(pad).get("mode") == b"reflect")


def _attended(graph: onnx.GraphProto, layers: set[str]) -> dict[str, str]:
    readers: dict[str, set[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    return {
        node.input[0]: node.output[0]
        for node in graph.node
        if node.op_type == "Relu" and node.input[0] in layers and readers.get(node.output[0]) == CBAM_READERS
    }


def require_float(model: onnx.ModelProto) -> None:
    """Refuses a graph that is quantized, or halved, already."""
    if any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in model.graph.node):
        raise EdgekdError("this graph is quantized already: give the float one, as edgekd export writes it")
    if any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer):
        raise EdgekdError("this graph is float16 already: give the float32 one, as edgekd export writes it")
