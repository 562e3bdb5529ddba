"""What a built engine consists of: its layers, what each reads and writes, and which nodes of the graph it computes."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

# What an inspector calls the data types that the builder's list calls so.
INSPECTED_TYPES = {
    "Int8": "int8",
    "Half": "fp16|half",
    "Float": "fp32|float",
    "BFloat16": "bf16|bfloat16",
    "FP8": "fp8",
    "UInt8": "uint8",
    "Int32": "int32",
    "Int64": "int64",
    "Bool": "bool",
}
# Bytes of one number.
SIZES = {"Int8": 1, "UInt8": 1, "Bool": 1, "FP8": 1, "Half": 2, "BFloat16": 2, "Float": 4, "Int32": 4, "Int64": 8}

# Steps that compute nothing, by the abbreviations that TensorRT for RTX names its generated kernels with.
MOVING_STEPS = {"Cast", "Conc", "Copy", "Move", "Repl", "Resh", "Slic", "Tran"}


class Layer(NamedTuple):
    """A layer of an engine.

    Attributes:
        name: TensorRT's own.
        kind: Such as "correlation", which is a convolution, or "kgen", which is a kernel of many small steps.
        reads: The data type of its first input, such as "Int8", "Half" or "Float"; None where it has none,
            or where it is not reported.
        nodes: The graph's nodes that it computes, or computes a part of.
        bytes_moved: What it reads and writes for one batch, weights aside, by data type; None where it is not reported.
    """

    name: str
    kind: str
    reads: str | None
    nodes: list[str]
    bytes_moved: dict[str, int] | None = None

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution kernel."""
        return self.kind == "correlation" or "convolution" in self.kind.lower()

    @property
    def is_reformat(self) -> bool:
        """Whether it only brings numbers into another type, order or place."""
        if self.kind == "Reformat":
            return True
        generated = re.match(r"__myl_((?:[A-Z][a-z]{3})+)_", self.name)
        return generated is not None and set(re.findall("[A-Z][a-z]{3}", generated[1])) <= MOVING_STEPS


def layers_listed(lines: Iterable[str]) -> list[Layer]:
    """The layers in the list that the builder of TensorRT for RTX logs, a line each.

    Args:
        lines: Lines without a layer are skipped.
    """
    layers = []
    for line in lines:
        start = re.match(r"Name: (.*?), LayerType: (\w+)", line)
        if start is not None:
            first = re.search(r"Inputs: \[ \{ .*?Datatype: (\w+)", line)
            layers.append(Layer(start[1], start[2], first[1] if first else None, _nodes(line), _bytes_moved(line)))
    return layers


def layers_inspected(text: str) -> list[Layer]:
    """The layers in the JSON of an engine inspector.

    Args:
        text: Of an engine built with detailed profiling verbosity.
    """
    found = json.loads(text)["Layers"]
    return [
        Layer(entry["Name"], entry["LayerType"], _reads(entry.get("Inputs") or []), _nodes(entry.get("Metadata") or ""))
        for entry in found
        if isinstance(entry, dict)  # A plain name where the engine has no details.
    ]


def convolution_inputs(layers: Iterable[Layer]) -> dict[str, int]:
    """How many convolution kernels read which data type, the most frequent first."""
    return dict(Counter(layer.reads or "unknown" for layer in layers if layer.is_convolution).most_common())


def bytes_moved(layers: Iterable[Layer]) -> dict[str, int]:
    """What all layers read and write for one batch, weights aside, by data type, the most first."""
    total: Counter[str] = Counter()
    for layer in layers:
        total.update(layer.bytes_moved or {})
    return dict(total.most_common())


def _bytes_moved(line: str) -> dict[str, int]:
    """The bytes of the inputs and outputs in a line of the builder's list."""
    total: Counter[str] = Counter()
    for group in re.findall(r"(?:Inputs|Outputs): \[ (\{.*?\}) ?\]", line):
        for dimensions, kind in re.findall(r"Dimensions: \[([\d,]*)\].*?Datatype: (\w+)", group):
            sides = [int(side) for side in dimensions.split(",") if side]
            total[kind] += math.prod(sides) * SIZES.get(kind, 0)
    return dict(total)


def _nodes(metadata: str) -> list[str]:
    return re.findall(r"\[ONNX Layer: ([^\]]+)\]", metadata)


def _reads(inputs: list[dict[str, Any]]) -> str | None:
    """The data type of the first input, which stands alone or in the words of a format."""
    if not inputs:
        return None
    reported = str(inputs[0].get("Format/Datatype") or inputs[0].get("Datatype") or "")
    for name, pattern in INSPECTED_TYPES.items():
        if re.search(rf"\b({pattern})\b", reported, re.IGNORECASE):
            return name
    return None  # Such as "N/A due to dynamic shapes".
