"""--precision and what INT8 needs besides: a calibration set, a method, a limit of drift."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekd.artifact import json_text
from edgekd.cli.arguments import between, not_negative, positive
from edgekd.cli.output import notes, steps_progress
from edgekd.errors import EdgekdError
from edgekd.precisions import CALIBRATION_METHODS

if TYPE_CHECKING:
    import onnx

    from edgekd.engines import Frames
    from edgekd.graph.export import Lower
    from edgekd.models.detector import Detector
    from edgekd.quantization.calibration_set import CalibrationSet
    from edgekd.recipe import TrainingRecipe

INT8 = ("int8", "int8_fp16")
PRECISIONS = ("fp32", "fp16", *INT8)
CHOICES = ("k-centre", "random")
METHODS = CALIBRATION_METHODS
IMAGES = 32
MAX_DRIFT = 0.01
CANDIDATES = 256  # More are thinned at random before a set is chosen: every candidate costs an inference.
HOW_CHOSEN = ("calibration_images", "calibration_choice", "calibration_seed")
ONLY_INT8 = ("calibration", *HOW_CHOSEN, "calibration_method", "max_drift")


def add_precision_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp32",
        help="int8: for CPUs, float32 around it; int8_fp16: for TensorRT, float16 around it (default: fp32)",
    )
    group = parser.add_argument_group("int8")
    group.add_argument(
        "--calibration",
        type=Path,
        metavar="DIR|FILE",
        help="good images, or the manifest of a set chosen before (default: those the run was trained on)",
    )
    group.add_argument("--calibration-images", type=positive, metavar="N", help=f"in the set (default: {IMAGES})")
    group.add_argument("--calibration-choice", choices=CHOICES, help="of the set (default: k-centre)")
    group.add_argument("--calibration-seed", type=not_negative, help="of a random choice (default: 0)")
    group.add_argument("--calibration-method", choices=METHODS, help="from set to scales (default: min-max)")
    group.add_argument(
        "--max-drift",
        type=between(0.0, 10.0),
        metavar="D",
        help="noise that the map may gain, over its standard deviation; layers stay in float until it is kept "
        f"(default: {MAX_DRIFT})",
    )


def check_precision(arguments: argparse.Namespace) -> None:
    """Refuses options of INT8 for another precision."""
    given = [name for name in ONLY_INT8 if getattr(arguments, name) is not None]
    if arguments.precision not in INT8 and given:
        raise EdgekdError(f"{_option(given[0])} is for --precision int8")
    if arguments.calibration is not None and arguments.calibration.is_file():
        for name in HOW_CHOSEN:
            if name in given:
                raise EdgekdError(
                    f"{_option(name)} is to choose a set, and {arguments.calibration} is one: leave it out"
                )


def lower_for(
    arguments: argparse.Namespace, detector: Detector, recipe: TrainingRecipe, output: Path
) -> tuple[Lower | None, CalibrationSet | None]:
    """What makes the asked precision of a float32 graph, and the calibration set that it uses.

    Args:
        arguments: Of the command.
        detector: Trained or not.
        recipe: Of its run; without data where it is untrained.
        output: Of the artifact; an INT8 one's calibration set is named after it.

    Returns:
        None and None for float32 itself; the set only for INT8.

    Raises:
        EdgekdError: There is no calibration set, or it does not do.
    """
    if arguments.precision == "fp32":
        return None, None
    if arguments.precision == "fp16":
        return _halve, None
    chosen = _calibration_set(arguments, detector, recipe)
    return lambda model: _quantize(model, arguments, detector, recipe, chosen, _set_path(output)), chosen


def write_chosen(output: Path, chosen: CalibrationSet | None) -> None:
    """Writes an INT8 artifact's calibration set beside it, once the artifact is there."""
    from edgekd.quantization.calibration_set import write_calibration_set

    if chosen is not None:
        write_calibration_set(_set_path(output), chosen)


def _set_path(output: Path) -> Path:
    return output.with_suffix(".calibration.json")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _halve(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, Any]]:
    from edgekd.quantization.float16 import to_float16

    return to_float16(model), {"precision": "fp16"}


