"""Recipes around detectors made by hand, and images of parts: what the inspector's tests judge with real engines.

The detector's map is the grey value of each pixel and its score the highest: a bright spot is a defect.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from onnx import helper

from edgekd.station.recipe_release import release
from edgekd.verdicts.image_checks import learn_checks, statistics

from ...engines.hand_made import graph, save

SIDE, HEIGHT, WIDTH = 32, 64, 96
THRESHOLD = 180.0
DARKEST_SCORED = 40.0  # By `nan_when_dark`.

RECIPE = """\
id = "{id}"
job = {job}
revision = {revision}
product = "plate"
deadline_ms = {deadline_ms}
preload = {preload}

[detector]
artifact = "x.onnx"
backend = "{backend}"
threads = 1
{detector}
{cameras}
[self_tests]
references = [
    {{ image = "good.png", verdict = "OK", lowest = 80.0, highest = {highest} }},
    {{ image = "bad.png", verdict = "NG", lowest = 200.0, highest = 255.0 }},
]
"""
CAMERA = """
[cameras.{name}]
trigger = "{trigger}"
timeout_ms = {timeout_ms}
"""


def good_part(seed: int = 0) -> np.ndarray:
    """An image of a good part; no two seeds give the same."""
    return _part(seed).astype(np.uint8)


def bad_part(seed: int = 0, level: int = 220) -> np.ndarray:
    """An image of a part with a bright spot of about a level."""
    part = _part(seed)
    part[24:36, 40:52] += level - 100
    return part.clip(0, 255).astype(np.uint8)


def _part(seed: int) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    relief = 100 + 20 * np.sin(rows / 3.0) * np.cos(columns / 4.0)
    return relief[..., None] + np.random.default_rng(seed).normal(0, 4, (HEIGHT, WIDTH, 3))


def nan_when_dark():
    """Nodes of a detector whose score is no number for images without a pixel above 40."""
    return (
        helper.make_node("ReduceMax", ["grey", "pixels"], ["brightest"], keepdims=0),
        helper.make_node("Sub", ["brightest", "dark"], ["over"]),
        helper.make_node("Sqrt", ["over"], ["root"]),
        helper.make_node("Mul", ["root", "root"], ["square"]),
        helper.make_node("Add", ["square", "dark"], ["score"]),
    )


def make_recipe(
    recipes: Path,
    job: int = 1,
    *,
    id: str | None = None,
    revision: int = 1,
    cameras: tuple[str, ...] = ("top",),
    trigger: str = "software",
    timeout_ms: float = 4000,
    deadline_ms: float = 5000,  # The tests' machine is busy.
    backend: str = "onnxruntime",
    preload: bool = False,
    detector: str = "",
    highest: float = 170.0,
    checks: bool = True,
    nodes=(),
    released: bool = True,
    **manifest,
) -> Path:
    """Makes a recipe and releases it.

    Args:
        recipes: Folder of recipes.
        job, id, revision, cameras, trigger, timeout_ms, deadline_ms, backend, preload: Of the recipe.
        detector: More lines of its table.
        highest: Score of the good reference.
        checks: Whether the artifact checks images.
        nodes: More nodes of the graph.
        released: Whether to release it.
        manifest: Entries of the artifact's manifest.
    """
    id = id or f"plate{job}"
    folder = recipes / id / str(revision)
    folder.mkdir(parents=True)
    model = graph(nodes, {"dark": np.array(DARKEST_SCORED, np.float32)} if nodes else None, side=SIDE)
    learned = learn_checks([statistics(good_part(seed)) for seed in range(20)])
    entries = {"image_checks": learned if checks else None, "pixel_limit": {"value": 150.0}}
    save(model, folder, THRESHOLD, **(entries | manifest))
    cv2.imwrite(str(folder / "good.png"), good_part(100))
    cv2.imwrite(str(folder / "bad.png"), bad_part(101))
    text = RECIPE.format(
        id=id,
        job=job,
        revision=revision,
        backend=backend,
        preload=str(preload).lower(),
        deadline_ms=deadline_ms,
        detector=detector,
        cameras="".join(CAMERA.format(name=name, trigger=trigger, timeout_ms=timeout_ms) for name in cameras),
        highest=highest,
    )
    (folder / "recipe.toml").write_text(text)
    if released:
        release(folder, "tester", "for tests")
    return folder
