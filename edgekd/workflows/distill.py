"""Distilling a PDN teacher from an ImageNet backbone, on images of anything."""

from __future__ import annotations

import hashlib
import logging
import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgekd.artifact import write_json
from edgekd.errors import EdgekdError
from edgekd.json_files import read_object
from edgekd.progress import Progress, silent
from edgekd.run_folder import DISTILLATION_CHECKPOINT_FILE, DISTILLATION_FILE, TEACHER_FILE
from edgekd.workflows.calling import takes_options

# A PDN sees 33 pixels; these are the maps whose context is nearest to that. Deeper ones see far past it.
STRIDES = (4, 8)
LEGAL_STRIDES, LEGAL_CROPS = (4, 8, 16, 32), (256, 512)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DistillOptions:
    """Options of `distill`.

    Attributes:
        images: Folders of images of anything.
        run: The folder to make, or to resume.
        teacher: The teacher to distill: "pdn_small" or "pdn_medium".
        backbone: The ImageNet backbone that it learns from.
        start_from: A teacher to start from, by name or file; a PDN-S grows into a PDN-M. None for drawn weights.
        strides: Strides of the backbone's maps, of 4, 8, 16 and 32.
        crop: Side of what the backbone sees, 256 or 512 pixels; the PDN sees half of it.
        iterations: Optimizer steps; the learning rate falls to nothing along them.
        batch: Crops a step.
        learning_rate: Adam's at the start; it falls to 0 along a cosine.
        seed: Of the weights and of every crop.
        device: "auto" for a GPU where there is one, "cpu", "cuda" or "cuda:1".
        resume: Whether to resume the run, with the options that it was started with.
        progress: Called while it works.
    """

    images: str | Path | Sequence[str | Path] = field(kw_only=False)
    run: str | Path
    teacher: str = "pdn_small"
    backbone: str = "efficientnet_lite1"
    start_from: str | Path | None = None
    strides: Sequence[int] = STRIDES
    crop: int = 256
    iterations: int = 60_000
    batch: int = 8
    learning_rate: float = 1e-3
    seed: int = 0
    device: str = "auto"
    resume: bool = False
    progress: Progress = field(default=silent, repr=False, compare=False)


@dataclass(frozen=True)
class DistillResult:
    """What `distill` did.

    Attributes:
        file: The teacher, for `teacher=` of `edgekd.train`; its card stands beside it.
        images: Images that it was distilled on, those held out included.
        iterations: Optimizer steps done, those of earlier sessions included.
        held_out_error_before: Mean squared error on held-out images before, as a share of the features' variance.
        held_out_error: The same afterwards.
        seconds: Of this session.
    """

    file: Path
    images: int
    iterations: int
    held_out_error_before: float
    held_out_error: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """What `edgekd distill --json` writes."""
        return asdict(self) | {"file": str(self.file)}


