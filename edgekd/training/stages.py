"""The stages of a system's training: how many iterations each has, its optimizer, its learning rate, its checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgekd.models.detector import Batch, Detector, Stage
from edgekd.models.registry import find_system
from edgekd.recipe import TrainingRecipe
from edgekd.run_folder import checkpoint_name
from edgekd.training.arithmetic import mixed_precision
from edgekd.training.checkpoints import owner_of
from edgekd.training.loop import OnStep, optimise

DECAY_FROM, DECAY_TO = 0.95, 0.1
MOMENTUM = 0.9

BatchAt = Callable[[int, Stage], Batch]  # The batch of an iteration of a stage.


def stages_of(detector: Detector, iterations: int) -> list[tuple[Stage, int]]:
    """A detector's stages and the iterations of each, which add up to all."""
    stages = detector.stages()
    borders = [0, *(round(iterations * float(end)) for end in np.cumsum(shares_of(detector)))]
    return [(stage, borders[index + 1] - borders[index]) for index, stage in enumerate(stages)]


def shares_of(detector: Detector) -> list[float]:
    """The share of each of a detector's stages of all iterations; they add up to 1."""
    shares = [stage.share for stage in detector.stages()]
    return [share / sum(shares) for share in shares]


def checkpoint_of(run: Path, stage: str = "student") -> Path:
    """The checkpoint of a stage."""
    return run / checkpoint_name(stage)


def train_stage(
    stage: Stage,
    iterations: int,
    recipe: TrainingRecipe,
    batch_at: BatchAt,
    checkpoint: Path,
    device: torch.device,
    on_step: OnStep,
) -> None:
    """Trains one stage to its end, from its checkpoint if there is one.

    Args:
        stage: What is trained, and by which loss.
        iterations: Of this stage, those before the checkpoint included.
        recipe: Of the run.
        batch_at: The batch of an iteration of a stage.
        checkpoint: The file to resume from and to save to.
        device: Where the stage's network is.
        on_step: Called with the iterations done of this stage, and the loss.
    """

    def loss_at(iteration: int) -> Tensor:
        # Dropout follows from the iteration's number, as all else does.
        torch.manual_seed(
            int(np.random.SeedSequence((recipe.seed, iteration, *stage.name.encode())).generate_state(1)[0])
        )
        batch = batch_at(iteration, stage)
        with mixed_precision(stage.trainable, device, recipe.mixed_precision):
            return stage.loss(batch)

    stage.trainable.train().requires_grad_(True)
    optimise(
        stage.trainable,
        optimizer_of(stage, recipe),
        loss_at,
        lambda iteration: learning_rate_at(iteration, iterations, recipe),
        iterations,
        checkpoint,
        on_step,
        owner=owner_of(recipe, stage.name),
    )
    stage.trainable.eval().requires_grad_(False)


def optimizer_of(stage: Stage, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    """The optimizer of a stage; fused, which takes a third of the time on a CPU too."""
    training = find_system(recipe.system).training
    rates = stage.rates or ((stage.trainable, 1.0),)
    groups = [{"params": list(part.parameters()), "factor": factor} for part, factor in rates]
    name, rate, decay = recipe.optimizer or training.optimizer, recipe.learning_rate, recipe.weight_decay
    if name == "sgd":
        return torch.optim.SGD(groups, rate, momentum=MOMENTUM, weight_decay=decay, fused=True)
    adam = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
    return adam(groups, rate, betas=training.betas, weight_decay=decay, fused=True)


def learning_rate_at(iteration: int, iterations: int, recipe: TrainingRecipe) -> float:
    """The learning rate of an iteration of a stage, by the recipe's schedule."""
    rising = round(recipe.warm_up * iterations)
    if iteration < rising:
        return recipe.learning_rate * (iteration + 1) / rising
    if recipe.schedule == "cosine":
        return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (iteration - rising) / (iterations - rising)))
    decayed = recipe.schedule == "step" and iteration >= int(DECAY_FROM * iterations)
    return recipe.learning_rate * (DECAY_TO if decayed else 1.0)