def _quantize(
    model: onnx.ModelProto,
    arguments: argparse.Namespace,
    detector: Detector,
    recipe: TrainingRecipe,
    chosen: CalibrationSet,
    manifest: Path,
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    from edgekd.data.good_images import read_frames
    from edgekd.quantization.int8_float16 import INT8_FLOAT16
    from edgekd.quantization.lowering import to_int8

    method = arguments.calibration_method or METHODS[0]
    frames = read_frames(chosen.paths(), recipe.size, recipe.resize)
    learned = recipe.quantization_aware_from is not None  # Then INT8 is what was trained, and float is what drifts.
    max_drift = MAX_DRIFT if arguments.max_drift is None and not learned else arguments.max_drift
    judges, what_judges = _judged_on(detector, frames)
    with steps_progress("quantizing") as on_step:
        float16_around = arguments.precision == INT8_FLOAT16
        quantized, about = to_int8(model, frames, method, max_drift, learned, judges, float16_around, on_step)
    about["quantization"]["judged_on"] = what_judges
    about["calibration"] = {
        "set": manifest.name,
        "sha256": hashlib.sha256(json_text(asdict(chosen)).encode()).hexdigest(),
        "images": len(chosen.images),
        "choice": chosen.choice,
        "method": method,
    }
    return quantized, about


def _judged_on(detector: Detector, frames: Frames) -> tuple[Frames, str]:
    """The frames that the drift is measured on: good ones, and of some systems every other with a synthetic anomaly.

    Networks that learn from synthetic anomalies say next to nothing of good images; beside that any rounding is much.
    """
    from edgekd.data.synthetic_anomalies import corrupt
    from edgekd.quantization.lowering import few_of
    from edgekd.training.run import makes_anomalies

    few = few_of(frames).copy()
    if not makes_anomalies(detector):
        return few, "calibration images"
    rng = np.random.default_rng(0)
    for frame in few[::2]:
        frame[:] = corrupt(frame, [], rng)[0].round()
    return few, "calibration images, every other with a synthetic anomaly"


def _calibration_set(arguments: argparse.Namespace, detector: Detector, recipe: TrainingRecipe) -> CalibrationSet:
    from edgekd.data.layouts import find_good_images
    from edgekd.quantization.calibration_set import read_calibration_set
    from edgekd.recipe import held_out_images
    from edgekd.training.run import training_images

    source: Path | None = arguments.calibration
    held_out = {path.resolve() for path in held_out_images(recipe)} if recipe.data else set()
    if source is not None and source.is_file():
        chosen = read_calibration_set(source)
        for path in chosen.paths():
            if path.resolve() in held_out:
                raise EdgekdError(
                    f"{source} holds {path.name}, which this run keeps for the threshold: choose another set"
                )
        return chosen
    if source is None:
        if not recipe.data:
            raise EdgekdError("INT8 is calibrated on real good images, and nothing else: --calibration names a folder")
        return _choose(arguments, detector, recipe, Path(recipe.data), training_images(recipe))
    paths = [path for path in find_good_images(source) if path.resolve() not in held_out]
    return _without_outliers(arguments, detector, recipe, source, paths)


def _choose(
    arguments: argparse.Namespace, detector: Detector, recipe: TrainingRecipe, root: Path, paths: list[Path]
) -> CalibrationSet:
    from edgekd.data.good_images import read_frames
    from edgekd.quantization.calibration_set import (
        FEWEST_IMAGES,
        CalibrationSet,
        at_random,
        hashed,
        k_centre,
        require_enough,
    )
    from edgekd.training.descriptors import image_descriptors

    require_enough(len(paths), str(root))
    count = arguments.calibration_images or IMAGES
    if count < FEWEST_IMAGES:
        raise EdgekdError(f"--calibration-images {count} is too few: INT8 needs {FEWEST_IMAGES} at least, better 32")
    if count > len(paths):
        notes.print(f"{root} holds {len(paths)} good images to calibrate on, not {count}: all are taken")
    choice, seed = arguments.calibration_choice or CHOICES[0], arguments.calibration_seed or 0
    candidates = paths
    if choice == "random":
        indices = at_random(len(paths), count, seed)
    else:
        candidates = [paths[index] for index in at_random(len(paths), max(CANDIDATES, count), seed)]
        with notes.status(f"comparing {len(candidates)} images by what the teacher says of them"):
            frames = read_frames(candidates, recipe.size, recipe.resize)
            indices = k_centre(image_descriptors(detector, frames), count)
    chosen = [candidates[index] for index in indices]
    return CalibrationSet(hashed(root, chosen), str(root.resolve()), choice, seed, len(paths))


def _without_outliers(
    arguments: argparse.Namespace, detector: Detector, recipe: TrainingRecipe, root: Path, paths: list[Path]
) -> CalibrationSet:
    """A set from a folder that the run does not know, without the images that the detector finds far from good."""
    from edgekd.quantization.calibration_set import at_random, outliers, require_enough
    from edgekd.recipe import held_out_images
    from edgekd.training.run import training_images

    require_enough(len(paths), str(root))
    if not recipe.data:  # An untrained detector cannot tell.
        return _choose(arguments, detector, recipe, root, paths)
    there = len(paths)
    candidates = max(CANDIDATES, arguments.calibration_images or IMAGES)
    paths = [paths[index] for index in at_random(len(paths), candidates, arguments.calibration_seed or 0)]
    known = held_out_images(recipe) or training_images(recipe)[:IMAGES]
    with notes.status(f"looking at {len(paths)} images for defective ones"):
        scores, usual = (float_scores_of(detector, some, recipe.size, recipe.resize) for some in (paths, known))
        odd = outliers(scores, usual)
    names = [paths[index].relative_to(root).as_posix() for index in odd]
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        notes.print(f"left out of the calibration set, as they look defective: {shown}", soft_wrap=True)
    kept = [path for index, path in enumerate(paths) if index not in set(odd)]
    require_enough(len(kept), f"{root}, less {len(odd)} images that look defective," if odd else str(root))
    chosen = _choose(arguments, detector, recipe, root, kept)
    return replace(chosen, left_out=tuple(names), chosen_from=there)


def float_scores_of(detector: Detector, images: Sequence[Path], size: int, rule: str) -> list[float]:
    """What the network itself scores images, one by one.

    Args:
        detector: Trained.
        images: Their files.
        size: The side of a frame, in pixels.
        rule: To resize by, that of the run.
    """
    from edgekd.data.good_images import read_frames
    from edgekd.graph.parity import torch_outputs

    frames = read_frames(images, size, rule)
    return [float(torch_outputs(detector, frames[index : index + 1])[0][0]) for index in range(len(frames))]
