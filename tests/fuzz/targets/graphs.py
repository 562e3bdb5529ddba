"""ONNX graphs beside a manifest that names their hash: bytes changed, and graphs that are well formed but odd."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.fuzz.case import Case, Target, WrongAnswerError
from tests.fuzz.mutations import Draw, mutated
from tests.fuzz.seeds import part

OPERATORS = (
    "Loop",
    "If",
    "Scan",
    "NonZero",
    "Identity",
    "Expand",
    "Tile",
    "ConstantOfShape",
    "Pad",
    "Sqrt",
    "Shape",
    "X",
)


@st.composite
def graph_cases(draw: Draw, seeds: Path) -> Case:
    whole = (seeds / "small.onnx").read_bytes()
    graph = draw(mutated([whole])) if draw(st.booleans()) else _changed(draw, whole)
    manifest = json.loads((seeds / "small.json").read_text()) | {"sha256": hashlib.sha256(graph).hexdigest()}
    backend = draw(st.sampled_from(("onnxruntime", "onnxruntime", "openvino")))
    return Case({"small.onnx": graph, "small.json": json.dumps(manifest).encode()}, {"backend": backend})


def _changed(draw: Draw, whole: bytes) -> bytes:
    """A graph with nodes, shapes, types, attributes or weights of another kind."""
    import onnx

    model = onnx.load_from_string(whole)
    graph = model.graph
    for _ in range(draw(st.integers(1, 3))):
        node = draw(st.sampled_from(list(graph.node))) if graph.node else None
        what = draw(
            st.sampled_from(
                ("operator", "drop", "double", "dimension", "type", "opset", "attribute", "weights", "name")
            )
        )
        if what == "operator" and node is not None:
            node.op_type = draw(st.sampled_from(OPERATORS))
        elif what == "drop" and node is not None:
            graph.node.remove(node)
        elif what == "double" and node is not None:
            graph.node.add().CopyFrom(node)
        elif what == "dimension":
            value = draw(st.sampled_from([*graph.input, *graph.output]))
            dimension = draw(st.sampled_from(list(value.type.tensor_type.shape.dim)))
            dimension.dim_value = draw(st.sampled_from((-1, 0, 2, 31, 4096, 1 << 31, 1 << 62)))
        elif what == "type":
            draw(st.sampled_from([*graph.input, *graph.output])).type.tensor_type.elem_type = draw(st.integers(0, 25))
        elif what == "opset":
            model.opset_import[0].version = draw(st.sampled_from((0, 1, 7, 13, 99, 1 << 40)))
        elif what == "attribute" and node is not None and node.attribute:
            attribute = draw(st.sampled_from(list(node.attribute)))
            attribute.i = draw(st.sampled_from((-1, 0, 1 << 31, 1 << 62)))
            attribute.ints[:] = draw(st.lists(st.sampled_from((-1, 0, 1, 2, 1 << 31, 1 << 62)), max_size=5))
        elif what == "weights":
            weights = draw(st.sampled_from(list(graph.initializer)))
            weights.dims[:] = draw(st.lists(st.sampled_from((0, 1, 3, 4, 1 << 20, 1 << 40)), max_size=4))
            if draw(st.booleans()):
                weights.raw_data = weights.raw_data[: draw(st.integers(0, len(weights.raw_data)))]
        elif what == "name":
            draw(st.sampled_from([*graph.input, *graph.output])).name = draw(
                st.sampled_from(("", "x", "score", "frames"))
            )
    return bytes(model.SerializeToString())


def run_graph(values: Mapping[str, Any], folder: Path) -> None:
    from edgekd import Inspector
    from edgekd.result import Verdict

    with Inspector(folder / "small.onnx", backend=values["backend"], threads=1, readers=1) as inspector:
        result = inspector(part(40))
    if result.verdict is Verdict.ERROR:
        if not result.error:
            raise WrongAnswerError("an ERROR without a reason")
    elif not np.isfinite(result.score) or result.anomaly_map is None or not np.isfinite(result.anomaly_map).all():
        raise WrongAnswerError(f"{result.verdict.value} with a score of {result.score} or a map that is not finite")


TARGETS = (Target("graphs", "engines/", graph_cases, run_graph, smoke=10),)
