"""How the operators of a graph are wired: a version that is known, inputs that are there, each tensor made once.

Back ends read a graph by this and do not look whether it holds: OpenVINO 2026.0 ends the process for a Pad without its
pads, and looks for operators without end in a version of 2**40.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

ONNX_DOMAINS = ("", "ai.onnx")
VERSIONS = range(17, 65)  # Exports have 17 or more; no ONNX has come near the last.
# Inputs that must be there, by operator; the others need one. From the operators' specifications.
LEAST_INPUTS: Mapping[str, int] = {
    "Add": 2,
    "BatchNormalization": 5,
    "Constant": 0,
    "Conv": 2,
    "DequantizeLinear": 2,
    "Div": 2,
    "Gather": 2,
    "MatMul": 2,
    "Mul": 2,
    "Pad": 2,
    "Pow": 2,
    "QuantizeLinear": 2,
    "Reshape": 2,
    "Resize": 3,  # The specification asks for one, and then for scales or sizes.
    "Slice": 3,
    "Sub": 2,
    "TopK": 2,
    "Unsqueeze": 2,
}
OUTPUTS: Mapping[str, int] = {"TopK": 2}


def wiring_faults(model: Any) -> Iterator[str]:
    """What is wrong with how a graph is wired, as text that says what it holds.

    Args:
        model: Parsed by `parse_graph`; its operators are known ones.
    """
    versions = [each.version for each in model.opset_import if printed(each.domain) in ONNX_DOMAINS]
    if len(versions) != 1 or versions[0] not in VERSIONS:
        said = ", ".join(map(str, versions)) or "none"
        yield f"operators of version {said}, and exports have one of {VERSIONS.start} or newer"
    graph = model.graph
    made = {tensor.name for tensor in graph.initializer} | {value.name for value in graph.input}
    for node in graph.node:
        operator = printed(node.op_type)
        given = [name for name in node.input if name]
        # What may be left out stands behind what must be there; Resize leaves out an input in the middle.
        needed = LEAST_INPUTS.get(operator, 1)
        there = len(node.input) if operator == "Resize" else len(given)
        if there < needed or (needed and not (node.input and node.input[0])):
            yield f"{operator} without the inputs that it needs"
        if len(node.output) < OUTPUTS.get(operator, 1) or not node.output[0]:
            yield f"{operator} without an output"
        for name in given:
            if name not in made:
                yield f"{operator} that reads {printed(name)!r}, which nothing before it makes"
        for name in filter(None, node.output):
            if name in made:
                yield f"{printed(name)!r} made twice"
            made.add(name)
    for value in graph.output:
        if value.name not in made:
            yield f"an output {printed(value.name)!r} that nothing makes"


def printed(name: bytes) -> str:
    """A name of the file as it can be printed."""
    return name.decode("utf-8", "backslashreplace").encode("unicode_escape").decode("ascii")
