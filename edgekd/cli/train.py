"""Trains a system on good images. Ctrl-C saves; --resume goes on to the same weights."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.artifact import write_json
from edgekd.cli.output import answer, notes, training_progress
from edgekd.cli.switches import read_switches
from edgekd.cli.training_options import TEACHER_OPTIONS, add_training_arguments
from edgekd.errors import EdgekdError
from edgekd.recipe import TrainingRecipe, read_recipe
from edgekd.run_folder import RECIPE_FILE

if TYPE_CHECKING:
    from edgekd.models.detector import TrainingDefaults
    from edgekd.models.registry import System
    from edgekd.training.teachers.loading import Teacher


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("system", metavar="SYSTEM", help="hkt, hkt_plus, mhkd, pfadseg, dskd or mthf")
    parser.add_argument("--data", type=Path, help="folder of good images, or a category (docs/datasets.md)")
    parser.add_argument("--run", type=Path, required=True, help="folder to keep everything in")
    add_training_arguments(parser)
    parser.add_argument("--resume", action="store_true", help="go on with the run; --iterations may extend it")


def run(arguments: argparse.Namespace) -> int:
    import torch

    from edgekd.training.device import choose_device, computes_bfloat16
    from edgekd.training.run import makes_anomalies, train, untrained_detector

    device = choose_device(arguments.device)
    recipe = _resumed(arguments) if arguments.resume else _started(arguments, computes_bfloat16(device))
    arithmetic = ", in bfloat16" if recipe.mixed_precision else ""
    notes.print(f"teacher {' + '.join(recipe.teachers)}; {recipe.iterations} iterations on {device}{arithmetic}")
    with torch.device("meta"):
        if makes_anomalies(untrained_detector(recipe)):
            look = f"images of {recipe.textures}" if recipe.textures else "noise: --textures names a folder of images"
            notes.print(f"synthetic anomalies look like {look}", soft_wrap=True)
    start = time.monotonic()
    try:
        with training_progress(f"training {recipe.system}", recipe.iterations) as on_step:
            train(arguments.run, device, on_step)
    except KeyboardInterrupt:
        if any(arguments.run.glob("checkpoint_*.pt")):
            notes.print(f"saved; go on with: edgekd train {recipe.system} --run {arguments.run} --resume")
        raise
    seconds = time.monotonic() - start
    write_json(arguments.run / "training.json", {"iterations": recipe.iterations, "seconds_of_last_session": seconds})
    precision = " --precision int8" if recipe.quantization_aware_from is not None else ""
    answer.print(f"trained in {seconds:.0f} s; next: edgekd export {arguments.run}{precision}")
    return 0


def _started(arguments: argparse.Namespace, mixed_precision: bool) -> TrainingRecipe:
    from edgekd.models.registry import find_system
    from edgekd.training.run import start_run

    system = find_system(arguments.system)
    if arguments.data is None:
        raise EdgekdError("--data is missing: name the folder of good images")
    return start_run(arguments.run, *recipe_of(arguments, system, arguments.data, mixed_precision))


def check_start(words: Sequence[str]) -> None:
    """Refuses what `edgekd train` would refuse before its first step, and makes nothing.

    Args:
        words: The arguments of `edgekd train`, of a run that is not there.

    Raises:
        EdgekdError: As the command's.
    """
    from edgekd.models.registry import find_system
    from edgekd.training.device import choose_device, computes_bfloat16
    from edgekd.training.run import checked_start

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    arguments = parser.parse_args(words)
    mixed_precision = computes_bfloat16(choose_device(arguments.device))
    checked_start(*recipe_of(arguments, find_system(arguments.system), arguments.data, mixed_precision))


def recipe_of(
    arguments: argparse.Namespace, system: System, data: Path, mixed_precision: bool
) -> tuple[TrainingRecipe, list[Teacher]]:
    """The recipe that training options ask for, and the teachers it names.

    Args:
        arguments: With the training options.
        system: To train.
        data: A folder of good images, or a category.
        mixed_precision: Whether convolutions are computed in bfloat16.

    Raises:
        EdgekdError: A teacher or switch is not known, or the system cannot learn as asked.
    """
    from edgekd.training.run import require_quantizable
    from edgekd.training.teachers.loading import load_teacher

    switches = read_switches(arguments.switch, system)
    teachers = [load_teacher(name) for name in _teacher_names(arguments, system)]
    networks = [teacher.network for teacher in teachers]
    switches[system.teacher_setting] = networks if system.teacher_setting == "groups" else networks[0]
    batch = arguments.batch or system.training.batch
    recipe = TrainingRecipe(
        system=system.name,
        data=str(data.resolve()),
        teachers={teacher.name: teacher.sha256 for teacher in teachers},
        iterations=arguments.iterations or _paper_iterations(system.training, data, batch, arguments.seed),
        size=arguments.size,
        batch=batch,
        learning_rate=arguments.learning_rate or system.training.learning_rate,
        weight_decay=system.training.weight_decay,
        schedule=arguments.schedule or system.training.schedule,
        seed=arguments.seed,
        mixed_precision=mixed_precision,
        textures=str(arguments.textures.resolve()) if arguments.textures else "",
        settings=switches,
        quantization_aware_from=0 if arguments.quantization_aware else None,
    )
    if arguments.quantization_aware:
        require_quantizable(recipe)
    return recipe, teachers


def _teacher_names(arguments: argparse.Namespace, system: System) -> list[str]:
    """The teachers asked for, or the system's own."""
    from edgekd.models.mthf import PAPER_LIKE_GROUPS

    for option in TEACHER_OPTIONS:
        if option != system.teacher_setting and getattr(arguments, option):
            raise EdgekdError(f"--{option} is not for {system.name}, which takes --{system.teacher_setting}")
    chosen = getattr(arguments, system.teacher_setting)
    if chosen == ["paper-like"]:
        return list(PAPER_LIKE_GROUPS)
    if not chosen:
        return list(system.teachers)
    return list(chosen) if system.teacher_setting == "groups" else [chosen]


def _paper_iterations(training: TrainingDefaults, data: Path, batch: int, seed: int) -> int:
    """The paper's iterations; of epochs, those of the images that are trained on."""
    from edgekd.data.good_images import split_good_images
    from edgekd.data.layouts import find_good_images

    if training.epochs is None:
        assert training.iterations is not None
        return training.iterations
    images, _ = split_good_images(find_good_images(data), seed)
    return training.epochs * math.ceil(len(images) / batch)


def _resumed(arguments: argparse.Namespace) -> TrainingRecipe:
    if not (arguments.run / RECIPE_FILE).exists():
        raise EdgekdError(f"{arguments.run} holds no run to go on with: leave --resume out to start one")
    recipe = read_recipe(arguments.run)
    if recipe.system != arguments.system:
        raise EdgekdError(f"{arguments.run} is a run of {recipe.system}, not of {arguments.system}")
    if arguments.quantization_aware and recipe.quantization_aware_from is None:
        from edgekd.training.run import become_quantization_aware

        return become_quantization_aware(arguments.run, arguments.iterations or recipe.iterations)
    if arguments.iterations and arguments.iterations != recipe.iterations:
        from edgekd.training.run import change_iterations

        recipe = change_iterations(arguments.run, arguments.iterations)
    return recipe
