"""From the options of a training to its recipe and teachers; and whether a run that exists was trained with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgekd.errors import EdgekdError, unknown_name
from edgekd.paper_setups import DTD_MEGABYTES, DTD_URL
from edgekd.preprocessing import BIT_DEPTHS, parse_size, size_text
from edgekd.recipe import AUGMENTATIONS, PAPER, TIMED, TrainingRecipe, read_recipe
from edgekd.run_folder import RECIPE_FILE
from edgekd.workflows.settings import checked_settings
from edgekd.workflows.views import view_for, view_options

if TYPE_CHECKING:
    from edgekd.models.detector import TrainingDefaults
    from edgekd.models.registry import System
    from edgekd.recipe import Schedule
    from edgekd.training.teachers.loading import Teacher
    from edgekd.workflows.train import TrainOptions

SIZE, SEED, MINUTES = 256, 0, 10.0  # Where none is given.
COMPARED = ("preset", "minutes", "iterations", "bit_depth", "batch", "learning_rate", "schedule", "seed")


def recipe_for(options: TrainOptions) -> tuple[TrainingRecipe, list[Teacher]]:
    """The recipe of a new run, and its teachers.

    Where a time is to be fitted, `iterations` is 0, and so is `size` unless it is given: `fit_to_minutes` chooses them.

    Args:
        options: Of `train`.

    Raises:
        EdgekdError: The data folder is missing, a name is unknown, or the system does not take an option.
        MachineError: This machine lacks the device.
    """
    from edgekd.models.registry import find_system
    from edgekd.training.device import choose_device, computes_bfloat16
    from edgekd.training.run import require_quantizable
    from edgekd.training.teachers.loading import load_teacher

    system = find_system(options.system)
    if options.data is None:
        raise EdgekdError("--data is missing: give the folder of good images")
    data, preset = Path(options.data), options.preset or TIMED
    settings, names = settings_of(system, options.settings, preset), _teacher_names(options, system)
    if preset == PAPER:
        _require_what_the_paper_takes(options, system, names)
    teachers = [load_teacher(name) for name in names]
    networks = [teacher.network for teacher in teachers]
    settings[system.teacher_setting] = networks if system.several_teachers else networks[0]
    for name in options.augment or ():
        if name not in AUGMENTATIONS:
            raise unknown_name("way to augment images", name, AUGMENTATIONS)
    if options.bit_depth is not None and options.bit_depth not in BIT_DEPTHS:
        raise EdgekdError(f"--bit-depth must be from {BIT_DEPTHS[0]} to {BIT_DEPTHS[-1]}, got {options.bit_depth}")
    defaults = system.defaults(preset)
    share = system.setup.held_out_share if preset == PAPER else None
    batch = options.batch or defaults.batch
    seed = SEED if options.seed is None else options.seed
    minutes = _minutes(options)
    view = view_for(options, data, preset)
    counted = 0 if minutes or options.iterations else _paper_iterations(defaults, data, batch, seed, share, view.count)
    recipe = TrainingRecipe(
        system=system.name,
        data=str(data.resolve()),
        teachers={teacher.name: teacher.sha256 for teacher in teachers},
        iterations=options.iterations or counted,
        size=parse_size((defaults.sizes[0] if minutes else SIZE) if options.size is None else options.size),
        batch=batch,
        learning_rate=options.learning_rate or defaults.learning_rate,
        weight_decay=defaults.weight_decay,
        schedule=options.schedule or cast("Schedule", defaults.schedule),
        seed=seed,
        mixed_precision=preset != PAPER and computes_bfloat16(choose_device(options.device)),
        textures=str(Path(options.textures).resolve()) if options.textures else "",
        settings=settings,
        quantization_aware_from=0 if options.quantization_aware else None,
        preset=preset,
        minutes=minutes,
        optimizer=defaults.optimizer,
        warm_up=defaults.warm_up,
        initialisation=defaults.initialisation,
        augment=tuple(dict.fromkeys(defaults.augment if options.augment is None else options.augment)),
        held_out_share=share,
        view=view,
        bit_depth=options.bit_depth,
    )
    if options.quantization_aware:
        require_quantizable(recipe)
    return recipe, teachers


def settings_of(system: System, settings: Mapping[str, Any], preset: str | None) -> dict[str, Any]:
    """The settings that were asked for, or the preset's, where they differ from the paper's.

    Args:
        system: That is trained.
        settings: That were asked for.
        preset: "timed" or "paper"; None for "timed".

    Raises:
        EdgekdError: The system has no setting of a name, or does not take its value.
    """
    own, ours = system.settings(), {} if preset == PAPER else system.timed_settings
    whole = checked_settings(system, {**ours, **settings})
    return {name: value for name, value in whole.items() if value != own[name]}


def _minutes(options: TrainOptions) -> float | None:
    """The time that size and iterations are fitted to; None where the iterations are given, or the paper's."""
    if options.minutes is not None and options.iterations is not None:
        raise EdgekdError("--minutes and --iterations exclude each other: give one of them")
    if options.preset == PAPER and options.minutes is not None:
        raise EdgekdError("--preset paper takes the paper's iterations: leave out --minutes, or the preset")
    if options.iterations is not None or options.preset == PAPER:
        return None
    return MINUTES if options.minutes is None else options.minutes


