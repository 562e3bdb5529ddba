"""The options of training for `benchmark`, which still parses with argparse; goes away with it."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgekd.cli.arguments import between, not_negative, positive
from edgekd.workflows.settings import parse_settings
from edgekd.workflows.train import TrainOptions, learns_from_anomalies

PLAIN = ("iterations", "size", "batch", "learning_rate", "schedule", "seed", "device")


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that decide the weights of a run, and the device that computes them."""
    parser.add_argument("--teacher", metavar="NAME", action="append", help="teacher, by name or file (repeatable)")
    parser.add_argument("--textures", type=Path, metavar="DIR", help="pfadseg, dskd: images that textures come from")
    parser.add_argument("--iterations", type=positive, help="optimizer steps of all stages (default: as the paper)")
    parser.add_argument("--size", type=positive, default=256, help="side of the images, in pixels (default: 256)")
    parser.add_argument("--batch", type=positive, help="images a step (default: as the paper)")
    parser.add_argument("--learning-rate", type=between(1e-7, 1.0), help="of the first stage (default: as the paper)")
    parser.add_argument("--schedule", choices=("constant", "step", "cosine"), help="learning-rate schedule")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a system's own setting")
    parser.add_argument("--quantization-aware", action="store_true", help="hkt, hkt_plus: train with INT8 arithmetic")
    parser.add_argument("--seed", type=not_negative, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")


def training_options(arguments: argparse.Namespace, system: str, run: Path, data: Path) -> TrainOptions:
    """The options that were given, but for textures where a system does not learn from anomalies."""
    settings = parse_settings(system, arguments.set)
    return TrainOptions(
        system,
        data=data,
        run=run,
        iterations=arguments.iterations,
        size=arguments.size,
        batch=arguments.batch,
        learning_rate=arguments.learning_rate,
        schedule=arguments.schedule,
        seed=arguments.seed,
        teacher=arguments.teacher,
        textures=arguments.textures if arguments.textures and learns_from_anomalies(system, settings) else None,
        settings=settings,
        quantization_aware=arguments.quantization_aware,
        device=arguments.device or "auto",
    )


def training_words(arguments: argparse.Namespace, options: TrainOptions) -> list[str]:
    """The same as words for `edgekd train`."""
    words = [options.system, "--run", str(options.run), "--data", str(options.data)]
    for name in PLAIN:
        if getattr(arguments, name) is not None:
            words += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    for option, values in (("--teacher", arguments.teacher or ()), ("--set", arguments.set)):
        words += [word for value in values for word in (option, value)]
    if options.textures is not None:
        words += ["--textures", str(options.textures)]
    return words + ["--quantization-aware"] * options.quantization_aware
