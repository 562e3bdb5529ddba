"""A small detector whose engine fails where the frame asks for it: its first pixel says whether and how."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from edgekd.artifact import write_manifest
from edgekd.verdicts.threshold import threshold_from_good

SIDE = 32
THRESHOLD = 100.0  # Of the mean level of a spot: the marked frames have a white one, the others do not.
RAISES, NAN = (255, 0, 0), (0, 255, 0)  # First pixels, BGR: the inference ends with an error; the score is NaN.


def make_detector(folder: Path) -> Path:
    """Writes the detector and its manifest.

    Returns:
        The .onnx file.
    """
    import onnx

    path = folder / "faulty.onnx"
    path.write_bytes(bytes(_model().SerializeToString()))
    onnx.checker.check_model(str(path))
    frame, one = [1, SIDE, SIDE, 3], {"on": True}
    sides = {"width": [2 * SIDE, 2 * SIDE], "height": [2 * SIDE, 2 * SIDE], "shape": [1.0, 1.0]}
    threshold = asdict(threshold_from_good([49.0, 50.0, 51.0], 0.01))
    manifest = {
        "system": "hkt",
        "precision": "fp32",
        "inputs": {"frames": {"dtype": "uint8", "shape": frame, "layout": "NHWC, BGR"}},
        "outputs": {
            "score": {"dtype": "float32", "shape": [1]},
            "anomaly_map": {"dtype": "float32", "shape": [1, SIDE, SIDE]},
        },
        "resize": {"rule": "area-2"},
        "trained": True,
        "iterations": 1,
        "threshold": threshold | {"value": THRESHOLD, "median_good": 50.0},
        "pixel_limit": {"value": THRESHOLD},
        "image_checks": {"good_images": 10, "size": one | sides},
        "operators": sorted({node.op_type for node in _model().graph.node}),
        "made_from": {},
        "macs": 0,
    }
    write_manifest(path, manifest)
    return path


def _model() -> object:
    """Map: the mean level of 8 x 8 pixels; score: its highest, plus 0, NaN, or what no tensor holds."""
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, values: object, dtype: type) -> object:
        return numpy_helper.from_array(np.array(values, dtype), name)

    constants = [
        constant("from", [0, 0], np.int64),
        constant("to", [1, 1], np.int64),
        constant("axes", [1, 2], np.int64),
        constant("almost_white", 254, np.float32),
        constant("largest", 3e38, np.float32),
        constant("ten", 10, np.float32),
        constant("nothing", [0.0], np.float32),
        constant("all", [1, 2, 3], np.int64),
        constant("scales", [1, 1, 8, 8], np.float32),
        constant("first", [1], np.int64),
        constant("third", 0, np.int64),
        constant("second", 1, np.int64),
    ]
    node = helper.make_node
    nodes = [
        node("Cast", ["frames"], ["levels"], to=TensorProto.FLOAT),
        node("Transpose", ["levels"], ["planes"], perm=[0, 3, 1, 2]),
        node("ReduceMean", ["planes"], ["grey"], axes=[1], keepdims=1),
        node("AveragePool", ["grey"], ["means"], kernel_shape=[8, 8], strides=[8, 8]),
        node("Resize", ["means", "", "scales"], ["resized"], mode="nearest"),
        node("Squeeze", ["resized", "first"], ["anomaly_map"]),
        node("ReduceMax", ["anomaly_map"], ["highest"], axes=[1, 2], keepdims=0),
        node("Slice", ["levels", "from", "to", "axes"], ["corner"]),
        node("Sub", ["corner", "almost_white"], ["above"]),
        node("Relu", ["above"], ["asked"]),  # [1, 1, 1, 3]: 1 where the first pixel is white in a channel.
        node("Squeeze", ["asked", "pair"], ["channels"]),
        node("Gather", ["channels", "third"], ["raises"], axis=1),
        node("Gather", ["channels", "second"], ["nan"], axis=1),
        node("Cast", ["raises"], ["index"], to=TensorProto.INT64),
        node("Gather", ["nothing", "index"], ["zero"], axis=0),  # Index 1 is out of bounds.
        node("Mul", ["nan", "largest"], ["huge"]),
        node("Mul", ["huge", "ten"], ["infinite"]),
        node("Sub", ["infinite", "infinite"], ["zero_or_nan"]),
        node("Add", ["highest", "zero"], ["almost"]),
        node("Add", ["almost", "zero_or_nan"], ["score"]),
    ]
    constants.append(constant("pair", [1, 2], np.int64))
    constants = [each for each in constants if each.name != "all"]
    graph = helper.make_graph(
        nodes,
        "faulty",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, [1, SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, [1]),
            helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, [1, SIDE, SIDE]),
        ],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
