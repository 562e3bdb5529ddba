"""The limits that a run's good images set: of scores, of the map's pixels, and of the images themselves."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekd.progress import Progress
from edgekd.view import WHOLE, View
from edgekd.workflows.scoring import good_images_of, measure_images, network_scores, synthetic_scores

if TYPE_CHECKING:
    from edgekd.models.detector import Detector
    from edgekd.recipe import TrainingRecipe


def artifact_limits(
    artifact: Path,
    detector: Detector,
    recipe: TrainingRecipe,
    false_reject_rate: float,
    is_float: bool,
    progress: Progress,
) -> dict[str, Any]:
    """The limits of an artifact as it ships, from its run's good images; below float32 the threshold is carried over.

    The pixel limit is chosen as the threshold is, from the highest value of each held-out image's map: so it promises
    of regions in good images what the threshold promises of verdicts.

    Args:
        artifact: With its manifest beside it.
        detector: That it was exported from.
        recipe: Of its run.
        false_reject_rate: Share of good images that the threshold may reject, 0..0.5.
        is_float: Whether the artifact computes in float32.
        progress: Called after each image.

    Returns:
        The manifest's `threshold`, `good_scores` and `pixel_limit`, None for each where too few images were held out,
        and `image_checks`, None for fewer than ten images.

    Raises:
        EdgekdError: An image cannot be read.
    """
    from edgekd.data.good_images import training_images
    from edgekd.engines import open_engine
    from edgekd.verdicts.good_scores import quantiles_of
    from edgekd.verdicts.threshold import FEWEST_IMAGES, carried_threshold, threshold_from_good
    from edgekd.verdicts.warning_signs import learned_by_heart, synthetic_overlap

    images = good_images_of(recipe)
    count, paths, names = len(images.held_out), images.paths, images.names
    checks = image_checks([*training_images(recipe), *images.held_out], progress, recipe.view, recipe.bit_depth)
    if count < FEWEST_IMAGES:
        return {"threshold": None, "good_scores": None, "pixel_limit": None, "image_checks": checks}
    with open_engine(artifact) as engine:
        step = f"scoring {len(paths)} good images"
        measured = measure_images(engine, paths, step, progress, with_peaks=count)
        defects = synthetic_scores(engine, images.held_out, recipe.seed, progress)
    scores = np.array(measured.scores)
    if is_float or recipe.quantization_aware_from is not None:
        threshold = threshold_from_good(scores[:count], false_reject_rate, scores[count:], names)
    else:
        before = np.array(network_scores(detector, paths, recipe, f"{step} in torch", progress))
        chosen = threshold_from_good(before[:count], false_reject_rate, before[count:], names)
        threshold = carried_threshold(chosen, before, scores, count, names)
    found = (learned_by_heart(scores[:count], scores[count:]), synthetic_overlap(scores[:count], defects))
    return {
        "threshold": replace(threshold, warnings=tuple(sign for sign in found if sign)).to_dict(),
        "good_scores": quantiles_of(scores[:count]),
        "pixel_limit": threshold_from_good(measured.peaks, false_reject_rate).to_dict(),
        "image_checks": checks,
    }


def image_checks(
    images: Sequence[Path], progress: Progress, view: View = WHOLE, bit_depth: int | None = None
) -> dict[str, Any] | None:
    """The limits of the image checks that good images pass.

    Args:
        images: All good images of a run.
        bit_depth: Bits that images of 16 bits use; None where it is not stated.
        progress: Called after each image.
        view: Of the run.

    Raises:
        EdgekdError: An image cannot be read.
    """
    from edgekd.data.images import read_image
    from edgekd.data.view_geometry import cropped
    from edgekd.verdicts.image_checks import Statistics, learn_checks, statistics

    step, seen = f"learning image checks from {len(images)} good images", list[Statistics]()
    with ThreadPoolExecutor(4) as readers:
        for each in readers.map(lambda path: statistics(cropped(read_image(path, bit_depth), view)), images):
            seen.append(each)
            progress(step, len(seen), len(images))
    return learn_checks(seen)
