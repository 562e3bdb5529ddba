"""What a built engine consists of: its layers, what each reads, and which nodes of the graph it computes."""

from __future__ import annotations

import json
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


class Layer(NamedTuple):
    """A layer of an engine.

    Attributes:
        name: TensorRT's own.
        kind: Such as "correlation", which is a convolution, or "kgen", which is a kernel of many small steps.
        reads: The data type of its first input, such as "Int8", "Half" or "Float"; None where it has none,
            or where it is not told.
        nodes: The graph's nodes that it computes, or computes a part of.
    """

    name: str
    kind: str
    reads: str | None
    nodes: list[str]

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution kernel."""
        return self.kind == "correlation" or "convolution" in self.kind.lower()


def layers_listed(lines: Iterable[str]) -> list[Layer]:
    """The layers in the list that the builder of TensorRT for RTX logs, a line each.

    Args:
        lines: Lines that tell of no layer are passed over.
    """
    layers = []
    for line in lines:
        start = re.match(r"Name: (.*?), LayerType: (\w+)", line)
        if start is not None:
            first = re.search(r"Inputs: \[ \{ .*?Datatype: (\w+)", line)
            layers.append(Layer(start[1], start[2], first[1] if first else None, _nodes(line)))
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


def _nodes(metadata: str) -> list[str]:
    return re.findall(r"\[ONNX Layer: ([^\]]+)\]", metadata)


def _reads(inputs: list[dict[str, Any]]) -> str | None:
    """The data type of the first input, which stands alone or in the words of a format."""
    if not inputs:
        return None
    said = str(inputs[0].get("Format/Datatype") or inputs[0].get("Datatype") or "")
    for name, pattern in INSPECTED_TYPES.items():
        if re.search(rf"\b({pattern})\b", said, re.IGNORECASE):
            return name
    return None  # Such as "N/A due to dynamic shapes".
