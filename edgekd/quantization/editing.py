"""Small things that every change to a graph needs."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import helper


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy to change, without the types and shapes of inner tensors, which a change makes stale."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    return copy


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by their names; text is bytes."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Gives a graph other nodes, and takes away the nodes and initializers that no output needs any more."""
    used = {output.name for output in graph.output}
    kept = []
    for node in reversed(nodes):
        if used & set(node.output):
            used.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
