"""Valid files to begin with: a run that was trained for moments, its exported detector, and a small graph like it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np

from edgekd.artifact import sha256

SIDE = 32
LARGEST_KEPT = 1 << 20  # Bytes of a tensor file that is fuzzed: most of a large one is weights, where nothing happens.


def make_seeds(run: Path, folder: Path) -> Path:
    """Collects what targets begin with.

    Args:
        run: A run that was trained and exported. Nothing in it is changed.
        folder: Where to, an empty or new one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("recipe.json", "teachers.json"):
        shutil.copy(run / name, folder / name)
    graph = folder / "small.onnx"
    graph.write_bytes(small_graph())
    manifest = json.loads((run / "detector.json").read_text())
    shapes = {"frames": [1, SIDE, SIDE, 3], "score": [1], "anomaly_map": [1, SIDE, SIDE]}
    for kind in ("inputs", "outputs"):
        for name, entry in manifest[kind].items():
            entry["shape"] = shapes[name]
    manifest |= {"file": graph.name, "sha256": sha256(graph)}
    (folder / "small.json").write_text(json.dumps(manifest))
    return folder


def small_graph() -> bytes:
    """A graph with the inputs and outputs of a detector, of a few nodes."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    initializers = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(np.array([1], np.int64), "channel"),
        numpy_helper.from_array(np.array([1, 2], np.int64), "sides"),
        numpy_helper.from_array(np.array([1.0, 1.0, 2.0, 2.0], np.float32), "scales"),
    ]
    nodes = [
        helper.make_node("Cast", ["frames"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "weights"], ["features"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["features"], ["positive"]),
        helper.make_node("ReduceMean", ["positive"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Resize", ["mean", "", "scales"], ["resized"], mode="linear"),
        helper.make_node("Squeeze", ["resized", "channel"], ["anomaly_map"]),
        helper.make_node("ReduceMax", ["anomaly_map"], ["score"], axes=[1, 2], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, [1, SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, [1]),
            helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, [1, SIDE, SIDE]),
        ],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def part(side: int = 48, seed: int = 0) -> np.ndarray:
    """An image with structure at every scale, uint8 [H, W, 3]."""
    noise = np.random.default_rng(seed).integers(0, 256, (side, side + 8, 3), np.uint8)
    return np.asarray(cv2.addWeighted(noise, 0.3, cv2.GaussianBlur(noise, (0, 0), 5), 0.7, 0), np.uint8)


def make_run(folder: Path) -> Path:
    """Trains HKT for moments on images of its own and exports it, as `make fuzz` begins.

    Returns:
        The folder of the run.
    """
    import torch

    from edgekd.models.backbones.pdn import pdn
    from edgekd.recipe import TrainingRecipe
    from edgekd.training.run import start_run, train
    from edgekd.training.teachers.loading import load_teacher
    from edgekd.training.weight_files import write_weights
    from edgekd.workflows.export import export

    torch.set_num_threads(1)
    torch.manual_seed(7)
    teacher_file = folder / "tiny.safetensors"
    write_weights(teacher_file, {key: value.half() for key, value in pdn("pdn_small").state_dict().items()})
    (folder / "good").mkdir()
    for number in range(30):
        cv2.imwrite(str(folder / "good" / f"{number:03}.png"), part(64, number))
    teacher = load_teacher(str(teacher_file))
    settings = {"teacher": teacher.network}
    recipe = TrainingRecipe(
        "hkt", str(folder / "good"), {teacher.name: teacher.sha256}, iterations=4, size=64, batch=2, settings=settings
    )
    start_run(folder / "run", recipe, [teacher])
    train(folder / "run", torch.device("cpu"), lambda iteration, loss: None)
    export(folder / "run")
    return folder / "run"
