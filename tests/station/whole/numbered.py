"""Images of parts that carry a number, and detectors whose score holds it: what shows whose image was judged by what.

A detector made by hand scores an image by its brightest spot. Into the fraction of the score goes the number that the
image carries, and above it the job: so a PLC can read out of a score which image was judged by which recipe.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgekd.station.recipe_making import make_recipe
from edgekd.station.recipe_release import release
from edgekd.verdicts.image_checks import learn_checks, statistics

from ...engines.hand_made import graph, save

IMAGE_SIDE, SIDE = 128, 32  # Of an image, and of the detector's frame.
BITS, SQUARE = 14, 8  # The number's bits, and the pixels of each; four of the image are one of the frame.
NUMBERS = 1 << BITS
WHITE = 200
HEAD = 8  # Rows of the frame that hold the number.
THRESHOLD, MEDIAN = 180.0, 140.0
JOB_APART = 300  # What the scores of two jobs differ by.


class Read(NamedTuple):
    """What a score tells."""

    job: int
    number: int
    defective: bool


def part_image(number: int, defective: bool = False) -> NDArray[np.uint8]:
    """An image of a part.

    Args:
        number: That it carries, of which it keeps the last 14 bits.
        defective: Whether it has a bright spot.
    """
    rows, columns = np.mgrid[:IMAGE_SIDE, :IMAGE_SIDE]
    relief = 100 + 20 * np.sin(rows / 3.0) * np.cos(columns / 4.0)
    image = relief[..., None] + np.random.default_rng(number).normal(0, 4, (IMAGE_SIDE, IMAGE_SIDE, 3))
    if defective:
        image[64:84, 40:60] = 225
    image[: HEAD * 4] = 100
    for place in range(BITS):
        image[:SQUARE, place * SQUARE : (place + 1) * SQUARE] = WHITE * (number >> place & 1)
    return image.clip(0, 255).astype(np.uint8)


def number_in(image: NDArray[np.uint8]) -> int:
    """The number that an image carries; compression does not harm it."""
    means = [image[1 : SQUARE - 1, place * SQUARE + 1 : (place + 1) * SQUARE - 1].mean() for place in range(BITS)]
    return sum(1 << place for place, mean in enumerate(means) if mean > WHITE / 2)


def read_score(score: float) -> Read:
    """What a score tells of its image and its recipe."""
    level = math.floor(score)
    job = level // JOB_APART + 1
    return Read(job, round((score - level) * NUMBERS), level - (job - 1) * JOB_APART > THRESHOLD)


def released_recipe(
    recipes: Path,
    job: int = 1,
    *,
    cameras: tuple[str, ...] = ("top",),
    preload: bool = False,
    deadline_ms: float = 6000,
    **changes: Any,
) -> Path:
    """Makes a recipe from a detector and images as a user does, and releases it.

    Args:
        recipes: Folder of the recipes.
        job: Of the recipe.
        cameras: That see a part.
        preload: Whether it is held ready.
        deadline_ms: From trigger to answer; a camera has two thirds of it.
        changes: Other entries of recipe.toml, by tables, such as `keep={"ok_every": 1}`.
    """
    import tomlkit

    work = recipes.parent / f"made_of_{job}"
    for name, defective in (("good", False), ("ng", True)):
        (work / name).mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(work / name / f"{number}.png"), part_image(NUMBERS - 1 - number, defective))
    folder = make_recipe(
        _detector(work, job), recipes, f"part{job}", job, cameras=cameras, good=work / "good", ng=work / "ng",
        deadline_ms=deadline_ms,
    )  # fmt: skip
    document = tomlkit.parse((folder / "recipe.toml").read_text())
    tables: dict[str, dict[str, Any]] = {
        "detector": {"backend": "onnxruntime", "threads": 1},
        "keep": {"ok_every": 1, "ok_first": 0},
        **changes,
    }
    for table, entries in tables.items():
        for key, value in entries.items():
            document[table][key] = value
    for name in cameras:
        document["cameras"][name].update({"trigger": "hardware", "timeout_ms": deadline_ms * 2 / 3})
    document["preload"] = preload
    (folder / "recipe.toml").write_text(tomlkit.dumps(document))
    release(folder, "tester", "for tests")
    return folder


def _detector(folder: Path, job: int) -> Path:
    apart = JOB_APART * (job - 1)
    body = np.zeros((1, SIDE, SIDE), np.float32)
    body[:, HEAD:] = 1
    weights = np.zeros((1, SIDE, SIDE), np.float32)
    for place in range(BITS):
        weights[0, 0, place * 2] = (1 << place) / NUMBERS
    nodes = (
        helper.make_node("Mul", ["grey", "body"], ["seen"]),
        helper.make_node("ReduceMax", ["seen", "pixels"], ["brightest"], keepdims=0),
        helper.make_node("Cast", ["brightest"], ["whole"], to=TensorProto.INT32),
        helper.make_node("Cast", ["whole"], ["level"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["grey", "half"], ["above"]),
        helper.make_node("Clip", ["above", "zero", "one"], ["bits"]),
        helper.make_node("Mul", ["bits", "weights"], ["weighed"]),
        helper.make_node("ReduceSum", ["weighed", "pixels"], ["number"], keepdims=0),
        helper.make_node("Add", ["level", "apart"], ["base"]),
        helper.make_node("Add", ["base", "number"], ["score"]),
    )
    constants = {
        "body": body,
        "weights": weights,
        "half": np.array(WHITE / 2, np.float32),
        "zero": np.array(0, np.float32),
        "one": np.array(1, np.float32),
        "apart": np.array(apart, np.float32),
    }
    good = [part_image(number) for number in (0, NUMBERS - 1, *range(1, 19))]
    return save(
        graph(nodes, constants, side=SIDE),
        folder,
        THRESHOLD + apart,
        MEDIAN + apart,
        image_checks=learn_checks([statistics(image) for image in good]),
    )
