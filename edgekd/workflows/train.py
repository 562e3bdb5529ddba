"""Training a system on good images, into a run folder."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekd.artifact import write_json
from edgekd.errors import EdgekdError
from edgekd.preprocessing import Size, in_pixels, parse_size
from edgekd.progress import Progress, silent
from edgekd.recipe import Preset, Schedule, TrainingRecipe, held_out_images, read_recipe
from edgekd.run_folder import RECIPE_FILE, TRAINING_FILE, checkpoint_name
from edgekd.view import Fit, describe
from edgekd.workflows.calling import takes_options
from edgekd.workflows.ceiling import COMPARED_IMAGES, BelowCeiling, compare_with_ceiling
from edgekd.workflows.training_recipe import check_training, learns_from_anomalies, recipe_for, require_same_recipe
from edgekd.workflows.views import PolygonLike

if TYPE_CHECKING:
    import torch

    from edgekd.training.teachers.loading import Teacher

__all__ = [
    "TrainOptions",
    "TrainResult",
    "check_training",
    "learns_from_anomalies",
    "recipe_for",
    "require_same_recipe",
    "train",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of `train`. Those that are None are as the preset has them; of a resumed run, as it has them.

    Attributes:
        system: "hkt", "hkt_plus", "mhkd", "pfadseg", "dskd" or "mthf".
        data: A folder of good images, or a category of a dataset; needed unless a run is resumed.
        run: The run folder to make, or to resume.
        resume: Whether to resume the run; `iterations` may extend it.
        accept_changed_data: Whether a resumed run goes on although images were added, removed or changed; its recipe
            records that.
        minutes: Time that the training may take: size and iterations are fitted to it. None for 10, unless
            `iterations` are given.
        iterations: Optimizer steps of all stages together, in place of a time.
        preset: "timed" for what was measured to be best within minutes, "paper" for the paper's own training; None for
            "timed".
        size: Of the images, in pixels: a side, or height and width, such as "128x320" or (128, 320). None for the side
            that suits the time, for 256 where there is none.
        crop: What is looked at of each image: x, y, width and height in pixels, such as "100,40,640,480". None for all.
        look_at: Polygons, or mask images, outside of which nothing is looked at: points in pixels, "10,10 90,10 50,80".
        ignore: Polygons, or mask images, inside of which nothing is looked at.
        fit: "letterbox" to keep the shape of images that are not as `size`, "stretch" to fill it with them; None for
            the preset's, which is "letterbox", of "paper" "stretch".
        tiles: Rows and columns that an image is divided into, such as "2x3"; None for one.
        overlap: Of neighbouring tiles, as a share of a tile, 0..0.5; None for 0.1.
        align: A reference image that images are shifted and turned onto; None for none.
        max_shift: That may be corrected, in pixels; None for a tenth of the shorter side.
        max_rotation: That may be corrected, in degrees; None for 5.
        bit_depth: Bits that images of 16 bits use, 9..16, the same in training and on the line; None for 8-bit images.
        batch: Images a step; of tiles, tiles.
        learning_rate: Learning rate of the first stage; later stages keep their paper's proportion to it.
        schedule: Learning-rate schedule.
        seed: Of the initial weights, the order of images and the choice of those held out; None for 0.
        teacher: Teachers by name, or by their .safetensors or .pth file: one, of mthf one or several different ones or
            "paper-like". None for the system's default.
        textures: Folder of images that synthetic anomalies take their texture from (pfadseg, dskd); None for noise.
        augment: How training images are changed at random: "shift" (by up to 1/64 of a side) or, for parts that lie in
            any direction, "flip_horizontal", "flip_vertical", "symmetries" (flips and quarter turns) or "turn" (any
            angle). None for the system's own.
        settings: The system's own settings where they differ from its paper's, such as {"cbam": False}.
        quantization_aware: Whether to train with INT8 arithmetic (hkt, hkt_plus); with `resume`, from here on.
        device: "auto" for a GPU where there is one, "cpu", "cuda" or "cuda:1".
        ceiling: Whether a training within a time ends by comparing the student with its teacher.
        progress: Called while it works.
    """

    system: str = field(kw_only=False)
    data: str | Path | None = None
    run: str | Path
    resume: bool = False
    accept_changed_data: bool = False
    minutes: float | None = None
    iterations: int | None = None
    preset: Preset | None = None
    size: int | str | Size | None = None
    crop: str | Sequence[int] | None = None
    look_at: Sequence[PolygonLike] = ()
    ignore: Sequence[PolygonLike] = ()
    fit: Fit | None = None
    tiles: str | Sequence[int] | None = None
    overlap: float | None = None
    align: str | Path | None = None
    max_shift: float | None = None
    max_rotation: float | None = None
    bit_depth: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    schedule: Schedule | None = None
    seed: int | None = None
    teacher: str | Path | Sequence[str | Path] | None = None
    textures: str | Path | None = None
    augment: Sequence[str] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    quantization_aware: bool = False
    device: str = "auto"
    ceiling: bool = True
    progress: Progress = field(default=silent, repr=False, compare=False)


