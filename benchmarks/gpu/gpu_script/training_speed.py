"""Iterations a second and memory of a system's training, on generated images and teachers: speed needs no more."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from edgekd.data.generated_images import generated_frames
from edgekd.models.backbones.pdn import pdn
from edgekd.models.backbones.registry import BACKBONE_NAMES, build_backbone
from edgekd.models.registry import find_system
from edgekd.recipe import TrainingRecipe
from edgekd.training.device import computes_bfloat16
from edgekd.training.loop import CHECK_EVERY
from edgekd.training.run import start_run, train, untrained_detector
from edgekd.training.stages import stages_of
from edgekd.training.teachers.loading import Teacher
from gpu_script.networks import light_settings, teacher_names
from gpu_script.reference import draw_weights

IMAGES = 32  # Of which three are held out, the fewest that every system can do with.


def measure_training(system: str, size: int, iterations: int, device: torch.device, folder: Path) -> dict[str, Any]:
    """Trains a system for a moment, at its paper's batch size.

    Args:
        system: Its name.
        size: The side of images, in pixels.
        iterations: Of all stages together.
        device: Where to.
        folder: For the run and its images; it must not exist.

    Returns:
        `iterations_per_second`, `images_per_second`, `batch`, `memory_bytes` (the most that it took; None on a CPU),
        `mixed_precision` and what was timed.
    """
    data = folder / "images"
    data.mkdir(parents=True)
    for index, frame in enumerate(generated_frames(IMAGES, size)):
        cv2.imwrite(str(data / f"{index:03}.png"), frame)
    training = find_system(system).training
    teachers = [untrained_teacher(name) for name in teacher_names(system)]
    recipe = TrainingRecipe(
        system,
        str(data),
        {teacher.name: teacher.sha256 for teacher in teachers},
        iterations=iterations,
        size=size,
        batch=training.batch if device.type == "cuda" else 2,
        learning_rate=1e-4,  # At the papers', generated images may lose the loss.
        mixed_precision=computes_bfloat16(device),
        settings=light_settings(system),
    )
    start_run(folder / "run", recipe, teachers)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() if device.type == "cuda" else 0
    seen: list[tuple[int, float]] = []
    begun = time.perf_counter()
    train(folder / "run", device, lambda iteration, loss: seen.append((iteration, time.perf_counter())))
    spans = _steady_spans(seen, recipe)
    steady = bool(spans)
    spans = spans or [(seen[-1][0], seen[-1][1] - begun)]
    rate = sum(count for count, _ in spans) / sum(seconds for _, seconds in spans)
    return {
        "iterations_per_second": rate,
        "images_per_second": rate * recipe.batch,
        "batch": recipe.batch,
        "iterations": iterations,
        "iterations_timed": sum(count for count, _ in spans),
        "mixed_precision": recipe.mixed_precision,
        "memory_bytes": torch.cuda.max_memory_allocated() - before if device.type == "cuda" else None,
        "timed_region": f"iterations after the first {CHECK_EVERY} of a stage, reading and synthetic anomalies included"
        if steady
        else "everything from the start: too few iterations to leave the beginning out",
    }


def _steady_spans(seen: list[tuple[int, float]], recipe: TrainingRecipe) -> list[tuple[int, float]]:
    """Iterations and seconds between reports of the same stage; what comes before a stage's first one is left out."""
    firsts, border = set(), 0
    for _, count in stages_of(untrained_detector(recipe), recipe.iterations):
        firsts.add(border + min(CHECK_EVERY, count))
        border += count
    pairs = itertools.pairwise(seen)
    return [(later[0] - earlier[0], later[1] - earlier[1]) for earlier, later in pairs if later[0] not in firsts]


def untrained_teacher(name: str) -> Teacher:
    network = build_backbone(name) if name in BACKBONE_NAMES else pdn(name)
    draw_weights(network, np.random.RandomState(0))  # Whose features do not vanish, as those of a fresh one do.
    return Teacher(name, network.state_dict(), "0" * 64, {"made_from": "drawn by chance"}, name)
