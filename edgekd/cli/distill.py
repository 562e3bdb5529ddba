"""Distils a PDN teacher from an ImageNet backbone, on images of anything. Ctrl-C saves; --resume goes on."""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

from edgekd.artifact import read_json, write_json
from edgekd.cli.arguments import between, not_negative, positive
from edgekd.cli.output import answer, notes, training_progress
from edgekd.data.images import list_images
from edgekd.errors import EdgekdError

# A PDN sees 33 pixels; these are the maps whose context is nearest to that. Deeper ones see far past it.
STRIDES = (4, 8)
RECIPE_FILE, CHECKPOINT_FILE, OUTPUT_FILE = "distillation.json", "checkpoint.pt", "teacher.safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=Path, nargs="+", required=True, metavar="DIR", help="folders of images")
    parser.add_argument("--run", type=Path, required=True, help="folder to keep everything in")
    parser.add_argument("--teacher", default="pdn_small", help="pdn_small or pdn_medium (default: pdn_small)")
    parser.add_argument("--backbone", default="efficientnet_lite1", help="default: efficientnet_lite1")
    parser.add_argument("--start-from", metavar="NAME|FILE", help="a teacher to go on from; a PDN-S grows into a PDN-M")
    parser.add_argument(
        "--strides",
        type=int,
        nargs="+",
        choices=(4, 8, 16, 32),
        default=STRIDES,
        help="of the backbone's maps (default: 4 8)",
    )
    parser.add_argument("--crop", type=int, choices=(256, 512), default=256, help="what the backbone sees, in pixels")
    parser.add_argument("--iterations", type=positive, default=60_000, help="optimizer steps (default: 60000)")
    parser.add_argument("--batch", type=positive, default=8, help="crops a step (default: 8)")
    parser.add_argument("--learning-rate", type=between(1e-7, 1.0), default=1e-3, help="Adam's (default: 1e-3)")
    parser.add_argument("--seed", type=not_negative, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    parser.add_argument("--resume", action="store_true", help="go on with the run, with the arguments it began with")


def run(arguments: argparse.Namespace) -> int:
    from edgekd.training.device import choose_device
    from edgekd.training.teachers.distilled import made_from, prepare_distillation, save_teacher

    paths = [path for folder in arguments.images for path in list_images(folder)]
    recipe = {name: getattr(arguments, name) for name in ("teacher", "backbone", "iterations", "batch", "seed")}
    recipe |= {"learning_rate": arguments.learning_rate, "images": len(paths), "crop": arguments.crop}
    recipe |= {"strides": sorted(set(arguments.strides)), "start_from": arguments.start_from}
    names = "\n".join(f"{path.parent.name}/{path.name}" for path in paths)
    recipe["images_sha256"] = hashlib.sha256(names.encode()).hexdigest()
    _check_run(arguments.run, recipe, arguments.resume)
    notes.print(f"{len(paths)} images; measuring the features of {arguments.backbone}")
    distillation = prepare_distillation(recipe, paths, choose_device(arguments.device))
    write_json(arguments.run / RECIPE_FILE, recipe)
    before = distillation.held_out_error()
    notes.print(f"held-out error before: {before:.3f} of the variance")
    start = time.monotonic()
    try:
        with training_progress(f"distilling {arguments.teacher}", arguments.iterations) as on_step:
            done = distillation.run(arguments.run / CHECKPOINT_FILE, on_step)
    except KeyboardInterrupt:
        if (arguments.run / CHECKPOINT_FILE).exists():
            notes.print("saved; go on with the same command and --resume")
        raise
    if done < arguments.iterations:
        notes.print(f"ended after {done} iterations: the held-out error no longer fell")
    after = distillation.held_out_error()
    card = {
        **recipe,
        "iterations_done": done,
        "made_from": made_from(recipe),
        "held_out_error_before": before,
        "held_out_error": after,
        "seconds_of_last_session": round(time.monotonic() - start),
        "folders": [folder.name for folder in arguments.images],
    }
    save_teacher(arguments.run / OUTPUT_FILE, distillation, card)
    answer.print(f"held-out error {before:.3f} -> {after:.3f} of the variance; wrote {arguments.run / OUTPUT_FILE}")
    return 0


def _check_run(run: Path, recipe: dict[str, object], resume: bool) -> None:
    exists = (run / RECIPE_FILE).exists()
    if exists and not resume:
        raise EdgekdError(f"{run} holds a distillation already: --resume goes on with it, or name another folder")
    if resume and not exists:
        raise EdgekdError(f"{run} holds no distillation to go on with: leave --resume out to start one")
    if resume and (begun := read_json(run / RECIPE_FILE)) != recipe:
        changed = sorted(name for name in recipe if begun.get(name) != recipe[name])
        raise EdgekdError(f"{run} was begun with another {', '.join(changed)}: use the arguments it began with")
