"""Scores of good images, and the threshold of an artifact from those that its run held out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgekd.artifact import read_manifest
from edgekd.errors import EdgekdError
from edgekd.preprocessing import preprocessing_of
from edgekd.progress import Progress
from edgekd.runner.sources import Frame, image_frames

if TYPE_CHECKING:
    from edgekd.models.detector import Detector
    from edgekd.recipe import TrainingRecipe

MOST_TRAINED = 100  # Images that were trained on: more would cost a minute of export and hardly move a limit.
DEFECTS, MOST_WITH_DEFECTS = 42, 60  # Synthetic ones, six of each kind.


class GoodImages(NamedTuple):
    """The good images that a limit is chosen from.

    Attributes:
        held_out: Those that the detector was not trained on.
        trained: Of those that it was trained on, a hundred at most.
        names: Of both, the held-out ones first.
    """

    held_out: list[Path]
    trained: list[Path]
    names: list[str]

    @property
    def paths(self) -> list[Path]:
        """All of them, the held-out ones first."""
        return [*self.held_out, *self.trained]


def good_images_of(recipe: TrainingRecipe) -> GoodImages:
    """The good images of a run that are still there.

    Args:
        recipe: Of the run; its seed chooses among very many that it was trained on.
    """
    from edgekd.data.good_images import training_images
    from edgekd.recipe import held_out_images

    trained = training_images(recipe)
    chosen = sorted(np.random.default_rng(recipe.seed).permutation(len(trained))[:MOST_TRAINED])
    return named_below(Path(recipe.data), held_out_images(recipe), [trained[index] for index in chosen])


def named_below(folder: Path, held_out: list[Path], trained: list[Path]) -> GoodImages:
    """Good images with their names, which are paths below a folder where they lie in it.

    Args:
        folder: With most of them.
        held_out: Images that the detector was not trained on.
        trained: Images that it was trained on.
    """
    names = [
        path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
        for path in (*held_out, *trained)
    ]
    return GoodImages(held_out, trained, names)


def artifact_limits(
    artifact: Path,
    detector: Detector,
    recipe: TrainingRecipe,
    false_reject_rate: float,
    is_float: bool,
    progress: Progress,
) -> dict[str, Any]:
    """The limits of an artifact as it ships, from its run's good images; below float32 the threshold is carried over.

    Args:
        artifact: With its manifest beside it.
        detector: That it was exported from.
        recipe: Of its run.
        false_reject_rate: Share of good images that the threshold may reject, 0..0.5.
        is_float: Whether the artifact computes in float32.
        progress: Called after each image.

    Returns:
        The manifest's `threshold` and `good_scores`; None for each where too few images were held out.

    Raises:
        EdgekdError: An image cannot be read.
    """
    from edgekd.verdicts.good_scores import quantiles_of
    from edgekd.verdicts.threshold import FEWEST_IMAGES, carried_threshold, threshold_from_good
    from edgekd.verdicts.warning_signs import learned_by_heart, synthetic_overlap

    images = good_images_of(recipe)
    count, paths, names = len(images.held_out), images.paths, images.names
    if count < FEWEST_IMAGES:
        return {"threshold": None, "good_scores": None}
    scores = np.array(engine_scores(artifact, paths, f"scoring {len(paths)} good images", progress))
    if is_float or recipe.quantization_aware_from is not None:
        threshold = threshold_from_good(scores[:count], false_reject_rate, scores[count:], names)
    else:
        step = f"scoring {len(paths)} good images in torch"
        before = np.array(network_scores(detector, paths, recipe, step, progress))
        chosen = threshold_from_good(before[:count], false_reject_rate, before[count:], names)
        threshold = carried_threshold(chosen, before, scores, count, names)
    defects = synthetic_scores(artifact, images.held_out, recipe.seed, progress)
    found = (learned_by_heart(scores[:count], scores[count:]), synthetic_overlap(scores[:count], defects))
    entry = replace(threshold, warnings=tuple(line for line in found if line)).to_dict()
    return {"threshold": entry, "good_scores": quantiles_of(scores[:count])}


def synthetic_scores(artifact: Path, held_out: Sequence[Path], seed: int, progress: Progress) -> list[float]:
    """An artifact's scores of synthetic defects in held-out good images, on the faster CPU back end.

    Args:
        artifact: With its manifest beside it.
        held_out: Good images.
        seed: Of the defects.
        progress: Called after each image.
    """
    from edgekd.data.good_images import read_frames
    from edgekd.data.synthetic_defects import synthetic_defects
    from edgekd.engines import NO_MAP, open_engine

    # Painted into what the network reads: nothing of a defect may lie where the view does not look.
    frames = read_frames(held_out[:MOST_WITH_DEFECTS], preprocessing_of(read_manifest(artifact)))
    defects, _ = synthetic_defects(frames, DEFECTS, seed)
    scores: list[float] = []
    with open_engine(artifact) as engine:
        batch = engine.spec.batch or 1
        while len(scores) < DEFECTS:
            part = defects[np.arange(len(scores), len(scores) + batch) % DEFECTS]
            scores += engine.infer(part, NO_MAP).scores.tolist()
            progress(f"scoring {DEFECTS} synthetic defects", min(len(scores), DEFECTS), DEFECTS)
    return scores[:DEFECTS]


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
    return _engine_scores(artifact, image_frames(images, _bit_depth(artifact)), len(images), step, progress)


def _bit_depth(artifact: Path) -> int | None:
    return preprocessing_of(read_manifest(artifact)).bit_depth


def _engine_scores(artifact: Path, frames: Iterator[Frame], count: int, step: str, progress: Progress) -> list[float]:
    from edgekd.engines import open_engine
    from edgekd.runner import inspect_stream
    from edgekd.verdicts.limits import Limits

    results = []
    with open_engine(artifact) as engine:
        for reply in inspect_stream(engine, frames, Limits(math.inf)):
            results.append(reply.result)
            progress(step, len(results), count)
    failed = [result.error for result in results if result.error]
    if failed:
        raise EdgekdError(f"{step} failed: {failed[0]}")
    return [result.score for result in results]


def network_scores(
    detector: Detector, images: Sequence[Path], recipe: TrainingRecipe, step: str, progress: Progress
) -> list[float]:
    """The network's own scores of images, one by one; of several tiles the highest.

    Args:
        detector: Trained.
        images: Their files.
        recipe: Of its run, which says how images are resized.
        step: What this is for, to be shown.
        progress: Called after each image.
    """
    import numpy as np

    from edgekd.data.good_images import read_frames
    from edgekd.data.preparing import frame_scores
    from edgekd.graph.parity import torch_outputs

    frames = read_frames(images, recipe.preprocessing)
    scores = []
    for index in range(len(frames)):
        scores.append(float(torch_outputs(detector, frames[index : index + 1])[0][0]))
        progress(step, index + 1, len(frames))
    return [float(score) for score in frame_scores(np.array(scores, np.float32), recipe.preprocessing)]