@dataclass(frozen=True)
class TrainResult:
    """What `train` did.

    Attributes:
        run: The run folder.
        system: What was trained.
        teachers: Names of its teachers.
        iterations: Optimizer steps in all, those of earlier sessions included.
        device: Where it was trained, such as "cpu".
        mixed_precision: Whether convolutions were computed in bfloat16.
        quantization_aware: Whether it was trained with INT8 arithmetic.
        images: Good images found.
        held_out: How many of them were held out, for the threshold.
        copies: How many of them are copies of others, by their bytes or nearly. Copies of a held-out image are left
            out: they are neither trained on nor held out.
        ignored: Other files below the data folder, counted by the reason that they were ignored for.
        seconds: Of this session.
        below_ceiling: How the student does beside its teacher on synthetic defects; None where it was not compared, or
            too few images are held out.
    """

    run: Path
    system: str
    teachers: tuple[str, ...]
    iterations: int
    device: str
    mixed_precision: bool
    quantization_aware: bool
    images: int
    held_out: int
    copies: int
    ignored: dict[str, int]
    seconds: float
    below_ceiling: BelowCeiling | None = None

    def to_dict(self) -> dict[str, Any]:
        """What `edgekd train --json` writes."""
        return asdict(self) | {"run": str(self.run), "teachers": list(self.teachers)}


@takes_options(TrainOptions)
def train(options: TrainOptions) -> TrainResult:
    """Trains a system on good images, into a run folder.

    An interrupted run is saved and can be resumed: it ends with the same weights as one that was not interrupted.

    Args: the fields of `TrainOptions`.

    Returns:
        What was trained, on what, and for how long.

    Raises:
        EdgekdError: The images, the teachers or an option do not suit; nothing was made.
        TrainingError: The loss became NaN or infinite; the last checkpoint is kept.
        MachineError: This machine lacks the device, a package or space on the disk.
        KeyboardInterrupt: Passed on, after saving.
    """
    from edgekd.training.device import choose_device
    from edgekd.training.run import train as train_run

    device, run = choose_device(options.device), Path(options.run)
    if options.resume:
        recipe = _resumed(options)
        found = _find_images(recipe)
    elif options.accept_changed_data:
        raise EdgekdError("--accept-changed-data is for a run that goes on: add --resume, or leave it out")
    else:
        recipe, teachers = _new_recipe(options)
        found = _find_images(recipe)
        recipe = _started(recipe, teachers, options, device)
    _log_training(recipe, device)
    step, start = f"training {recipe.system}", time.monotonic()
    try:
        train_run(run, device, lambda done, loss: options.progress(step, done, recipe.iterations, loss))
    except KeyboardInterrupt:
        if any(run.glob(checkpoint_name("*"))):
            resume = shlex.join(["edgekd", "train", recipe.system, "--run", str(run), "--resume"])
            logger.info("saved; resume with: %s", resume)
        raise
    below_ceiling = None
    if options.ceiling and recipe.minutes is not None:
        below_ceiling = compare_with_ceiling(run, recipe, options.progress)
    if below_ceiling is not None:
        logger.info("%s", below_ceiling)
    seconds = time.monotonic() - start
    write_json(run / TRAINING_FILE, {"iterations": recipe.iterations, "seconds_of_last_session": seconds})
    return TrainResult(
        run=run,
        system=recipe.system,
        teachers=tuple(recipe.teachers),
        iterations=recipe.iterations,
        device=str(device),
        mixed_precision=recipe.mixed_precision,
        quantization_aware=recipe.quantization_aware_from is not None,
        images=found.good,
        held_out=found.held_out,
        copies=found.copies,
        ignored=found.ignored,
        seconds=seconds,
        below_ceiling=below_ceiling,
    )


def _new_recipe(options: TrainOptions) -> tuple[TrainingRecipe, list[Teacher]]:
    """The recipe of a new run with its images chosen, and the teachers."""
    from edgekd.training.run import checked_start, require_new

    require_new(Path(options.run))
    recipe, teachers = recipe_for(options)
    return checked_start(recipe, teachers)[0], teachers


