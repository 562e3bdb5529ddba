"""Time as the budget of a training: steps are timed, then size and iterations are fitted to the minutes."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from edgekd.data.good_images import read_frames
from edgekd.models.detector import Detector, TrainingDefaults
from edgekd.preprocessing import Size
from edgekd.recipe import TrainingRecipe, held_out_images
from edgekd.training.arithmetic import mixed_precision
from edgekd.training.batches import Batches, normalised_images
from edgekd.training.device import channels_last
from edgekd.training.memory import keep_freed_memory
from edgekd.training.run import (
    INITIAL_IMAGES,
    PLACED_IMAGES,
    batches_of,
    checked_start,
    scale_students,
    training_images,
)
from edgekd.training.stages import optimizer_of, shares_of
from edgekd.training.teachers.loading import Teacher

WARM_UP, TIMED = 2, 3  # Steps; the first allocate memory and choose kernels.
LONG_STEP = 3.0  # Seconds from which on one timed step is enough.
SEARCH_SECONDS = 0.06  # Of an image among the patches of one teacher, on two cores.
SPARE = 0.97  # Of the time, so that what is not foreseen still fits.
FEWEST_ITERATIONS = 20

logger = logging.getLogger(__name__)


class Cost(NamedTuple):
    """What a training takes on a device.

    Attributes:
        fixed: Seconds before the first and after the last iteration.
        iteration: Seconds of an iteration, the mean over all stages by their shares.
    """

    fixed: float
    iteration: float

    def seconds(self, iterations: int) -> float:
        """The seconds of a training with so many iterations."""
        return self.fixed + iterations * self.iteration

    def iterations(self, seconds: float) -> int:
        """The iterations that fit into so many seconds; 0 where not even the first does."""
        return max(0, int((seconds * SPARE - self.fixed) / self.iteration))


def fit_to_minutes(
    recipe: TrainingRecipe,
    teachers: Sequence[Teacher],
    defaults: TrainingDefaults,
    device: torch.device,
    sizes: Sequence[Size],
    compared: int = 0,
) -> TrainingRecipe:
    """Chooses size and iterations of a recipe so that its training takes its minutes.

    Of the sizes the largest is taken at which the defaults' `enough_iterations` fit; the smallest where they do not
    even there. The seconds of the measurement are part of the minutes.

    Args:
        recipe: With `minutes`, and with the held-out images chosen.
        teachers: Their weights.
        defaults: Of the system.
        device: That will train.
        sizes: Heights and widths of the images to choose from, in pixels, ascending.
        compared: Images that student and teacher are compared on in the end, within the minutes.

    Returns:
        The recipe with size and iterations.
    """
    assert recipe.minutes is not None
    start = time.monotonic()
    fitted = recipe
    for size in sizes:
        # What a larger size would leave is known well enough to spare the seconds of measuring it.
        growth = math.prod(size) / math.prod(fitted.size)
        if fitted.iterations and fitted.iterations / growth < defaults.enough_iterations:
            break
        candidate = replace(recipe, size=size)
        cost = measured_cost(candidate, teachers, device, compared)
        iterations = cost.iterations(recipe.minutes * 60 - (time.monotonic() - start))
        if fitted.iterations and iterations < defaults.enough_iterations:
            break
        if iterations < FEWEST_ITERATIONS:
            minutes = cost.seconds(FEWEST_ITERATIONS) / 60
            logger.warning("the time is too short to learn anything: it will take about %.1f min", minutes)
        fitted = replace(candidate, iterations=max(iterations, FEWEST_ITERATIONS))
    return fitted


def measured_cost(recipe: TrainingRecipe, teachers: Sequence[Teacher], device: torch.device, compared: int = 0) -> Cost:
    """Times a few steps of every stage of a training, and what comes before and after them.

    Args:
        recipe: Of the training; its iterations do not matter.
        teachers: Their weights.
        device: That will train.
        compared: Images that student and teacher are compared on in the end.
    """
    keep_freed_memory()
    _, detector = checked_start(recipe, teachers)
    channels_last(detector, device).eval().requires_grad_(False)
    paths = training_images(recipe)
    start = time.monotonic()
    frames = read_frames(paths[: max(2 * recipe.batch, INITIAL_IMAGES)], recipe.preprocessing)
    reading = (time.monotonic() - start) / len(frames)
    with batches_of(recipe, detector, frames, device) as batches:
        start = time.monotonic()
        batches.prepare()
        target = _elapsed(start, device) / len(frames)
        start = time.monotonic()
        scale_students(detector, recipe, frames, device)
        scaling = _elapsed(start, device)
        steps = [
            share * _step_seconds(detector, index, recipe, batches, device)
            for index, share in enumerate(shares_of(detector))
        ]
    with torch.no_grad():
        detector.predict(normalised_images(frames[:1], device))  # Memory is allocated and kernels are chosen.
        start = time.monotonic()
        detector.predict(normalised_images(frames[:1], device))
    predicting = _elapsed(start, device)
    tiles = recipe.view.count
    held_out, trained = len(held_out_images(recipe)) * tiles, len(paths) * tiles
    placed = min(trained, PLACED_IMAGES) if recipe.settings.get("standardise") else 0
    fixed = (reading + target) * trained + scaling + (reading + predicting) * held_out + predicting * placed
    search = SEARCH_SECONDS * len(teachers)
    comparing = target * trained + (predicting + target + search) * compared if compared else 0.0
    return Cost(fixed + comparing, sum(steps))


def _step_seconds(
    detector: Detector, index: int, recipe: TrainingRecipe, batches: Batches, device: torch.device
) -> float:
    """The median seconds of an iteration of a stage."""
    stage = detector.stages()[index]
    stage.trainable.train().requires_grad_(True)
    optimizer = optimizer_of(stage, replace(recipe, learning_rate=0.0, weight_decay=0.0))
    seconds: list[float] = []
    for iteration in range(WARM_UP + TIMED):
        start = time.monotonic()
        batch = batches.at(iteration, stage)
        with mixed_precision(stage.trainable, device, recipe.mixed_precision):
            loss = stage.loss(batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        seconds.append(_elapsed(start, device))
        if len(seconds) > 1 and seconds[-1] > LONG_STEP:
            break
    stage.trainable.eval().requires_grad_(False)
    return float(np.median(seconds[min(WARM_UP, len(seconds) - 1) :]))


def _elapsed(start: float, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic() - start
