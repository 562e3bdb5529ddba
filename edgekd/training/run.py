"""Training a system on good images, into a run folder; and reading such a folder."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekd.artifact import write_json
from edgekd.data.copies import digests_of
from edgekd.data.good_images import divide_good_images, read_frames
from edgekd.data.good_images import training_images as training_images
from edgekd.data.image_hashes import digests_by_path, named
from edgekd.data.images import read_image
from edgekd.data.layouts import find_good_images
from edgekd.data.synthetic_anomalies import list_textures
from edgekd.errors import EdgekdError, ImageError, few_of
from edgekd.models.detector import Detector
from edgekd.models.registry import find_system, require_legal_size
from edgekd.recipe import FROM_IMAGES, TrainingRecipe, held_out_images, read_recipe, write_recipe
from edgekd.run_folder import RECIPE_FILE, STUDENT_FILE, TEACHER_CARDS_FILE, TEACHER_FILE
from edgekd.training.batches import Batches, normalised_images, require_suitable
from edgekd.training.checkpoints import iterations_done
from edgekd.training.device import channels_last
from edgekd.training.initialisation import scale_layers
from edgekd.training.loop import OnStep
from edgekd.training.memory import keep_freed_memory
from edgekd.training.quantization_aware import rounded_to_int8
from edgekd.training.stages import checkpoint_of, stages_of, train_stage
from edgekd.training.teachers.loading import Teacher, put_pretrained
from edgekd.training.weight_files import put_weights, read_weights, write_weights

FEWEST_TO_SETTLE = 3
MEASURED_IMAGES = 32  # That the ranges of a quantized teacher are measured on.
PLACED_IMAGES = 150  # That the places of a map are standardised over: their deviation wants more images than a range.
INITIAL_IMAGES = 16  # That initial weights are scaled on.


def start_run(run: Path, recipe: TrainingRecipe, teachers: Sequence[Teacher]) -> TrainingRecipe:
    """Makes a run folder: the teachers, and the recipe with the held-out images chosen.

    Args:
        run: The folder; it must not hold a run.
        recipe: What to train; what follows from its images is filled in.
        teachers: Their weights are copied, so that the run stands alone.

    Returns:
        The recipe as it was written.

    Raises:
        EdgekdError: The folder holds a run already, the images, the batch or the size do not suit, or a teacher
            does not fit.
    """
    require_new(run)
    recipe, detector = checked_start(recipe, teachers)
    recipe = _with_hashes(recipe)
    cards = [{"name": entry.name, "sha256": entry.sha256, "card": entry.provenance} for entry in teachers]
    write_weights(run / TEACHER_FILE, detector.teacher.state_dict())
    write_json(run / TEACHER_CARDS_FILE, cards)
    write_recipe(run, recipe)
    return recipe


def _with_hashes(recipe: TrainingRecipe) -> TrainingRecipe:
    """A recipe with the hashes of its images."""
    paths = [*training_images(recipe), *held_out_images(recipe)]
    digests = digests_of(paths)
    if unreadable := [str(path) for path, digest in zip(paths, digests, strict=True) if not digest]:
        raise ImageError(f"images cannot be read: {few_of(unreadable)}")
    return replace(recipe, images=dict(zip(named(Path(recipe.data), paths), digests, strict=True)))


def require_new(run: Path) -> None:
    """Refuses a folder that holds a run.

    Raises:
        EdgekdError: It does.
    """
    if (run / RECIPE_FILE).exists():
        raise EdgekdError(f"{run} holds a run already: add --resume to resume it, or use another folder")


def checked_start(recipe: TrainingRecipe, teachers: Sequence[Teacher]) -> tuple[TrainingRecipe, Detector]:
    """What a run would begin with, without making it: so that many can be checked before the first is trained.

    Args:
        recipe: What to train; what follows from its images is filled in.
        teachers: Their weights.

    Returns:
        The recipe as `with_images` completes it, and its detector with the teachers' weights.

    Raises:
        EdgekdError: The images, the batch, the size or the augmentation do not suit, or a teacher does not fit.
    """
    detector = untrained_detector(recipe)
    require_suitable(recipe.augment, recipe.size)
    if recipe.textures and not makes_anomalies(detector):
        raise EdgekdError(f"--textures is for synthetic anomalies, and this {recipe.system} learns without them")
    recipe = with_images(recipe)
    _require_what_it_needs(detector, recipe)
    _give_weights(detector, teachers)
    return recipe, detector


def with_images(recipe: TrainingRecipe) -> TrainingRecipe:
    """Completes a recipe by what follows from its images: those held out, how many are trained on and are textures.

    Raises:
        EdgekdError: There are too few good images, or no textures where it names a folder of them.
        ImageError: The first image cannot be read.
    """
    data = Path(recipe.data)
    training, held_out = divide_good_images(data, recipe.seed, recipe.held_out_share)
    read_image(training[0], recipe.bit_depth)  # A bit depth that was not stated shows before anything is made.
    used = {*training, *held_out}
    return replace(
        recipe,
        held_out=tuple(path.relative_to(data).as_posix() for path in held_out),
        left_out=tuple(path.relative_to(data).as_posix() for path in find_good_images(data) if path not in used),
        trained_images=len(training),
        texture_images=len(list_textures(Path(recipe.textures))) if recipe.textures else 0,
    )


def _require_what_it_needs(detector: Detector, recipe: TrainingRecipe) -> None:
    if recipe.batch < detector.min_batch:
        raise EdgekdError(
            f"{recipe.system} needs --batch {detector.min_batch} or more: "
            "its batch norms may see a single value a channel"
        )
    _require_enough_held_out(detector, recipe, len(recipe.held_out))


def _require_enough_held_out(detector: Detector, recipe: TrainingRecipe, held_out: int) -> None:
    if detector.needs_held_out and held_out < FEWEST_TO_SETTLE:
        raise EdgekdError(
            f"{recipe.system} scales its maps by held-out good images, a tenth of all where the dataset has no "
            f"validation/good, and {held_out} are too few: give at least 30 good images"
        )


def makes_anomalies(detector: Detector) -> bool:
    """Whether a detector learns from synthetic anomalies."""
    return any(stage.synthetic for stage in detector.stages())


def _give_weights(detector: Detector, teachers: Sequence[Teacher]) -> None:
    by_network = {teacher.network: teacher for teacher in teachers}
    for name, network in detector.pretrained().items():
        if name not in by_network:
            raise EdgekdError(f"the teacher must be {name}, got {', '.join(by_network) or 'none'}")
        put_pretrained(network, by_network[name])


def change_iterations(run: Path, iterations: int) -> TrainingRecipe:
    """Lets a run end later, or sooner, than its recipe has it.

    Later stages that were built on less begin anew, and the weights of the shorter run are taken away: they are not
    those of the recipe any more.

    Args:
        run: A folder that `start_run` made.
        iterations: Of all stages together.

    Returns:
        The recipe as it was written.

    Raises:
        EdgekdError: More iterations than that are done already.
    """
    recipe = replace(read_recipe(run), iterations=iterations)
    with torch.device("meta"):
        stages = [(stage.name, count) for stage, count in stages_of(untrained_detector(recipe), iterations)]
    for name, count in stages:
        done = iterations_done(checkpoint_of(run, name))
        if done > count:
            raise EdgekdError(
                f"{run} has done {done} iterations of its stage {name}, of {iterations} in all it would have {count}: "
                "use more --iterations"
            )
    for name, _ in stages[1:]:
        checkpoint_of(run, name).unlink(missing_ok=True)
    (run / STUDENT_FILE).unlink(missing_ok=True)
    write_recipe(run, recipe)
    return recipe


def build_detector(recipe: TrainingRecipe, teacher_state: dict[str, Tensor]) -> Detector:
    """A recipe's detector before training: the teacher's weights in, the student's drawn from the seed.

    Raises:
        EdgekdError: The image size is not one that the system takes.
        ArtifactError: The teacher does not fit.
    """
    detector = untrained_detector(recipe)
    put_weights(detector.teacher, teacher_state, TEACHER_FILE, f"teacher of {recipe.system}")
    return detector


def untrained_detector(recipe: TrainingRecipe) -> Detector:
    """A recipe's detector with all of its weights drawn from the seed.

    Raises:
        EdgekdError: The image size is not one that the system takes.
    """
    torch.manual_seed(recipe.seed)
    detector = find_system(recipe.system).detector(recipe.size, recipe.settings)
    require_legal_size(recipe.system, detector, recipe.size)
    return detector


def train(run: Path, device: torch.device, on_step: OnStep) -> None:
    """Trains a run to the end of its recipe, from its checkpoints if there are any.

    Args:
        run: A folder that `start_run` made.
        device: Where to.
        on_step: Called with the iterations done, of all stages together, and the loss.

    Raises:
        TrainingError: The loss became NaN or infinite.
        KeyboardInterrupt: Passed on, after saving.
    """
    keep_freed_memory()
    recipe = read_recipe(run)
    detector = build_detector(recipe, read_weights(run / TEACHER_FILE))
    channels_last(detector, device).eval().requires_grad_(False)
    digests = digests_by_path(recipe)
    frames = read_frames(training_images(recipe), recipe.preprocessing, digests)
    # Now, so that what is wrong with them shows now.
    held_out = read_frames(held_out_images(recipe), recipe.preprocessing, digests)
    _require_enough_held_out(detector, recipe, len(held_out))
    with batches_of(recipe, detector, frames, device) as batches, _arithmetic(detector, recipe, frames, device):
        batches.prepare()
        scale_students(detector, recipe, frames, device)
        done = 0
        for stage, iterations in stages_of(detector, recipe.iterations):
            checkpoint = checkpoint_of(run, stage.name)
            train_stage(stage, iterations, recipe, batches.at, checkpoint, device, _counted_from(done, on_step))
            done += iterations
    detector.fit_quantiles(normalised_images(held_out[index : index + 1], device) for index in range(len(held_out)))
    detector.fit_places(normalised_images(frame[None], device) for frame in _spread(frames, PLACED_IMAGES))
    state = {key: value for key, value in detector.state_dict().items() if not key.startswith("teacher.")}
    write_weights(run / STUDENT_FILE, state, {"system": recipe.system})


def batches_of(recipe: TrainingRecipe, detector: Detector, frames: NDArray[np.uint8], device: torch.device) -> Batches:
    """The batches of a run.

    Args:
        recipe: Of the run.
        detector: On the device.
        frames: The training images, uint8 [N, H, W, 3], BGR.
        device: That trains.
    """
    textures = list_textures(Path(recipe.textures)) if recipe.textures else []
    dtype = torch.bfloat16 if recipe.mixed_precision else torch.float32
    return Batches(detector, frames, recipe.batch, recipe.seed, textures, device, recipe.resize, dtype, recipe.augment)


def scale_students(detector: Detector, recipe: TrainingRecipe, frames: NDArray[np.uint8], device: torch.device) -> None:
    """Gives the first stage's networks their initial weights, where the recipe takes them from images.

    Args:
        detector: On the device.
        recipe: Of the run.
        frames: The training images, uint8 [N, H, W, 3], BGR.
        device: That trains.
    """
    if recipe.initialisation == FROM_IMAGES:
        images = normalised_images(frames[:INITIAL_IMAGES], device)
        scale_layers(detector.stages()[0].trainable, images)


def _counted_from(done: int, on_step: OnStep) -> OnStep:
    """The callback of one stage, which counts the iterations of the stages before it too."""
    return lambda iteration, loss: on_step(done + iteration, loss)


def _arithmetic(
    detector: Detector, recipe: TrainingRecipe, frames: NDArray[np.uint8], device: torch.device
) -> AbstractContextManager[None]:
    """Float, or that of the INT8 graph."""
    if recipe.quantization_aware_from is None:
        return nullcontext()
    return rounded_to_int8(
        detector, (normalised_images(frame[None], device) for frame in _spread(frames, MEASURED_IMAGES))
    )


def _spread(frames: NDArray[np.uint8], most: int) -> NDArray[np.uint8]:
    """So many of the frames at most, evenly over all."""
    few: NDArray[np.uint8] = frames[np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int)]
    return few


def become_quantization_aware(run: Path, iterations: int) -> TrainingRecipe:
    """Lets a float run continue with the arithmetic of its INT8 graph.

    Args:
        run: A folder that `start_run` made.
        iterations: In all, those done in float included.

    Returns:
        The recipe as it was written.

    Raises:
        EdgekdError: The system cannot, or there is nothing left to train.
    """
    recipe = read_recipe(run)
    require_quantizable(recipe)
    done = iterations_done(checkpoint_of(run))
    if iterations <= done:
        raise EdgekdError(
            f"{run} has done {done} iterations in float: --iterations counts those too and must be larger"
        )
    if iterations != recipe.iterations:
        change_iterations(run, iterations)
    (run / STUDENT_FILE).unlink(missing_ok=True)
    recipe = replace(recipe, iterations=iterations, quantization_aware_from=done)
    write_recipe(run, recipe)
    return recipe


def require_quantizable(recipe: TrainingRecipe) -> None:
    """Refuses quantization-aware training of a system that is not known to gain from it."""
    with torch.device("meta"):
        if not untrained_detector(recipe).quantizable():
            raise EdgekdError(
                f"--quantization-aware is for hkt and hkt_plus: train {recipe.system} in float, and export it with "
                "--precision int8 --max-drift"
            )


def load_run(run: Path) -> tuple[Detector, TrainingRecipe]:
    """The trained detector of a run, on the CPU, and its recipe.

    Raises:
        EdgekdError: The folder is not a run, or its training is not finished.
    """
    recipe = read_recipe(run)
    if not (run / STUDENT_FILE).is_file():
        resume = shlex.join(["edgekd", "train", recipe.system, "--run", str(run), "--resume"])
        raise EdgekdError(f"the training of {run} is not finished: {resume}")
    teacher_state = read_weights(run / TEACHER_FILE)
    detector = build_detector(recipe, teacher_state)
    whole = read_weights(run / STUDENT_FILE) | {f"teacher.{key}": value for key, value in teacher_state.items()}
    put_weights(detector, whole, str(run / STUDENT_FILE), recipe.system)
    return detector.eval(), recipe