@takes_options(DistillOptions)
def distill(options: DistillOptions) -> DistillResult:
    """Distills a PDN teacher from an ImageNet backbone, on images of anything.

    An interrupted distillation is saved and can be resumed.

    Args: the fields of `DistillOptions`.

    Returns:
        The teacher's file, and its error on held-out images before and after.

    Raises:
        EdgekdError: A name is unknown, the images are too few, or the run exists and is not to be resumed.
        MachineError: The backbone's weights or the device are not here.
        KeyboardInterrupt: Passed on, after saving.
    """
    from edgekd.data.images import list_images
    from edgekd.training.device import choose_device
    from edgekd.training.teachers.distilled import made_from, prepare_distillation, save_teacher

    folders, run = _folders(options), Path(options.run)
    paths = [path for folder in folders for path in list_images(folder)]
    recipe = _recipe(options, paths)
    _check_run(run, recipe, options.resume)
    logger.info("%d images; measuring the features of %s", len(paths), options.backbone)
    distillation = prepare_distillation(recipe, paths, choose_device(options.device))
    write_json(run / DISTILLATION_FILE, recipe)
    before = distillation.held_out_error()
    logger.info("held-out error before: %.3f of the variance", before)
    step, start = f"distilling {options.teacher}", time.monotonic()
    try:
        distillation.run(
            run / DISTILLATION_CHECKPOINT_FILE,
            lambda iteration, loss: options.progress(step, iteration, options.iterations, loss),
        )
    except KeyboardInterrupt:
        if (run / DISTILLATION_CHECKPOINT_FILE).exists():
            logger.info("saved; resume with: %s", shlex.join(_resuming(options, folders)))
        raise
    result = DistillResult(
        file=run / TEACHER_FILE,
        images=len(paths),
        iterations=options.iterations,
        held_out_error_before=before,
        held_out_error=distillation.held_out_error(),
        seconds=time.monotonic() - start,
    )
    card = {
        **recipe,
        "iterations_done": options.iterations,
        "made_from": made_from(recipe),
        "held_out_error_before": before,
        "held_out_error": result.held_out_error,
        "seconds_of_last_session": round(result.seconds),
        "folders": [folder.name for folder in folders],
    }
    save_teacher(result.file, distillation, card)
    return result


def _folders(options: DistillOptions) -> list[Path]:
    given = [options.images] if isinstance(options.images, (str, Path)) else options.images
    if not given:
        raise EdgekdError("--images is missing: give at least one folder of images")
    return [Path(folder) for folder in given]


def _recipe(options: DistillOptions, paths: Sequence[Path]) -> dict[str, Any]:
    """Everything that decides the weights; a run is resumed by the same recipe only."""
    strides = sorted(set(options.strides))
    if not strides or not set(strides) <= set(LEGAL_STRIDES):
        raise EdgekdError(f"--strides must be some of {_words(LEGAL_STRIDES)}, got {_words(strides) or 'none'}")
    if options.crop not in LEGAL_CROPS:
        raise EdgekdError(f"--crop must be one of {_words(LEGAL_CROPS)} pixels, got {options.crop}")
    names = "\n".join(f"{path.parent.name}/{path.name}" for path in paths)
    return {
        "teacher": options.teacher,
        "backbone": options.backbone,
        "iterations": options.iterations,
        "batch": options.batch,
        "seed": options.seed,
        "learning_rate": options.learning_rate,
        "images": len(paths),
        "crop": options.crop,
        "strides": strides,
        "start_from": None if options.start_from is None else str(options.start_from),
        "images_sha256": hashlib.sha256(names.encode("utf-8", "surrogatepass")).hexdigest(),
    }


def _words(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _check_run(run: Path, recipe: dict[str, Any], resume: bool) -> None:
    exists = (run / DISTILLATION_FILE).exists()
    if exists and not resume:
        raise EdgekdError(f"{run} holds a distillation already: add --resume to resume it, or use another folder")
    if resume and not exists:
        raise EdgekdError(f"{run} holds no distillation to resume: leave out --resume to start one")
    if resume and (begun := read_object(run / DISTILLATION_FILE)) != recipe:
        changed = {name.removesuffix("_sha256") for name in recipe if begun.get(name) != recipe[name]}
        options = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(changed))
        raise EdgekdError(f"{run} was started with other values of {options}: use those that it was started with")


def _resuming(options: DistillOptions, folders: Sequence[Path]) -> list[str]:
    """The command that resumes the run, with the options that it was started with."""
    words = ["edgekd", "distill", "--run", str(options.run), "--resume"]
    for folder in folders:
        words += ["--images", str(folder)]
    for stride in options.strides if tuple(options.strides) != STRIDES else ():
        words += ["--strides", str(stride)]
    for name in ("teacher", "backbone", "start_from", "crop", "iterations", "batch", "learning_rate", "seed", "device"):
        value = getattr(options, name)
        if value != getattr(DistillOptions, name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words
