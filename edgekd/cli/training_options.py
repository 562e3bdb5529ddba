"""The options of training, for every command that trains; and whether a run that is there was trained by them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.cli.arguments import between, not_negative, positive
from edgekd.cli.switches import read_switches
from edgekd.errors import EdgekdError
from edgekd.recipe import read_recipe
from edgekd.run_folder import RECIPE_FILE

if TYPE_CHECKING:
    from edgekd.models.registry import System

TEACHER_OPTIONS = ("teacher", "backbone", "groups")
OF_THE_RECIPE = ("iterations", "size", "batch", "learning_rate", "schedule", "seed")
OPTIONS = (*TEACHER_OPTIONS, "textures", *OF_THE_RECIPE, "switch", "quantization_aware", "device")


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that decide the weights of a run, and the device that computes them."""
    parser.add_argument(
        "--teacher", metavar="NAME|FILE", help="hkt, hkt_plus, mhkd: of `edgekd teachers list`, .safetensors or .pth"
    )
    parser.add_argument("--backbone", metavar="NAME", help="pfadseg, dskd: of `edgekd teachers list`")
    parser.add_argument("--groups", metavar="NAME", nargs="+", help="mthf: backbones, or paper-like")
    parser.add_argument("--textures", type=Path, metavar="DIR", help="pfadseg, dskd: images to make anomalies of")
    parser.add_argument("--iterations", type=positive, help="optimizer steps of all stages (default: as the paper)")
    parser.add_argument("--size", type=positive, default=256, help="side of the images, in pixels (default: 256)")
    parser.add_argument("--batch", type=positive, help="images a step (default: as the paper)")
    parser.add_argument("--learning-rate", type=between(1e-7, 1.0), help="of the first stage (default: as the paper)")
    parser.add_argument("--schedule", choices=("constant", "step", "cosine"), help="of it (default: as the paper)")
    parser.add_argument(
        "--switch",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="the system's own, such as cbam=off: docs/systems.md lists them",
    )
    parser.add_argument(
        "--quantization-aware",
        action="store_true",
        help="hkt, hkt_plus: learn as INT8 will compute; with --resume, from here on",
    )
    parser.add_argument("--seed", type=not_negative, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")


def training_words(arguments: argparse.Namespace, system: System) -> list[str]:
    """The options that were given, as words for `edgekd train`, but for those that are for other systems."""
    words: list[str] = []
    for name in OPTIONS:
        value = getattr(arguments, name)
        if value is None or value is False or (name in TEACHER_OPTIONS and name != system.teacher_setting):
            continue
        if name == "textures" and not learns_from_anomalies(arguments, system):
            continue
        option = _option(name)
        if name == "switch":
            words += [word for switch in value for word in (option, switch)]
        else:
            words += [option] if value is True else [option, *map(str, value if isinstance(value, list) else [value])]
    return words


def learns_from_anomalies(arguments: argparse.Namespace, system: System) -> bool:
    """Whether a system, switched as asked, learns from synthetic anomalies: --textures is for such ones."""
    import torch

    from edgekd.recipe import TrainingRecipe
    from edgekd.training.run import makes_anomalies, untrained_detector

    switches = read_switches(arguments.switch, system)
    with torch.device("meta"):
        return makes_anomalies(untrained_detector(TrainingRecipe(system.name, "", {}, iterations=0, settings=switches)))


def require_same_recipe(arguments: argparse.Namespace, system: System, run: Path, data: Path) -> None:
    """Refuses options that contradict the recipe of a run that is there. What is not given is the run's own.

    Args:
        arguments: With the training options; None where one is not given.
        system: To train.
        run: Its folder, which may not be there yet.
        data: What it is trained on.

    Raises:
        EdgekdError: The run learned otherwise, or a switch is not the system's.
    """
    switches = read_switches(arguments.switch, system)
    if not (run / RECIPE_FILE).exists():
        return
    recipe = read_recipe(run)
    pairs: list[tuple[str, Any, Any]] = [("data", str(data.resolve()), recipe.data)]
    pairs += [(name, getattr(arguments, name), getattr(recipe, name)) for name in OF_THE_RECIPE]
    if arguments.textures is not None and learns_from_anomalies(arguments, system):
        pairs.append(("textures", str(arguments.textures.resolve()), recipe.textures))
    own = system.settings() | recipe.settings
    pairs += [("switch", f"{name}={value}", f"{name}={own[name]}") for name, value in switches.items()]
    pairs += _teachers(arguments, system, list(recipe.teachers))
    if arguments.quantization_aware and recipe.quantization_aware_from is None:
        raise EdgekdError(f"{run} was trained without --quantization-aware: leave it out, or name another --out")
    for name, given, kept in pairs:
        if given is not None and given != kept:
            raise EdgekdError(
                f"{run} was trained with {_option(name)} {kept}, not {given}: leave it out, or name another --out"
            )


def _teachers(arguments: argparse.Namespace, system: System, kept: list[str]) -> Iterator[tuple[str, str, str]]:
    from edgekd.training.teachers.loading import load_teacher

    given = getattr(arguments, system.teacher_setting)
    if given is not None and given != ["paper-like"]:
        names = given if isinstance(given, list) else [given]
        yield system.teacher_setting, " ".join(load_teacher(name).name for name in names), " ".join(kept)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