def _started(
    recipe: TrainingRecipe, teachers: Sequence[Teacher], options: TrainOptions, device: torch.device
) -> TrainingRecipe:
    """Makes the run folder; of a training within a time, size and iterations are measured first."""
    from edgekd.models.registry import find_system
    from edgekd.training.budget import fit_to_minutes
    from edgekd.training.run import start_run

    if recipe.minutes is not None:
        defaults = find_system(recipe.system).defaults(recipe.preset)
        sizes = [parse_size(size) for size in (defaults.sizes if options.size is None else (options.size,))]
        logger.info("timing a few steps of %s on %s", recipe.system, device)
        recipe = fit_to_minutes(recipe, teachers, defaults, device, sizes, COMPARED_IMAGES if options.ceiling else 0)
    return start_run(Path(options.run), recipe, teachers)


def _resumed(options: TrainOptions) -> TrainingRecipe:
    from edgekd.training.changed_data import recipe_to_resume

    run = Path(options.run)
    if not (run / RECIPE_FILE).exists():
        raise EdgekdError(f"{run} holds no run to resume: leave out --resume to start one")
    if options.minutes is not None:
        raise EdgekdError("--resume goes on to the iterations of the run: leave out --minutes, or give --iterations")
    if (system := read_recipe(run).system) != options.system:
        raise EdgekdError(f"{run} is a run of {system}, not of {options.system}")
    require_same_recipe(replace(options, iterations=None, quantization_aware=False))  # But for what may change.
    recipe = recipe_to_resume(run, options.accept_changed_data)
    if options.quantization_aware and recipe.quantization_aware_from is None:
        from edgekd.training.run import become_quantization_aware

        return become_quantization_aware(run, options.iterations or recipe.iterations)
    if options.iterations and options.iterations != recipe.iterations:
        from edgekd.training.run import change_iterations

        recipe = change_iterations(run, options.iterations)
    return recipe


class _Images(NamedTuple):
    """How many good images there are, how many are held out and copies, and the other files by reason."""

    good: int
    held_out: int
    copies: int
    ignored: dict[str, int]


def _find_images(recipe: TrainingRecipe) -> _Images:
    """Counts the images of a run, and logs the counts."""
    from edgekd.data.copies import group_copies
    from edgekd.data.ignored_files import count_ignored, describe_ignored
    from edgekd.training.run import training_images
    from edgekd.verdicts.threshold import FEWEST_IMAGES

    trained, held_out = training_images(recipe), held_out_images(recipe)
    left_out = [path for name in recipe.left_out if (path := Path(recipe.data) / name).is_file()]
    good = [*trained, *held_out, *left_out]
    copies = len(good) - len(set(group_copies(good)))
    ignored = count_ignored(Path(recipe.data), good)
    found = f"found {len(good)} good images{f', {copies} of them copies of others' if copies else ''}: "
    found += f"{len(trained)} to train on, {len(held_out)} held out"
    if left_out:
        found += f", {len(left_out)} left out as copies of those held out"
    logger.info("%s", "; ".join(filter(None, (found, describe_ignored(ignored)))))
    if len(held_out) < FEWEST_IMAGES:
        logger.info(
            "%d good images are held out, %d would set a threshold: export leaves it out, inspect takes --threshold",
            len(held_out),
            FEWEST_IMAGES,
        )
    return _Images(len(good), len(held_out), copies, ignored)


def _duration(minutes: float) -> str:
    return f"{minutes:.3g} min" if minutes >= 1 else f"{60 * minutes:.0f} s"


def _log_training(recipe: TrainingRecipe, device: torch.device) -> None:
    arithmetic = ", in bfloat16" if recipe.mixed_precision else ""
    time_of_it = "" if recipe.minutes is None else f"about {_duration(recipe.minutes)}, "
    logger.info(
        "teacher %s; %s%d iterations of %d images of %s on %s%s",
        " + ".join(recipe.teachers),
        time_of_it,
        recipe.iterations,
        recipe.batch,
        in_pixels(recipe.size),
        device,
        arithmetic,
    )
    logger.info("view: %s", describe(recipe.view))
    if learns_from_anomalies(recipe.system, recipe.settings):
        texture = f"images of {recipe.textures}" if recipe.textures else "noise; --textures takes a folder of images"
        logger.info("texture of the synthetic anomalies: %s", texture)
