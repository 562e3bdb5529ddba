"""Refuses a graph that is not one of edgekd's exports before a back end sees it.

A back end computes whatever a file asks for: loops without an end, weights of another file that no hash covers, tensors
of any size. An export holds none of it, so whatever does is damaged or made by somebody else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.artifact import frame_shape
from edgekd.engines.graph_file import parse_graph
from edgekd.engines.graph_wiring import ONNX_DOMAINS, printed, wiring_faults
from edgekd.engines.signature import FLOAT32, UINT8, Tensor, refuse_other_tensors
from edgekd.errors import ArtifactError
from edgekd.recipe import read_export_recipe
from edgekd.resources import resource

# What INT8 and batches of any size bring besides the systems' own inventories, and constants that were not folded.
BESIDES = frozenset({"Constant", "DequantizeLinear", "QuantizeLinear", "Gather", "Shape", "Slice"})
MOST_VALUES = 1 << 28  # Of one tensor, 1 GiB of float32: a hundred times what the largest export holds.
MOST_STEPS = 512  # Pixels that a padding, a kernel or a stride may name: thirty times what exports need.
MOST_SCALE = 64.0  # By which a Resize may enlarge a side.
NUMBERS = {1: "<f4", 7: "<i8"}  # What Pad and Resize are given, as numpy reads it.
SIZES = 3  # Which input of Resize holds the sizes of its output.
# What an input by its place may hold.
BOUNDS: dict[str, dict[int, float]] = {"Pad": {1: MOST_STEPS}, "Resize": {2: MOST_SCALE, SIZES: MOST_VALUES}}
SPATIAL = ("pads", "kernel_shape", "strides", "dilations", "blocksize")
# Bits of a value by ONNX's data types: those that exports hold.
BITS = {1: 32, 2: 8, 3: 8, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64}
TYPED = {1: "float_data", 11: "double_data", 7: "int64_data"}  # The others are in int32_data.
TYPES = {1: FLOAT32, 2: UINT8, 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"}


def check_graph(content: bytes, path: Path, manifest: Mapping[str, Any]) -> None:
    """Refuses an .onnx file that no export of edgekd would be; nothing is computed and no back end is loaded.

    Args:
        content: The file's bytes, as a back end will load them.
        path: Its name, for errors.
        manifest: Its manifest.

    Raises:
        ArtifactError: It is not a graph; it holds an operator, a subgraph or a function that no export has, weights
            in another file, tensors without their data or of an absurd size; or its inputs and outputs are others than
            the contract's and the manifest's.
    """
    model = parse_graph(content, path)
    graph = model.graph
    if model.functions or model.training_info:
        raise _refused(path, "functions or training of its own")
    if graph.sparse_initializer:
        raise _refused(path, "sparse weights")
    for node in graph.node:
        _check_node(path, node)
    for fault in wiring_faults(model):
        raise _refused(path, fault)
    for tensor in _tensors(graph):
        _check_tensor(path, tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        _check_size(path, value)
    _check_resizing(path, graph)
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [_described(value) for value in graph.input if value.name not in weights]
    refuse_other_tensors(path, frame_shape(manifest), inputs, [_described(value) for value in graph.output])


@cache
def known_operators() -> frozenset[str]:
    """Every operator that an export may hold: the inventories in export/, and what INT8 and free batches bring."""
    systems = resource("export", "hkt.toml").parent.glob("*.toml")
    recipes = [read_export_recipe(file.stem) for file in systems]
    return BESIDES.union(*(recipe.operators | recipe.variant_operators for recipe in recipes))


def _check_node(path: Path, node: Any) -> None:
    domain, operator = printed(node.domain), printed(node.op_type)
    if domain not in ONNX_DOMAINS:
        raise _refused(path, f"the operator {operator} of {domain}")
    if operator not in known_operators():
        raise _refused(path, f"the operator {operator}")
    for attribute in node.attribute:
        if attribute.HasField("g") or attribute.graphs:
            raise _refused(path, f"a graph inside its operator {operator}")
        if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
            raise _refused(path, "sparse weights")
        name = printed(attribute.name)
        if name in SPATIAL and any(abs(value) > MOST_STEPS for value in (*attribute.ints, attribute.i)):
            raise _refused(path, f"{operator} with {name} beyond {MOST_STEPS} pixels")


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor that a graph brings: weights, and those of constants."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_tensor(path: Path, tensor: Any) -> None:
    """Refuses a tensor whose values are not all in the file, and no more of them than it declares."""
    name, kind = printed(tensor.name) or "a constant", tensor.data_type
    if tensor.data_location or tensor.external_data:
        raise _refused(path, f"weights outside itself ({name}), which no hash covers")
    if kind not in BITS or tensor.HasField("segment"):
        raise _refused(path, f"{name} of a data type that no export has")
    if any(side < 0 for side in tensor.dims):
        raise _refused(path, f"{name} with a negative dimension")
    count = math.prod(tensor.dims)
    if tensor.HasField("raw_data"):
        there, needed = len(tensor.raw_data), count * BITS[kind] // 8
    else:
        there, needed = len(getattr(tensor, TYPED.get(kind, "int32_data"))), count
    if there != needed:
        raise _refused(path, f"{name} of {list(tensor.dims)} without its values")


def _check_size(path: Path, value: Any) -> None:
    sides = [dim.dim_value for dim in value.type.tensor_type.shape.dim if dim.HasField("dim_value")]
    if any(side < 0 for side in sides) or math.prod(sides) > MOST_VALUES:
        raise _refused(path, f"{printed(value.name)} of {sides}, more than {MOST_VALUES} values")


def _check_resizing(path: Path, graph: Any) -> None:
    """Refuses a constant by which Pad or Resize would make a tensor of an absurd size."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute:
            if printed(node.op_type) == "Constant" and attribute.HasField("t"):
                constants |= dict.fromkeys(node.output, attribute.t)
    for node in graph.node:
        operator = printed(node.op_type)
        for place, most in BOUNDS.get(operator, {}).items():
            name = node.input[place] if place < len(node.input) else b""
            if name not in constants:  # Left out, or computed, as the sizes of a batch that is free.
                continue
            if constants[name].data_type not in NUMBERS:
                raise _refused(path, f"{operator} by values of another type than exports have")
            values = _values(constants[name])
            found = np.prod(values) if place == SIZES else np.abs(values).max(initial=0.0)
            if not found <= most:  # NaN is refused too.
                raise _refused(path, f"{operator} by {found:g}, more than {most:g}")


def _values(tensor: Any) -> NDArray[np.float64]:
    """The values of a tensor of float32 or int64."""
    if tensor.HasField("raw_data"):
        return np.frombuffer(tensor.raw_data, NUMBERS[tensor.data_type]).astype(np.float64)
    return np.array(tensor.float_data or tensor.int64_data, np.float64)


def _described(value: Any) -> Tensor:
    tensor = value.type.tensor_type
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    return Tensor(printed(value.name), TYPES.get(tensor.elem_type, f"type {tensor.elem_type}"), shape)


def _refused(path: Path, what: str) -> ArtifactError:
    return ArtifactError(f"{path} was refused: it holds {what}; take the file of edgekd export, or export again")
