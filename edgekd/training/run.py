"""Training a system on good pictures, into a run folder; and reading such a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekd.artifact import write_json
from edgekd.data.good_pictures import read_frames, split_good_pictures
from edgekd.data.layouts import find_good_pictures
from edgekd.errors import EdgekdError
from edgekd.models.detector import Batch, Detector
from edgekd.models.normalisation import normalise
from edgekd.models.registry import find_system
from edgekd.recipe import RECIPE_FILE, TrainingRecipe, read_recipe, write_recipe
from edgekd.training.device import channels_last
from edgekd.training.loop import OnStep, optimise
from edgekd.training.memory import keep_freed_memory
from edgekd.training.targets import TargetCache
from edgekd.training.teachers import Teacher
from edgekd.training.weight_files import put_weights, read_weights, write_weights

STUDENT_FILE, TEACHER_FILE, CHECKPOINT_FILE = "student.safetensors", "teacher.safetensors", "checkpoint.pt"
TEACHER_CARD = "teacher.json"
DECAY_FROM = 0.95


def start_run(run: Path, recipe: TrainingRecipe, teacher: Teacher) -> TrainingRecipe:
    """Makes a run folder: the teacher, and the recipe with the held-out pictures chosen.

    Args:
        run: The folder; it must not hold a run.
        recipe: What to train; `held_out` is filled in.
        teacher: Its weights are copied, so that the run stands alone.

    Returns:
        The recipe as it was written.

    Raises:
        EdgekdError: The folder holds a run already, the pictures or the size do not do, the teacher does not fit.
    """
    if (run / RECIPE_FILE).exists():
        raise EdgekdError(f"{run} holds a run already: --resume goes on with it, or name another folder")
    data = Path(recipe.data)
    _, held_out = split_good_pictures(find_good_pictures(data), recipe.seed)
    recipe = replace(recipe, held_out=tuple(path.relative_to(data).as_posix() for path in held_out))
    build_detector(recipe, teacher.state)
    write_weights(run / TEACHER_FILE, teacher.state)
    write_json(run / TEACHER_CARD, {"name": teacher.name, "sha256": teacher.sha256, "card": teacher.provenance})
    write_recipe(run, recipe)
    return recipe


def build_detector(recipe: TrainingRecipe, teacher_state: dict[str, Tensor]) -> Detector:
    """A recipe's detector before training: the teacher's weights in, the student's drawn from the seed.

    Raises:
        EdgekdError: The picture size is not one that the system takes.
        ArtifactError: The teacher does not fit.
    """
    detector = untrained_detector(recipe)
    network = recipe.switches.get("teacher", find_system(recipe.system).network)
    put_weights(detector.teacher, teacher_state, recipe.teacher, network)
    return detector


def untrained_detector(recipe: TrainingRecipe) -> Detector:
    """A recipe's detector with all of its weights drawn from the seed.

    Raises:
        EdgekdError: The picture size is not one that the system takes.
    """
    system = find_system(recipe.system)
    torch.manual_seed(recipe.seed)
    detector = system.build(**recipe.switches)
    legal = detector.legal_sizes_near(recipe.size)
    if legal != (recipe.size,):
        sizes = " or ".join(map(str, legal))
        raise EdgekdError(f"{recipe.system} does not take pictures of {recipe.size} pixels a side: use {sizes}")
    return detector


def train(run: Path, device: torch.device, on_step: OnStep) -> None:
    """Trains a run to the end of its recipe, from its checkpoint if there is one.

    Args:
        run: A folder that `start_run` made.
        device: Where to.
        on_step: Told the iterations done and the loss.

    Raises:
        TrainingError: The loss is lost.
        KeyboardInterrupt: Passed on, after saving.
    """
    keep_freed_memory()
    recipe = read_recipe(run)
    detector = build_detector(recipe, read_weights(run / TEACHER_FILE))
    channels_last(detector, device)
    frames = read_frames(training_pictures(recipe), recipe.size)
    cache = TargetCache(detector, lambda index: _images(frames[index : index + 1], device), len(frames))
    detector.prepare(cache.get(index) for index in range(len(frames)))

    def loss_at(iteration: int) -> Tensor:
        indices = pictures_of(iteration, recipe.batch, len(frames), recipe.seed)
        targets = torch.cat([cache.get(index) for index in indices])
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.mixed_precision):
            return detector.training_loss(Batch(_images(frames[indices], device), targets))

    learning = detector.learning().train()
    fused = device.type == "cuda"
    optimizer = torch.optim.Adam(
        learning.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay, fused=fused
    )
    optimise(
        learning,
        optimizer,
        loss_at,
        lambda iteration: _learning_rate(recipe, iteration),
        recipe.iterations,
        run / CHECKPOINT_FILE,
        on_step,
    )
    state = {key: value for key, value in detector.state_dict().items() if not key.startswith("teacher.")}
    write_weights(run / STUDENT_FILE, state, {"system": recipe.system})


def load_run(run: Path) -> tuple[Detector, TrainingRecipe]:
    """The trained detector of a run, on the CPU, and its recipe.

    Raises:
        EdgekdError: The folder is no run, or its training did not end.
    """
    recipe = read_recipe(run)
    if not (run / STUDENT_FILE).is_file():
        raise EdgekdError(f"the training of {run} has not ended: edgekd train {recipe.system} --run {run} --resume")
    teacher_state = read_weights(run / TEACHER_FILE)
    detector = build_detector(recipe, teacher_state)
    whole = read_weights(run / STUDENT_FILE) | {f"teacher.{key}": value for key, value in teacher_state.items()}
    put_weights(detector, whole, str(run / STUDENT_FILE), recipe.system)
    return detector.eval(), recipe


def training_pictures(recipe: TrainingRecipe) -> list[Path]:
    """The good pictures that a recipe trains on."""
    data, held_out = Path(recipe.data), set(recipe.held_out)
    return [path for path in find_good_pictures(data) if path.relative_to(data).as_posix() not in held_out]


def held_out_pictures(recipe: TrainingRecipe) -> list[Path]:
    """The good pictures that a recipe keeps for the threshold, those that are still there."""
    paths = (Path(recipe.data) / name for name in recipe.held_out)
    return [path for path in paths if path.is_file()]


def pictures_of(iteration: int, batch: int, count: int, seed: int) -> list[int]:
    """The pictures of an iteration: each epoch is a permutation that follows from the seed and its number.

    Args:
        iteration: Its number, from 0.
        batch: Pictures an iteration.
        count: Pictures in all.
        seed: Of the order.
    """
    places = range(iteration * batch, (iteration + 1) * batch)
    return [int(np.random.default_rng((seed, place // count)).permutation(count)[place % count]) for place in places]


def _images(frames: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Normalised RGB [N, 3, H, W] of frames uint8 [N, H, W, 3] BGR."""
    images = torch.from_numpy(frames[..., ::-1].copy()).to(device).permute(0, 3, 1, 2)
    return normalise(images).contiguous(memory_format=torch.channels_last)


def _learning_rate(recipe: TrainingRecipe, iteration: int) -> float:
    decayed = recipe.decay_at_end and iteration >= int(DECAY_FROM * recipe.iterations)
    return recipe.learning_rate * (0.1 if decayed else 1.0)
