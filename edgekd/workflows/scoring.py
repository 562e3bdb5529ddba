"""Scores of good images, and the threshold of an artifact from those that its run held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.errors import EdgekdError
from edgekd.progress import Progress

if TYPE_CHECKING:
    from edgekd.models.detector import Detector
    from edgekd.recipe import TrainingRecipe


def artifact_threshold(
    artifact: Path,
    detector: Detector,
    recipe: TrainingRecipe,
    false_reject_rate: float,
    is_float: bool,
    progress: Progress,
) -> dict[str, Any] | None:
    """The threshold of an artifact as it ships, from held-out good images; below float32 it is carried over.

    Args:
        artifact: With its manifest beside it.
        detector: That it was exported from.
        recipe: Of its run.
        false_reject_rate: Share of good images that the threshold may reject, 0..0.5.
        is_float: Whether the artifact computes in float32.
        progress: Called after each image.

    Returns:
        Its entry of the manifest; None where too few images were held out.

    Raises:
        EdgekdError: An image cannot be read.
    """
    from edgekd.recipe import held_out_images
    from edgekd.verdicts.threshold import FEWEST_IMAGES, carried_threshold, threshold_from_good

    images = held_out_images(recipe)
    if len(images) < FEWEST_IMAGES:
        return None
    scores = engine_scores(artifact, images, f"scoring {len(images)} held-out images", progress)
    if is_float or recipe.quantization_aware_from is not None:
        return asdict(threshold_from_good(scores, false_reject_rate))
    step = f"scoring {len(images)} held-out images in torch"
    float_scores = network_scores(detector, images, recipe, step, progress)
    return asdict(carried_threshold(threshold_from_good(float_scores, false_reject_rate), float_scores, scores))


def engine_scores(artifact: Path, images: Sequence[Path], step: str, progress: Progress) -> list[float]:
    """An artifact's scores of images, on the faster CPU back end.

    Args:
        artifact: With its manifest beside it.
        images: Their files.
        step: What this is for, to be shown.
        progress: Called after each image.

    Raises:
        EdgekdError: An image cannot be read.
    """
    from edgekd.engines import open_engine
    from edgekd.runner import inspect_stream
    from edgekd.runner.sources import image_frames
    from edgekd.verdicts.limits import Limits

    results = []
    with open_engine(artifact) as engine:
        for reply in inspect_stream(engine, image_frames(images), Limits(math.inf)):
            results.append(reply.result)
            progress(step, len(results), len(images))
    failed = [result.error for result in results if result.error]
    if failed:
        raise EdgekdError(f"{step} failed: {failed[0]}")
    return [result.score for result in results]


def network_scores(
    detector: Detector, images: Sequence[Path], recipe: TrainingRecipe, step: str, progress: Progress
) -> list[float]:
    """The network's own scores of images, one by one.

    Args:
        detector: Trained.
        images: Their files.
        recipe: Of its run, which says how images are resized.
        step: What this is for, to be shown.
        progress: Called after each image.
    """
    from edgekd.data.good_images import read_frames
    from edgekd.graph.parity import torch_outputs

    frames = read_frames(images, recipe.preprocessing)
    scores = []
    for index in range(len(frames)):
        scores.append(float(torch_outputs(detector, frames[index : index + 1])[0][0]))
        progress(step, index + 1, len(frames))
    return scores
