"""Small detectors made by hand, with manifests of their own: what a damaged or foreign graph is made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgekd.artifact import write_manifest

SIDE = 16
# The grey value of each pixel is the map, and the highest one the score.
GREY = (
    helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
    helper.make_node("ReduceMean", ["floats", "channels"], ["grey"], keepdims=0),
)
MEAN = helper.make_node("ReduceMean", ["grey", "pixels"], ["mean"], keepdims=0)
AXES = {"channels": np.array([3]), "pixels": np.array([1, 2])}


def graph(nodes=(), constants=None, batch=1, side=SIDE):
    """A graph of `grey` and what `nodes` make of it; what they leave out of the outputs is made of the grey values.

    Args:
        nodes: Beyond those that make `grey`.
        constants: Arrays by their names, besides `channels` and `pixels`.
        batch: Frames a batch; a name for any.
        side: Of a frame.
    """
    made = {name for node in nodes for name in node.output}
    rest = []
    if "anomaly_map" not in made:
        rest.append(helper.make_node("Relu", ["grey"], ["anomaly_map"]))
    if "score" not in made:
        rest.append(helper.make_node("ReduceMax", ["grey", "pixels"], ["score"], keepdims=0))
    arrays = AXES | (constants or {})
    shapes = {"frames": [batch, side, side, 3], "score": [batch], "anomaly_map": [batch, side, side]}
    kinds = {"frames": TensorProto.UINT8}
    values = {name: helper.make_tensor_value_info(name, kinds.get(name, 1), shape) for name, shape in shapes.items()}
    made_graph = helper.make_graph(
        [*GREY, *nodes, *rest],
        "g",
        [values["frames"]],
        [values["score"], values["anomaly_map"]],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(made_graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def save(
    model: onnx.ModelProto | bytes, folder: Path, threshold: float = 1e6, median_good: float = 0.0, **changes
) -> Path:
    """Writes a graph with a manifest that is right for it.

    Args:
        model: The graph, or the content of the file.
        folder: For both files.
        threshold: Of the manifest.
        median_good: Likewise: the score of a typical good image.
        changes: Entries of the manifest.
    """
    path = folder / "x.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    batch, side = 1, SIDE
    if not isinstance(model, bytes):
        dims = model.graph.input[0].type.tensor_type.shape.dim
        batch, side = dims[0].dim_value or "batch", dims[1].dim_value
    manifest = {
        "system": "hkt",
        "precision": "fp32",
        "trained": True,
        "iterations": 1,
        "macs": 1,
        "made_from": {},
        **described(batch, side),
        "resize": {"rule": "area"},
        "threshold": {"value": threshold, "origin": "by hand", "false_reject_rate": 0.01, "median_good": median_good},
        "pixel_limit": {"value": 150.0},
    }
    write_manifest(path, manifest | changes)
    return path


def described(batch: int | str, side: int) -> dict[str, Any]:
    """Inputs and outputs as a manifest has them."""
    return {
        "inputs": {"frames": {"dtype": "uint8", "shape": [batch, side, side, 3]}},
        "outputs": {
            "score": {"dtype": "float32", "shape": [batch]},
            "anomaly_map": {"dtype": "float32", "shape": [batch, side, side]},
        },
    }


def grey_frame(level: int, side: int = SIDE) -> np.ndarray:
    """An image of one grey level."""
    return np.full((side, side, 3), level, np.uint8)
