"""The JSON files that edgekd writes and reads again: manifests, recipes, calibration sets, teachers' cards, records."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st

from edgekd.errors import EdgekdError
from tests.fuzz.case import Case, Target, WrongAnswerError
from tests.fuzz.documents import mutated_json
from tests.fuzz.mutations import Draw, mutated
from tests.fuzz.seeds import part

IMAGE = cv2.imencode(".png", part(40))[1].tobytes()


@st.composite
def manifest_cases(draw: Draw, seeds: Path) -> Case:
    manifest = json.loads((seeds / "small.json").read_text())
    files = {"small.onnx": (seeds / "small.onnx").read_bytes(), "small.json": draw(mutated_json(manifest))}
    return Case(files | {"images/a.png": IMAGE}, {"threshold": draw(st.sampled_from((None, None, 1.0)))})


def run_manifest(values: Mapping[str, Any], folder: Path) -> None:
    from edgekd import Inspector
    from edgekd.result import Verdict

    graph = folder / "small.onnx"
    with Inspector(graph, backend="onnxruntime", threads=1, readers=1, threshold=values["threshold"]) as inspector:
        results = [inspector(part(40, seed)) for seed in range(2)]
        results += [answer.result for answer in inspector.stream(folder / "images", maps="all")]
    for result in results:
        json.dumps(result.to_dict(), allow_nan=False)
        if result.verdict is not Verdict.ERROR and not np.isfinite(result.score):
            raise WrongAnswerError(f"{result.verdict.value} with a score of {result.score}")
        if result.verdict is Verdict.ERROR and not result.error:
            raise WrongAnswerError("an ERROR without a reason")


@st.composite
def recipe_cases(draw: Draw, seeds: Path) -> Case:
    recipe = json.loads((seeds / "recipe.json").read_text())
    recipe |= {"data": "images", "held_out": ["a.png"]}
    return Case({"recipe.json": draw(mutated_json(recipe)), "images/a.png": IMAGE})


def run_recipe(values: Mapping[str, Any], folder: Path) -> None:
    """What resuming, exporting and evaluating a run do with its recipe before they read weights."""
    import torch

    from edgekd.data.preparing import prepare
    from edgekd.models.registry import find_system, require_legal_size
    from edgekd.recipe import held_out_images, read_recipe
    from edgekd.workflows.train import TrainOptions
    from edgekd.workflows.training_recipe import require_same_recipe

    before = os.getcwd()
    os.chdir(folder)  # The recipe names its data relative to it.
    try:
        recipe = read_recipe(folder)
        with contextlib.suppress(EdgekdError):  # They differ, which it must find without falling over.
            require_same_recipe(TrainOptions(recipe.system, run=folder, resume=True, batch=2, crop="0,0,16,16"))
        held_out_images(recipe)
        if max(recipe.size) <= 1024:
            prepare(part(40), recipe.preprocessing)
        with torch.device("meta"):
            detector = find_system(recipe.system).detector(recipe.size, recipe.settings)
        require_legal_size(recipe.system, detector, recipe.size)
    finally:
        os.chdir(before)


@st.composite
def calibration_cases(draw: Draw) -> Case:
    images = {f"images/{number}.png": IMAGE + bytes(number) for number in range(9)}
    content = {
        "images": {name.removeprefix("images/"): hashlib.sha256(data).hexdigest() for name, data in images.items()},
        "root": "images",
        "choice": "k-centre",
        "seed": 0,
        "chosen_from": 9,
        "left_out": ["x.png"],
    }
    return Case(images | {"set.json": draw(mutated_json(content))})


def run_calibration(values: Mapping[str, Any], folder: Path) -> None:
    from edgekd.quantization.calibration_set import read_calibration_set

    chosen = read_calibration_set(folder / "set.json")
    if not all(path.is_file() for path in chosen.paths()):
        raise WrongAnswerError("a calibration set names an image that is not there")


@st.composite
def card_cases(draw: Draw, seeds: Path) -> Case:
    from safetensors.numpy import save

    weights = save({"weight": np.zeros((2, 2), np.float32)})
    card = {
        "teacher": "efficientad_small",
        "network": "pdn_small",
        "paper": "x",
        "licence": "Apache-2.0",
        "imported_from": "teacher_small.pth",
        "imported_sha256": "0" * 64,
        "hash_checked": False,
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    cards = json.loads((seeds / "teachers.json").read_text())
    files = {"efficientad_small.safetensors": weights, "efficientad_small.json": draw(mutated_json(card))}
    return Case(files | {"teachers.json": draw(mutated_json(cards))})


def run_card(values: Mapping[str, Any], folder: Path) -> None:
    from edgekd.training.teachers.loading import load_teacher
    from edgekd.training.teachers.store import read_stored

    before = os.environ.get("EDGEKD_TEACHERS")
    os.environ["EDGEKD_TEACHERS"] = str(folder)
    try:
        _, card = read_stored("efficientad_small")
        json.dumps(card)
        load_teacher("efficientad_small")
    finally:
        if before is None:
            del os.environ["EDGEKD_TEACHERS"]
        else:
            os.environ["EDGEKD_TEACHERS"] = before


@st.composite
def record_cases(draw: Draw) -> Case:
    """What `choose` and the measurement of back ends remember, and a dataset's own files."""
    choose = {
        "asked": {"minutes": 5.0},
        "images": "a digest",
        "rounds": [{"candidates": [["hkt", "128", ["pdn_small"]]], "minutes": 1.0}],
        "ceilings": {"pdn_small": [0.9, True]},
        "latency_ms": {"a": 1.0},
        "macs": {"a": 1000},
        "shipped": {"runs/a": ["runs/a/detector_int8.onnx", 0.9, 1.0]},
        "seconds": 4.0,
    }
    defects = [
        {"defect_name": "a", "pixel_value": 255, "saturation_threshold": 0.5, "relative_saturation": True},
        {"defect_name": "b", "pixel_value": 254, "saturation_threshold": 40, "relative_saturation": False},
    ]
    mask = cv2.imencode(".png", np.pad(np.full((10, 10), draw(st.sampled_from((255, 254, 7))), np.uint8), 20))[1]
    rows = ["object,split,label,image,mask"]
    rows += [f"c,train,normal,c/Data/Images/Normal/{name}.png," for name in "ab"]
    rows += ["c,test,normal,c/Data/Images/Normal/c.png,"]
    rows += ["c,test,anomaly,c/Data/Images/Anomaly/d.png,c/Data/Masks/Anomaly/d.png", ""]
    files = {f"c/Data/Images/{name}.png": IMAGE for name in ("Normal/a", "Normal/b", "Normal/c", "Anomaly/d")}
    files["c/Data/Masks/Anomaly/d.png"] = IMAGE
    files["split_csv/1cls.csv"] = draw(mutated(["\n".join(rows).encode()]))
    files |= {"choose/choose.json": draw(mutated_json(choose)), "loco/defects_config.json": draw(mutated_json(defects))}
    return Case(files | {"loco/masks/000.png": mask.tobytes()})


def run_record(values: Mapping[str, Any], folder: Path) -> None:
    from edgekd.data.layouts import read_category
    from edgekd.data.loco import read_regions, read_saturation_rules
    from edgekd.workflows.choose_record import open_record

    failures: list[EdgekdError] = []
    for read in (
        lambda: open_record(folder / "choose", {"minutes": 5.0}, "a digest"),
        lambda: read_regions(folder / "loco" / "masks", read_saturation_rules(folder / "loco")),
        lambda: read_category(folder / "c"),
    ):
        try:
            read()
        except EdgekdError as error:
            failures.append(error)
    if failures:
        raise failures[0]


TARGETS = (
    Target("manifests", "artifact.py, view.py, verdicts/, runner/inspector.py", manifest_cases, run_manifest),
    Target("recipes", "recipe.py, view.py, models/registry.py", recipe_cases, run_recipe),
    Target("calibration_sets", "quantization/calibration_set.py", lambda seeds: calibration_cases(), run_calibration),
    Target("teacher_cards", "training/teachers/", card_cases, run_card),
    Target(
        "records", "workflows/choose_record.py, data/loco.py, data/visa.py", lambda seeds: record_cases(), run_record
    ),
)
