"""Trains one system for some minutes and records its image AUROC every half minute of training; run by compare.py.

    python one.py SYSTEM --data CATEGORY --run FOLDER --seed N --minutes M --teachers NAME... --json FILE

It works on this version of edgekd and on earlier ones: what PYTHONPATH leads to is measured, with its own defaults.
Reading, the teacher's pass and the initialisation count; scoring the test images does not. The clock is the CPU time of
the process, which is to run on one core: other work on the machine then takes nothing from it, and edgekd fits its
training into the minutes by the same clock.
"""

from __future__ import annotations

import argparse
import inspect
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import edgekd.training.run as training
from edgekd.data.good_images import read_frames
from edgekd.data.layouts import read_category
from edgekd.metrics.auroc import image_auroc
from edgekd.models.detector import Detector
from edgekd.recipe import held_out_images, read_recipe
from edgekd.training import stages
from edgekd.training.batches import normalised_images
from edgekd.workflows.train import TrainOptions, train

EVERY = 30.0  # Seconds of training between two samples.
MOST_IMAGES = 60  # Of each kind that a sample scores: more would take longer than the training.


class TimeIsUp(BaseException):
    """The minutes are over. Not an Exception, so that nothing takes it for a fault."""


class Samples:
    """The image AUROC over the seconds of training, taken between iterations; the clock stands still meanwhile.

    Args:
        data: The category; at most `MOST_IMAGES` of its good and of its defective test images are scored.
        run: The run folder.
        seconds: Of training, after which `TimeIsUp` ends it.
    """

    def __init__(self, data: Path, run: Path, seconds: float) -> None:
        self._run, self._seconds = run, seconds
        test = read_category(data).test
        self._test = _some([image for image in test if not image.defective])
        self._test += _some([image for image in test if image.defective])
        self._frames: Any = None
        self._start, self._paused = time.monotonic(), 0.0
        self.detector: Detector | None = None
        self.curve: list[dict[str, float]] = []
        self.iterations = 0

    @property
    def elapsed(self) -> float:
        """Seconds of training so far."""
        return time.monotonic() - self._start - self._paused

    def between(self) -> None:
        """Called before each iteration: takes a sample where one is due."""
        if self.elapsed >= EVERY * (len(self.curve) + 1):
            self.take()
        if self.elapsed >= self._seconds:
            raise TimeIsUp
        self.iterations += 1

    def take(self) -> None:
        """Takes a sample now."""
        seconds, start = self.elapsed, time.monotonic()
        assert self.detector is not None
        modes = {module: module.training for module in self.detector.modules()}
        self.detector.eval()
        self.curve.append({"seconds": seconds, "iterations": self.iterations, "image_auroc": self._auroc()})
        for module, mode in modes.items():
            module.training = mode
        self._paused += time.monotonic() - start

    @torch.no_grad()
    def _auroc(self) -> float:
        assert self.detector is not None
        recipe, device = read_recipe(self._run), next(self.detector.parameters()).device
        held_out = _frames(held_out_images(recipe), recipe)
        self.detector.fit_quantiles(normalised_images(held_out[i : i + 1], device) for i in range(len(held_out)))
        if hasattr(self.detector, "fit_places"):
            trained = _frames(_some(training.training_images(recipe)), recipe)
            self.detector.fit_places(normalised_images(trained[i : i + 1], device) for i in range(len(trained)))
        if self._frames is None:
            self._frames = _frames([image.path for image in self._test], recipe)
        test = self._frames
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.mixed_precision):
            scores = [
                float(self.detector.image_scores(normalised_images(test[i : i + 1], device))[0])
                for i in range(len(test))
            ]
        return image_auroc(np.nan_to_num(scores), [image.defective for image in self._test])


def _some(images: list[Any]) -> list[Any]:
    """At most `MOST_IMAGES` of them, evenly over the list."""
    count = min(MOST_IMAGES, len(images))
    return [images[round(index)] for index in np.linspace(0, len(images) - 1, count)]


def _frames(paths: list[Path], recipe: Any) -> Any:
    """The frames of images, by this version of edgekd or by an earlier one."""
    if hasattr(recipe, "preprocessing"):
        return read_frames(paths, recipe.preprocessing)
    return read_frames(paths, recipe.size, recipe.resize)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--teachers", nargs="+")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    time.monotonic = time.process_time  # edgekd asks it by this name.
    options: dict[str, Any] = {"data": arguments.data, "run": arguments.run, "seed": arguments.seed}
    options["teacher"] = arguments.teachers
    knows_minutes = "minutes" in inspect.signature(TrainOptions).parameters
    if knows_minutes:
        options["minutes"] = arguments.minutes
    samples = Samples(arguments.data, arguments.run, arguments.minutes * 60 * (2 if knows_minutes else 1))
    _watch(samples)
    error = None
    try:
        train(arguments.system, **options)
    except TimeIsUp:
        pass
    except Exception as caught:  # A training that explodes is a result too.
        error = str(caught)
    if samples.detector is not None:
        samples.take()
    recipe = read_recipe(arguments.run)
    content = {"curve": samples.curve, "size": recipe.size, "batch": recipe.batch, "error": error}
    arguments.json.write_text(json.dumps(content), encoding="utf-8")


def _watch(samples: Samples) -> None:
    """Lets the samples see the detector that is trained, and each iteration of it."""
    whole_move, whole_optimise = training.channels_last, stages.optimise

    def move(network: Any, device: torch.device) -> Any:
        if isinstance(network, Detector):
            samples.detector = network
        return whole_move(network, device)

    def optimise(
        module: Any, optimizer: Any, loss_at: Any, learning_rate_at: Callable[[int], float], *rest: Any, **named: Any
    ) -> Any:
        def watched(iteration: int) -> float:
            samples.between()
            return learning_rate_at(iteration)

        return whole_optimise(module, optimizer, loss_at, watched, *rest, **named)

    training.channels_last, stages.optimise = move, optimise


if __name__ == "__main__":
    main()
