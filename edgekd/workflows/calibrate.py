"""Chooses a calibration set: the good images that the activation scales of an INT8 graph are computed on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.errors import EdgekdError, unknown_name
from edgekd.precisions import CALIBRATION_CHOICES
from edgekd.progress import Progress, silent
from edgekd.workflows.calling import takes_options
from edgekd.workflows.scoring import network_scores

if TYPE_CHECKING:
    from edgekd.models.detector import Detector
    from edgekd.quantization.calibration_set import CalibrationSet
    from edgekd.recipe import TrainingRecipe

IMAGES = 32  # Of a set, by default.
CANDIDATES = 256  # More are thinned at random before a set is chosen: every candidate costs an inference.

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CalibrateOptions:
    """Options of `calibrate`.

    Attributes:
        run: Folder of a trained run.
        source: Folder of good images, or the manifest of a set chosen before; None for the images that the run was
            trained on.
        images: Images in the set; None for 32.
        choice: "k-centre", images that cover the others, or "random"; None for k-centre.
        seed: Of a random choice; None for 0.
        progress: Called while it works.
    """

    run: str | Path
    source: str | Path | None = None
    images: int | None = None
    choice: str | None = None
    seed: int | None = None
    progress: Progress = field(default=silent, repr=False, compare=False)


@takes_options(CalibrateOptions)
def calibrate(options: CalibrateOptions) -> CalibrationSet:
    """Chooses a calibration set for a trained run.

    `edgekd.quantization.calibration_set.write_calibration_set` writes it, for `export(..., calibration=FILE)`.

    Args: see `CalibrateOptions`.

    Returns:
        The set, with the SHA-256 of each image. Images that look defective are left out of a folder that the run does
        not know.

    Raises:
        EdgekdError: The folder is not a run, there are fewer than 8 good images, or an option does not fit.
        ArtifactError: The set's manifest or one of its images was changed.
    """
    from edgekd.data.image_hashes import require_unchanged_images
    from edgekd.training.run import load_run

    check_choice(options)
    detector, recipe = load_run(Path(options.run))
    require_unchanged_images(Path(options.run), recipe)
    return choose_set(detector, recipe, options)


def check_choice(options: CalibrateOptions) -> None:
    """Refuses options that do not fit together, before any work.

    Raises:
        EdgekdError: They do not.
    """
    if options.choice is not None and options.choice not in CALIBRATION_CHOICES:
        raise unknown_name("calibration choice", options.choice, CALIBRATION_CHOICES)
    if options.source is not None and Path(options.source).is_file():
        for name in ("images", "choice", "seed"):
            if getattr(options, name) is not None:
                raise EdgekdError(
                    f"--calibration-{name} is to choose a set, and {options.source} is one already: leave it out"
                )


def choose_set(detector: Detector, recipe: TrainingRecipe, options: CalibrateOptions) -> CalibrationSet:
    """Chooses a calibration set for a detector; see `calibrate`.

    Args:
        detector: Trained or not.
        recipe: Of its run; its `data` is empty for an untrained one.
        options: Already checked; `run` is not read.
    """
    from edgekd.data.layouts import find_good_images
    from edgekd.recipe import held_out_images
    from edgekd.training.run import training_images

    source = None if options.source is None else Path(options.source)
    held_out = {path.resolve() for path in held_out_images(recipe)} if recipe.data else set()
    if source is not None and source.is_file():
        return _read(source, held_out)
    if source is None:
        if not recipe.data:
            raise EdgekdError(
                "an untrained system needs real images to calibrate INT8: give a folder of good ones with --calibration"
            )
        return _choose(detector, recipe, options, Path(recipe.data), training_images(recipe))
    paths = [path for path in find_good_images(source) if path.resolve() not in held_out]
    if not recipe.data:  # An untrained detector cannot tell good from defective.
        return _choose(detector, recipe, options, source, paths)
    return _choose_without_outliers(detector, recipe, options, source, paths)


def _read(source: Path, held_out: set[Path]) -> CalibrationSet:
    from edgekd.quantization.calibration_set import read_calibration_set

    chosen = read_calibration_set(source)
    for path in chosen.paths():
        if path.resolve() in held_out:
            raise EdgekdError(f"{source} holds {path.name}, which this run keeps for the threshold: choose another set")
    return chosen


def _choose(
    detector: Detector, recipe: TrainingRecipe, options: CalibrateOptions, root: Path, paths: list[Path]
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
    count = IMAGES if options.images is None else options.images
    if count < FEWEST_IMAGES:
        raise EdgekdError(f"--calibration-images must be at least {FEWEST_IMAGES}, better {IMAGES}; got {count}")
    if count > len(paths):
        logger.info("%s holds %d good images to calibrate on, not %d: all of them are used", root, len(paths), count)
    choice, seed = options.choice or CALIBRATION_CHOICES[0], options.seed or 0
    candidates = paths
    if choice == "random":
        indices = at_random(len(paths), count, seed)
    else:
        candidates = [paths[index] for index in at_random(len(paths), max(CANDIDATES, count), seed)]
        step = f"comparing {len(candidates)} images by the teacher's features"
        options.progress(step, 0, 1)
        frames = read_frames(candidates, recipe.preprocessing)
        # An image's tiles are one descriptor: what covers the images covers each of their places.
        indices = k_centre(image_descriptors(detector, frames).reshape(len(candidates), -1), count)
        options.progress(step, 1, 1)
    chosen = [candidates[index] for index in indices]
    return CalibrationSet(hashed(root, chosen), str(root.resolve()), choice, seed, len(paths))


def _choose_without_outliers(
    detector: Detector, recipe: TrainingRecipe, options: CalibrateOptions, root: Path, paths: list[Path]
) -> CalibrationSet:
    """A set from a folder that the run does not know, without the images that the detector finds far from good."""
    from edgekd.quantization.calibration_set import at_random, outliers, require_enough
    from edgekd.recipe import held_out_images
    from edgekd.training.run import training_images

    require_enough(len(paths), str(root))
    there = len(paths)
    paths = [paths[index] for index in at_random(there, max(CANDIDATES, options.images or IMAGES), options.seed or 0)]
    known = held_out_images(recipe) or training_images(recipe)[:IMAGES]
    step = f"looking for defects in {len(paths)} images"
    scores = network_scores(detector, paths, recipe, step, options.progress)
    odd = outliers(scores, network_scores(detector, known, recipe, "scoring known good images", options.progress))
    names = [paths[index].relative_to(root).as_posix() for index in odd]
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        logger.info("left out of the calibration set, since they look defective: %s", shown)
    kept = [path for index, path in enumerate(paths) if index not in set(odd)]
    require_enough(len(kept), f"{root}, less {len(odd)} images that look defective," if odd else str(root))
    chosen = _choose(detector, recipe, options, root, kept)
    return replace(chosen, left_out=tuple(names), chosen_from=there)