def check_training(options: TrainOptions) -> None:
    """Refuses what `train` would refuse before its first step of a new run; makes nothing.

    Args:
        options: Of `train`.

    Raises:
        EdgekdError, MachineError: As `train`.
    """
    from edgekd.training.run import checked_start

    checked_start(*recipe_for(options))


def learns_from_anomalies(system: str, settings: Mapping[str, Any]) -> bool:
    """Whether a system with these settings learns from synthetic anomalies, whose texture `textures` gives.

    Args:
        system: Its name.
        settings: Where they differ from its paper's.
    """
    import torch

    from edgekd.training.run import makes_anomalies, untrained_detector

    recipe = TrainingRecipe(system, "", {}, iterations=0, settings=dict(settings))
    with torch.device("meta"):
        return makes_anomalies(untrained_detector(recipe))


def require_same_recipe(options: TrainOptions) -> None:
    """Refuses options that contradict the recipe of a run that exists. Those that are None are the run's own.

    Args:
        options: Of `train`; the run folder need not exist.

    Raises:
        EdgekdError: The run was trained with other options, or a setting is not the system's.
    """
    from edgekd.models.registry import find_system

    system, run = find_system(options.system), Path(options.run)
    settings = checked_settings(system, options.settings)
    if not (run / RECIPE_FILE).exists():
        return
    recipe = read_recipe(run)
    pairs: list[tuple[str, Any, Any]] = [(name, getattr(options, name), getattr(recipe, name)) for name in COMPARED]
    if options.size is not None:
        pairs.append(("size", size_text(parse_size(options.size)), size_text(recipe.size)))
    if options.data is not None:
        pairs.insert(0, ("data", str(Path(options.data).resolve()), recipe.data))
    if options.textures is not None and learns_from_anomalies(system.name, {**recipe.settings, **settings}):
        pairs.append(("textures", str(Path(options.textures).resolve()), recipe.textures))
    if options.augment is not None:
        ways = dict.fromkeys(options.augment)  # As a recipe has them.
        pairs.append(("augment", " ".join(ways) or "none", " ".join(recipe.augment) or "none"))
    own = system.settings() | recipe.settings
    pairs += [("set", f"{name}={value}", f"{name}={own[name]}") for name, value in settings.items()]
    if options.teacher is not None:
        pairs.append(("teacher", " ".join(_teacher_names(options, system)), " ".join(recipe.teachers)))
    pairs += view_options(options, recipe.view)
    if options.quantization_aware and recipe.quantization_aware_from is None:
        raise EdgekdError(f"{run} was trained without --quantization-aware: leave it out, or use another folder")
    for name, given, kept in pairs:
        if given is not None and given != kept:
            option = f"--{name.replace('_', '-')}"
            raise EdgekdError(
                f"{run} was trained with {option} {kept}, not {given}: leave it out, or use another folder"
            )


def _teacher_names(options: TrainOptions, system: System) -> list[str]:
    """The teachers that were asked for, or the preset's."""
    from edgekd.models.description import PAPER_LIKE, what_teaches
    from edgekd.models.mthf import PAPER_LIKE_GROUPS

    if options.teacher is None:
        return list(system.setup.teachers if options.preset == PAPER else system.teachers)
    given = [options.teacher] if isinstance(options.teacher, (str, Path)) else options.teacher
    names = [str(Path(name)) for name in given]  # As `load_teacher` names files.
    if system.several_teachers and names == [PAPER_LIKE]:
        return list(PAPER_LIKE_GROUPS)
    if not names or PAPER_LIKE in names or (len(names) > 1 and not system.several_teachers):
        raise EdgekdError(f"{system.name} takes {what_teaches(system)}, got {' '.join(names) or 'none'}")
    return names


def _require_what_the_paper_takes(options: TrainOptions, system: System, names: Sequence[str]) -> None:
    """Refuses a training as in the paper without its teachers or textures; names all commands that fetch them."""
    from edgekd.training.teachers.catalogue import CATALOGUE
    from edgekd.training.teachers.files import is_here

    missing = [CATALOGUE[name] for name in names if name in CATALOGUE and not is_here(CATALOGUE[name])]
    lacking = [f"{entry.name} ({entry.megabytes:.0f} MB)" for entry in missing]
    commands = [f"edgekd teachers fetch {entry.name}" for entry in missing]
    textures = options.textures is None and learns_from_anomalies(system.name, options.settings)
    if textures:
        lacking.append(f"the Describable Textures Dataset ({DTD_MEGABYTES} MB)")
        commands += [f"curl -LO {DTD_URL}", f"tar xzf {DTD_URL.rpartition('/')[2]}"]
    if lacking:
        raise EdgekdError(
            f"--preset paper needs {' and '.join(lacking)}: run '{' && '.join(commands)}'"
            + (", then add --textures dtd/images, or your copy of them" if textures else "")
        )


def _paper_iterations(
    training: TrainingDefaults, data: Path, batch: int, seed: int, share: float | None, tiles: int
) -> int:
    """A paper's iterations; of epochs, those of the images that are trained on, or of their tiles."""
    from edgekd.data.good_images import divide_good_images

    if training.epochs is None:
        assert training.iterations is not None
        return training.iterations
    images, _ = divide_good_images(data, seed, share)
    return training.epochs * math.ceil(len(images) * tiles / batch)
