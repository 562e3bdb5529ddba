"""Makes an .onnx detector of a run, checked against torch; or of a system that is not trained, for its speed."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.artifact import Manifest, read_json, sha256
from edgekd.cli.arguments import between, positive
from edgekd.cli.output import answer, notes
from edgekd.cli.precision import (
    INT8,
    add_precision_arguments,
    check_precision,
    float_scores_of,
    lower_for,
    write_chosen,
)
from edgekd.cli.triton import add_triton_arguments, plan_triton, serve_artifact, write_and_report
from edgekd.engines.triton_config import TritonModel
from edgekd.engines.triton_repository import refuse_other_model
from edgekd.errors import EdgekdError, unknown_name

if TYPE_CHECKING:
    from edgekd.models.detector import Detector
    from edgekd.recipe import TrainingRecipe

DETECTOR_FILE = "detector.onnx"
PARITY_FRAMES = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        metavar="SYSTEM|RUN|FILE",
        help="a system (untrained), the folder of a run, or with --triton an artifact",
    )
    parser.add_argument("--batch", default="1", metavar="N|dynamic", help="frames a batch (default: 1)")
    parser.add_argument("--size", type=positive, help="side of a frame of an untrained system (default: 256)")
    parser.add_argument(
        "--output", type=Path, help="default: detector.onnx (_fp16, _int8) in the run, or SYSTEM.onnx here"
    )
    parser.add_argument(
        "--false-reject-rate",
        type=between(0.0, 0.5),
        default=0.01,
        help="share of good images that the threshold may reject (default: 0.01)",
    )
    add_precision_arguments(parser)
    add_triton_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    from edgekd.models.registry import SYSTEMS

    check_precision(arguments)
    batch = _batch(arguments.batch)
    folder = Path(arguments.what)
    if arguments.what not in SYSTEMS and folder.is_file():
        serve_artifact(arguments, folder)
        return 0
    if arguments.what in SYSTEMS:
        output = _onnx(arguments.output or Path(named(f"{arguments.what}.onnx", arguments.precision)))
        served = plan_triton(arguments, output, batch)
        manifest = _export_untrained(arguments, batch, output, served)
    elif folder.is_dir():
        if arguments.size:
            raise EdgekdError("a run keeps the size it was trained with: leave --size out, or train with another")
        output = _onnx(arguments.output or folder / named(DETECTOR_FILE, arguments.precision))
        served = plan_triton(arguments, output, batch)
        manifest = _export_run(arguments, folder, batch, output, served)
    else:
        raise EdgekdError(f"{unknown_name('system', arguments.what, SYSTEMS)}; and there is no run of that name")
    _report(output, manifest)
    if served is not None:
        write_and_report(served, output, manifest)
    return 0


def named(file: str, precision: str) -> str:
    """The name of an artifact in a precision: x.onnx, x_fp16.onnx, x_int8.onnx, x_int8_fp16.onnx."""
    return file if precision == "fp32" else f"{Path(file).stem}_{precision}{Path(file).suffix}"


def _export_untrained(
    arguments: argparse.Namespace, batch: int | None, output: Path, served: TritonModel | None
) -> Manifest:
    from edgekd.data.generated_images import made_frames
    from edgekd.graph.export import export_detector
    from edgekd.recipe import TrainingRecipe
    from edgekd.training.run import untrained_detector

    system, size = arguments.what, arguments.size or 256
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
        "parity_images": "made ones",
    }
    if served is not None:
        refuse_other_model(served, {"system": system, "precision": arguments.precision, **origin})
    frames = made_frames(batch or PARITY_FRAMES, size)
    lower, chosen = lower_for(arguments, detector, recipe, output)
    manifest = export_detector(detector, system, size, batch, frames, output, origin, lower)
    write_chosen(output, chosen)
    return manifest


def _export_run(
    arguments: argparse.Namespace, folder: Path, batch: int | None, output: Path, served: TritonModel | None
) -> Manifest:
    from edgekd.data.good_images import read_frames
    from edgekd.graph.export import export_detector
    from edgekd.recipe import held_out_images
    from edgekd.run_folder import RECIPE_FILE, STUDENT_FILE, TEACHER_CARDS_FILE, TEACHER_FILE
    from edgekd.training.run import load_run, training_images

    detector, recipe = load_run(folder)
    held_out = held_out_images(recipe)
    images = held_out or training_images(recipe)
    count = batch or PARITY_FRAMES
    frames = read_frames([images[index % len(images)] for index in range(count)], recipe.size, recipe.resize)
    made_from = {name: sha256(folder / name) for name in (RECIPE_FILE, STUDENT_FILE, TEACHER_FILE)}
    origin = {
        "trained": True,
        "resize": {"rule": recipe.resize},
        "made_from": made_from,
        "iterations": recipe.iterations,
        "teachers": read_json(folder / TEACHER_CARDS_FILE),
        "calibration": None,
        "threshold": None,
        "parity_images": f"{'held-out' if held_out else 'training'} good images of the run",
    }
    if served is not None:
        refuse_other_model(served, {"system": recipe.system, "precision": arguments.precision, **origin})
    if recipe.quantization_aware_from is not None and arguments.precision not in INT8:
        notes.print(f"this run learned as INT8 computes; in {arguments.precision} it is not what was trained")
    lower, chosen = lower_for(arguments, detector, recipe, output)

    def settle(artifact: Path) -> dict[str, Any]:
        return {"threshold": _threshold(artifact, detector, recipe, arguments)}

    manifest = export_detector(detector, recipe.system, recipe.size, batch, frames, output, origin, lower, settle)
    write_chosen(output, chosen)
    return manifest


def _threshold(
    artifact: Path, detector: Detector, recipe: TrainingRecipe, arguments: argparse.Namespace
) -> dict[str, Any] | None:
    """The threshold of the artifact that ships, from held-out good images; below float32 it is carried over."""
    from edgekd.recipe import held_out_images
    from edgekd.verdicts.threshold import FEWEST_IMAGES, carried_threshold, threshold_from_good

    images, false_reject_rate = held_out_images(recipe), arguments.false_reject_rate
    if len(images) < FEWEST_IMAGES:
        return None
    scores = _scores(artifact, images)
    if arguments.precision == "fp32" or recipe.quantization_aware_from is not None:
        return asdict(threshold_from_good(scores, false_reject_rate))
    float_scores = float_scores_of(detector, images, recipe.size, recipe.resize)
    return asdict(carried_threshold(threshold_from_good(float_scores, false_reject_rate), float_scores, scores))


def _scores(artifact: Path, images: list[Path]) -> list[float]:
    from edgekd.engines import open_engine
    from edgekd.runner import inspect_stream
    from edgekd.runner.sources import image_frames

    with open_engine(artifact) as engine:
        answers = list(inspect_stream(engine, image_frames(images), threshold=float("inf")))
    failed = [reply for reply in answers if reply.result.error]
    if failed:
        raise EdgekdError(f"cannot set the threshold: {failed[0].result.error}")
    return [reply.result.score for reply in answers]


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
    if manifest["precision"] != "fp32":
        noise = max(figures["noise"] for figures in manifest["agreement"].values())
        answer.print(f"that was in float32; {manifest['precision']} adds noise of {noise:.2g} of the map's deviation")
    if manifest["precision"] in INT8:
        _report_layers(manifest["quantization"])
    threshold = manifest["threshold"]
    if threshold is not None:
        answer.print(
            f"threshold {threshold['value']:.6g}, for {threshold['false_reject_rate']:.1%} false rejects: "
            f"{threshold['origin']}",
            soft_wrap=True,
        )
    elif manifest["trained"]:
        answer.print("no threshold: too few good images were held out; give one to edgekd inspect --threshold")


def _report_layers(quantization: dict[str, Any]) -> None:
    maps = [f"the map of {name}" for name in quantization["maps_in_float"]]
    in_float, by_rule = quantization["layers_in_float"] + maps, quantization["in_float_by_rule"]
    left = f"; left in float for the drift: {', '.join(in_float)}" if in_float else ""
    answer.print(f"{len(quantization['layers_in_int8'])} convolutions in INT8{left}", soft_wrap=True)
    for reason in sorted(set(by_rule.values())):
        names = [name for name, why in by_rule.items() if why == reason]
        answer.print(f"{len(names)} in float by rule, {reason}", soft_wrap=True)
