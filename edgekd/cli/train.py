"""Trains a system on good pictures. Ctrl-C saves; --resume goes on to the same weights."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from edgekd.artifact import write_json
from edgekd.cli.arguments import between, not_negative, positive
from edgekd.cli.output import answer, notes, training_progress
from edgekd.errors import EdgekdError
from edgekd.recipe import RECIPE_FILE, TrainingRecipe, read_recipe, write_recipe

PAPER_ITERATIONS = 50_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("system", metavar="SYSTEM", help="hkt or hkt_plus")
    parser.add_argument("--data", type=Path, help="folder of good pictures, or an MVTec AD category")
    parser.add_argument("--run", type=Path, required=True, help="folder to keep everything in")
    parser.add_argument("--teacher", metavar="NAME|FILE", help="of `edgekd teachers list`, or .safetensors or .pth")
    parser.add_argument("--iterations", type=positive, help=f"optimizer steps (default: {PAPER_ITERATIONS})")
    parser.add_argument("--size", type=positive, default=256, help="side of the pictures, in pixels (default: 256)")
    parser.add_argument("--batch", type=positive, default=1, help="pictures a step (default: 1)")
    parser.add_argument("--learning-rate", type=between(1e-7, 1.0), default=1e-4, help="Adam's (default: 1e-4)")
    parser.add_argument("--decay-at-end", action="store_true", help="a tenth of it for the last twentieth")
    parser.add_argument("--no-cbam", action="store_true", help="ablation: the student without attention")
    parser.add_argument("--no-projectors", action="store_true", help="ablation: without learnable projectors")
    parser.add_argument("--seed", type=not_negative, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    parser.add_argument("--resume", action="store_true", help="go on with the run; --iterations may extend it")


def run(arguments: argparse.Namespace) -> int:
    from edgekd.training.device import choose_device
    from edgekd.training.run import CHECKPOINT_FILE, train

    device = choose_device(arguments.device)
    recipe = _resumed(arguments) if arguments.resume else _started(arguments, device.type == "cuda")
    notes.print(f"teacher {recipe.teacher}; {recipe.iterations} iterations on {device}, into {arguments.run}")
    start = time.monotonic()
    try:
        with training_progress(f"training {recipe.system}", recipe.iterations) as on_step:
            train(arguments.run, device, on_step)
    except KeyboardInterrupt:
        if (arguments.run / CHECKPOINT_FILE).exists():
            notes.print(f"saved; go on with: edgekd train {recipe.system} --run {arguments.run} --resume")
        raise
    seconds = time.monotonic() - start
    write_json(arguments.run / "training.json", {"iterations": recipe.iterations, "seconds_of_last_session": seconds})
    answer.print(f"trained in {seconds:.0f} s; next: edgekd export {arguments.run}")
    return 0


def _started(arguments: argparse.Namespace, on_gpu: bool) -> TrainingRecipe:
    from edgekd.models.backbones import BACKBONE_NAMES
    from edgekd.models.registry import find_system
    from edgekd.training.run import start_run
    from edgekd.training.teachers import load_teacher

    system = find_system(arguments.system)
    if arguments.data is None:
        raise EdgekdError("--data is missing: name the folder of good pictures")
    teacher = load_teacher(arguments.teacher or system.teacher)
    switches: dict[str, object] = {}
    if teacher.network in BACKBONE_NAMES:
        switches["teacher"] = teacher.name
    if arguments.no_cbam:
        switches["cbam"] = False
    if arguments.no_projectors:
        switches["projectors"] = False
    recipe = TrainingRecipe(
        system=system.name,
        data=str(arguments.data.resolve()),
        teacher=teacher.name,
        teacher_sha256=teacher.sha256,
        iterations=arguments.iterations or PAPER_ITERATIONS,
        size=arguments.size,
        batch=arguments.batch,
        learning_rate=arguments.learning_rate,
        decay_at_end=arguments.decay_at_end,
        seed=arguments.seed,
        # On CPUs oneDNN's bfloat16 convolutions measured slower than its float32 ones; on GPUs they are faster.
        mixed_precision=on_gpu,
        switches=switches,
    )
    return start_run(arguments.run, recipe, teacher)


def _resumed(arguments: argparse.Namespace) -> TrainingRecipe:
    if not (arguments.run / RECIPE_FILE).exists():
        raise EdgekdError(f"{arguments.run} holds no run to go on with: leave --resume out to start one")
    recipe = read_recipe(arguments.run)
    if recipe.system != arguments.system:
        raise EdgekdError(f"{arguments.run} is a run of {recipe.system}, not of {arguments.system}")
    if arguments.iterations and arguments.iterations != recipe.iterations:
        recipe = replace(recipe, iterations=arguments.iterations)
        write_recipe(arguments.run, recipe)
    return recipe
