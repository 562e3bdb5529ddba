"""FP16 by casts: float16 where a graph convolves, float32 where differences, norms and scores would drown or overflow.

Float16 holds 6e-8 to 65504 in steps of a thousandth of a value. So whatever comes after the last convolution, which is
the difference of two networks, its square, its mean and the score, stays float32; and so do norms and exponentials on
the way there. A weight that float16 cannot hold keeps its layer in float32.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgekd.quantization.editing import copy_of, replace_nodes
from edgekd.quantization.layers import CONVOLUTION, require_float

LARGEST = float(np.finfo(np.float16).max)
WIDE = {"Div", "Exp", "Pow", "ReduceSum", "Sqrt", "Sub", "TopK"}  # Of norms, differences, softmaxes.
NAMES = {int(TensorProto.FLOAT16): "half", int(TensorProto.FLOAT): "single"}


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph with float16 inside and float32 at its outputs.

    Args:
        model: Float32, as `edgekd.graph` writes it; not changed.

    Raises:
        EdgekdError: The graph is float16 or quantized already.
    """
    require_float(model)
    return narrowed(model)


def narrowed(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph whose float tensors are float16 where they can be; INT8 ones stay.

    Args:
        model: Float32, or INT8 with float32 around it and of opset 19 or newer; not changed.
    """
    narrow = copy_of(model)
    graph = narrow.graph
    wide = _wide_nodes(model)
    types = _float_tensors(model)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    held = dict.fromkeys(constants, TensorProto.FLOAT)  # The type that each float tensor has now.
    nodes: list[onnx.NodeProto] = []
    known: dict[tuple[str, int], str] = {}

    def as_type(name: str, wanted: int) -> str:
        if held[name] == wanted:
            return name
        if (name, wanted) not in known:
            known[name, wanted] = f"{name}_{NAMES[wanted]}"
            if name in constants:
                half = numpy_helper.to_array(constants[name]).astype(np.float16)
                graph.initializer.append(numpy_helper.from_array(half, known[name, wanted]))
            else:
                nodes.append(helper.make_node("Cast", [name], [known[name, wanted]], to=wanted))
        return known[name, wanted]

    for node in graph.node:
        wanted = TensorProto.FLOAT if node.output[0] in wide else TensorProto.FLOAT16
        for index, name in enumerate(node.input):
            is_data = index == 0 or node.op_type != "Resize"  # A resize's scales are float32 by the standard.
            if name in types and is_data:
                node.input[index] = as_type(name, wanted)
        if node.op_type == "Cast":
            node.attribute[0].i = wanted
        nodes.append(node)
        held.update(dict.fromkeys(node.output, wanted))
    replace_nodes(graph, nodes)
    return narrow


def _wide_nodes(model: onnx.ModelProto) -> set[str]:
    """The nodes that stay float32, by their first output."""
    before_convolution: set[str] = set()  # Tensors that some convolution still comes after.
    wide = set()
    constants = {tensor.name for tensor in model.graph.initializer}
    too_large = {tensor.name for tensor in model.graph.initializer if _overflows(tensor)}
    for node in reversed(model.graph.node):
        output = node.output[0]
        convolves = node.op_type == CONVOLUTION
        if convolves or output in before_convolution:
            before_convolution.update(node.input)
            squares = node.op_type == "Mul" and node.input[0] == node.input[1]
            shifts = node.op_type == "Sub" and not constants.isdisjoint(node.input)  # By a number: nothing is lost.
            if (node.op_type in WIDE and not shifts) or squares or too_large & set(node.input):
                wide.add(output)
        else:
            wide.add(output)
    return wide


def _overflows(tensor: onnx.TensorProto) -> bool:
    return tensor.data_type == TensorProto.FLOAT and bool((np.abs(numpy_helper.to_array(tensor)) > LARGEST).any())


def _float_tensors(model: onnx.ModelProto) -> set[str]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = [value for value in [*graph.value_info, *graph.output] if value.type.tensor_type.elem_type == 1]
    return {value.name for value in values} | {
        tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT
    }
