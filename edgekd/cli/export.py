"""Makes an .onnx detector of a run, checked against torch; or of a system that is not trained, for its speed."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgekd.artifact import Manifest, read_json, sha256, write_manifest
from edgekd.cli.arguments import between, positive
from edgekd.cli.output import answer, notes
from edgekd.errors import EdgekdError, unknown_name

DETECTOR_FILE = "detector.onnx"
PARITY_FRAMES = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="SYSTEM|RUN", help="a system (untrained), or the folder of a run")
    parser.add_argument("--batch", default="1", metavar="N|dynamic", help="frames a batch (default: 1)")
    parser.add_argument("--size", type=positive, help="side of a frame of an untrained system (default: 256)")
    parser.add_argument("--output", type=Path, help="default: detector.onnx in the run, or SYSTEM.onnx here")
    parser.add_argument(
        "--false-reject-rate",
        type=between(0.0, 0.5),
        default=0.01,
        help="share of good pictures that the threshold may reject (default: 0.01)",
    )


def run(arguments: argparse.Namespace) -> int:
    from edgekd.models.registry import SYSTEMS

    batch = _batch(arguments.batch)
    folder = Path(arguments.what)
    if arguments.what in SYSTEMS:
        output = _onnx(arguments.output or Path(f"{arguments.what}.onnx"))
        manifest = _export_untrained(arguments.what, arguments.size or 256, batch, output)
    elif folder.is_dir():
        if arguments.size:
            raise EdgekdError("a run keeps the size it was trained with: leave --size out, or train with another")
        output = _onnx(arguments.output or folder / DETECTOR_FILE)
        manifest = _export_run(folder, batch, output)
        manifest["threshold"] = _set_threshold(folder, output, arguments.false_reject_rate)
        write_manifest(output, manifest)
    else:
        raise EdgekdError(f"{unknown_name('system', arguments.what, SYSTEMS)}; and there is no run of that name")
    _report(output, manifest)
    return 0


def _export_untrained(system: str, size: int, batch: int | None, output: Path) -> Manifest:
    from edgekd.data.made_pictures import made_frames
    from edgekd.graph.export import export_detector
    from edgekd.recipe import TrainingRecipe
    from edgekd.training.run import untrained_detector

    recipe = TrainingRecipe(system, "", {}, iterations=0, size=size)
    detector = untrained_detector(recipe)
    notes.print(
        f"{system} is exported untrained, with {' + '.join(detector.pretrained())} for a teacher: "
        "its speed is real, its answers mean nothing"
    )
    origin = {
        "trained": False,
        "made_from": {"seed": recipe.seed},
        "teachers": [],
        "calibration": None,
        "threshold": None,
        "parity_pictures": "made ones",
    }
    return export_detector(detector, system, size, batch, made_frames(batch or PARITY_FRAMES, size), output, origin)


def _export_run(folder: Path, batch: int | None, output: Path) -> Manifest:
    from edgekd.data.good_pictures import read_frames
    from edgekd.graph.export import export_detector
    from edgekd.recipe import RECIPE_FILE
    from edgekd.training.run import (
        STUDENT_FILE,
        TEACHER_CARDS,
        TEACHER_FILE,
        held_out_pictures,
        load_run,
        training_pictures,
    )

    detector, recipe = load_run(folder)
    pictures = held_out_pictures(recipe) or training_pictures(recipe)
    count = batch or PARITY_FRAMES
    frames = read_frames([pictures[index % len(pictures)] for index in range(count)], recipe.size)
    made_from = {name: sha256(folder / name) for name in (RECIPE_FILE, STUDENT_FILE, TEACHER_FILE)}
    origin = {
        "trained": True,
        "made_from": made_from,
        "iterations": recipe.iterations,
        "teachers": read_json(folder / TEACHER_CARDS),
        "calibration": None,
        "threshold": None,
        "parity_pictures": "held-out good pictures of the run",
    }
    return export_detector(detector, recipe.system, recipe.size, batch, frames, output, origin)


def _set_threshold(folder: Path, artifact: Path, false_reject_rate: float) -> dict[str, Any] | None:
    """The threshold of the artifact that ships, from its own scores of the run's held-out good pictures."""
    from edgekd.engines import open_engine
    from edgekd.metrics.threshold import FEWEST_PICTURES, threshold_from_good
    from edgekd.recipe import read_recipe
    from edgekd.runner import inspect_stream
    from edgekd.runner.sources import picture_frames
    from edgekd.training.run import held_out_pictures

    recipe = read_recipe(folder)
    pictures = held_out_pictures(recipe)
    if len(pictures) < FEWEST_PICTURES:
        return None
    with open_engine(artifact) as engine:
        answers = list(inspect_stream(engine, picture_frames(pictures), threshold=float("inf")))
    failed = [reply for reply in answers if reply.result.error]
    if failed:
        raise EdgekdError(f"cannot set the threshold: {failed[0].result.error}")
    return asdict(threshold_from_good([reply.result.score for reply in answers], false_reject_rate))


def _batch(text: str) -> int | None:
    if text == "dynamic":
        return None
    if not text.isdigit() or int(text) < 1:
        raise EdgekdError(f"--batch '{text}' is neither a whole number from 1 upward nor dynamic")
    return int(text)


def _onnx(output: Path) -> Path:
    if output.suffix != ".onnx":
        raise EdgekdError(f"--output {output} must end in .onnx")
    return output


def _report(output: Path, manifest: Manifest) -> None:
    worst = max(figures["map"] for figures in manifest["parity"].values())
    answer.print(f"wrote {output}: {manifest['macs'] / 1e9:.2f} GMACs, within {worst:.1e} of torch's map range")
    threshold = manifest["threshold"]
    if threshold is not None:
        answer.print(
            f"threshold {threshold['value']:.6g}, from {threshold['good_pictures']} held-out good pictures "
            f"for at most {threshold['false_reject_rate']:.1%} false rejects"
        )
    elif manifest["trained"]:
        answer.print("no threshold: too few good pictures were held out; give one to edgekd inspect --threshold")
