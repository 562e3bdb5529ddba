"""The limits that a run's good images set besides the threshold: of the map's pixels, and of the images themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekd.errors import EdgekdError
from edgekd.progress import Progress
from edgekd.view import WHOLE, View

if TYPE_CHECKING:
    from edgekd.recipe import TrainingRecipe


def good_limits(artifact: Path, recipe: TrainingRecipe, false_reject_rate: float, progress: Progress) -> dict[str, Any]:
    """The pixel limit and the limits of the image checks.

    The pixel limit is chosen as the threshold is, from the highest value of each held-out image's map: so it promises
    of regions in good images what the threshold promises of verdicts.

    Args:
        artifact: With its manifest beside it.
        recipe: Of its run.
        false_reject_rate: Share of good images that may show a region, 0..0.5.
        progress: Called after each image.

    Returns:
        The manifest's `pixel_limit`, None where too few images were held out, and `image_checks`, None for fewer than
        ten images.

    Raises:
        EdgekdError: An image cannot be read.
    """
    from edgekd.data.good_images import training_images
    from edgekd.recipe import held_out_images
    from edgekd.verdicts.threshold import FEWEST_IMAGES, threshold_from_good

    held_out = held_out_images(recipe)
    entry = None
    if len(held_out) >= FEWEST_IMAGES:
        peaks = map_peaks(artifact, held_out, f"the highest pixels of {len(held_out)} held-out images", progress)
        entry = threshold_from_good(peaks, false_reject_rate).to_dict()
    checks = image_checks([*training_images(recipe), *held_out], progress, recipe.view, recipe.bit_depth)
    return {"pixel_limit": entry, "image_checks": checks}


def map_peaks(artifact: Path, images: Sequence[Path], step: str, progress: Progress) -> list[float]:
    """The highest value of an artifact's map of each image, on the faster CPU back end.

    Args:
        artifact: With its manifest beside it.
        images: Their files.
        step: What this is for, to be shown.
        progress: Called after each image.

    Raises:
        EdgekdError: An image cannot be read.
    """
    from edgekd.engines import EVERY_MAP, open_engine
    from edgekd.runner import inspect_stream
    from edgekd.runner.sources import image_frames
    from edgekd.verdicts.limits import Limits

    peaks: list[float] = []
    with open_engine(artifact) as engine:
        frames = image_frames(images, engine.preprocessing.bit_depth)
        for reply in inspect_stream(engine, frames, Limits(math.inf), EVERY_MAP):
            if reply.result.anomaly_map is None:
                raise EdgekdError(f"{step} failed: {reply.result.error}")
            peaks.append(float(np.nanmax(reply.result.anomaly_map)))
            progress(step, len(peaks), len(images))
    return peaks


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
