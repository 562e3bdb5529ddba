"""Scores of images: by an artifact on an engine, and by the network that it was exported from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgekd.data.view_geometry import looking_tiles
from edgekd.errors import EdgekdError
from edgekd.preprocessing import Preprocessing
from edgekd.progress import Progress
from edgekd.runner.sources import image_frames

if TYPE_CHECKING:
    from edgekd.engines import Engine, Frames
    from edgekd.models.detector import Detector
    from edgekd.recipe import TrainingRecipe

MOST_TRAINED = 100  # Images that were trained on: more would cost a minute of export and hardly move a limit.
DEFECTS, MOST_WITH_DEFECTS = 42, 60  # Synthetic ones, six of each kind.


class GoodImages(NamedTuple):
    """The good images that a limit is chosen from.

    Attributes:
        held_out: Those that the detector was not trained on.
        trained: Of those that it was trained on, a hundred at most.
        names: Of both, the held-out ones first; no two are the same.
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

    held_out, trained = held_out_images(recipe), training_images(recipe)
    chosen = sorted(np.random.default_rng(recipe.seed).permutation(len(trained))[:MOST_TRAINED])
    trained = [trained[index] for index in chosen]
    return GoodImages(held_out, trained, names_below(Path(recipe.data), [*held_out, *trained]))


def evenly_spread(paths: Sequence[Path], most: int) -> list[Path]:
    """At most so many of some files, evenly spread.

    Args:
        paths: All of them, in order.
        most: How many.
    """
    return [paths[index] for index in np.linspace(0, len(paths) - 1, min(most, len(paths))).round().astype(int)]


def names_below(folder: Path, paths: Sequence[Path]) -> list[str]:
    """Names of images: their paths below a folder where they lie in it.

    Args:
        folder: With most of them.
        paths: Of the images.
    """
    return [path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path) for path in paths]


class Measured(NamedTuple):
    """What an engine answered to images.

    Attributes:
        scores: Of each.
        peaks: The highest pixel of the map of each of the first ones, as many as were asked for.
    """

    scores: list[float]
    peaks: list[float]


def measure_images(
    engine: Engine, images: Sequence[Path], step: str, progress: Progress, with_peaks: int = 0
) -> Measured:
    """Runs images through an engine.

    Args:
        engine: Of an artifact.
        images: Their files.
        step: What this is for, to be shown.
        progress: Called after each image.
        with_peaks: Of how many, the first ones, the map is wanted too.

    Raises:
        EdgekdError: An image cannot be read, or its score or its map is not finite.
    """
    from edgekd.engines import EVERY_MAP, NO_MAP
    from edgekd.runner import inspect_stream
    from edgekd.runner.pipeline import error_of
    from edgekd.verdicts.limits import Limits

    measured = Measured([], [])
    for part, maps_above in ((images[:with_peaks], EVERY_MAP), (images[with_peaks:], NO_MAP)):
        frames = image_frames(part, engine.preprocessing.bit_depth)
        for reply in inspect_stream(engine, frames, Limits(math.inf), maps_above):
            if reply.result.error:
                raise EdgekdError(f"{step} failed: {error_of(reply)}")
            measured.scores.append(reply.result.score)
            if reply.result.anomaly_map is not None:
                measured.peaks.append(float(np.nanmax(reply.result.anomaly_map)))
            progress(step, len(measured.scores), len(images))
    return measured


def engine_scores(artifact: Path, images: Sequence[Path], step: str, progress: Progress) -> list[float]:
    """An artifact's scores of images, on the faster CPU back end; see `measure_images`.

    Args:
        artifact: With its manifest beside it.
        images: Their files.
        step: What this is for, to be shown.
        progress: Called after each image.
    """
    from edgekd.engines import open_engine

    with open_engine(artifact) as engine:
        return measure_images(engine, images, step, progress).scores


def looked_at(frames: Frames, preprocessing: Preprocessing) -> Frames:
    """The frames of those tiles in which something is looked at.

    Args:
        frames: uint8 [N * tiles, H, W, 3], all tiles of an image one after the other.
        preprocessing: That made them.
    """
    by_image = frames.reshape(-1, preprocessing.tiles, *frames.shape[1:])
    return by_image[:, list(looking_tiles(preprocessing))].reshape(-1, *frames.shape[1:])


def synthetic_scores(engine: Engine, held_out: Sequence[Path], seed: int, progress: Progress) -> list[float]:
    """An engine's scores of synthetic defects in held-out good images.

    Args:
        engine: Of an artifact.
        held_out: Good images.
        seed: Of the defects.
        progress: Called after each image.

    Raises:
        EdgekdError: A score or a map is not finite.
    """
    from edgekd.data.good_images import read_frames
    from edgekd.data.synthetic_defects import synthetic_defects
    from edgekd.engines import NO_MAP, require_finite

    # Painted into what the network reads: nothing of a defect may lie where the view does not look.
    frames = read_frames(held_out[:MOST_WITH_DEFECTS], engine.preprocessing)
    defects, _ = synthetic_defects(looked_at(frames, engine.preprocessing), DEFECTS, seed)
    scores: list[float] = []
    batch = engine.spec.batch or 1
    while len(scores) < DEFECTS:
        part = defects[np.arange(len(scores), len(scores) + batch) % DEFECTS]
        outputs = engine.infer(part, NO_MAP)
        require_finite(outputs, [f"synthetic defect {len(scores) + place + 1}" for place in range(batch)])
        scores += outputs.scores.tolist()
        progress(f"scoring {DEFECTS} synthetic defects", min(len(scores), DEFECTS), DEFECTS)
    return scores[:DEFECTS]


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
    from edgekd.data.good_images import read_frames
    from edgekd.data.preparing import frame_scores
    from edgekd.graph.parity import torch_outputs

    frames = read_frames(images, recipe.preprocessing)
    scores = []
    for index in range(len(frames)):
        scores.append(float(torch_outputs(detector, frames[index : index + 1])[0][0]))
        progress(step, index + 1, len(frames))
    return [float(score) for score in frame_scores(np.array(scores, np.float32), recipe.preprocessing)]
