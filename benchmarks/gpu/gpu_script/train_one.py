"""Trains one system on the carried category, to its paper's iterations or for as long as the time allows.

    python -m gpu_script.train_one OUT SYSTEM SECONDS THREADS

It goes on from what an earlier run in OUT left. SIGINT ends it early: what was trained till then is measured and kept.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path

import torch

from edgekd.artifact import read_json
from edgekd.data.good_images import divide_good_images, read_frames
from edgekd.data.layouts import find_good_images
from edgekd.errors import TrainingError, one_line
from edgekd.models.detector import Detector
from edgekd.models.registry import find_system
from edgekd.recipe import TrainingRecipe, held_out_images, read_recipe
from edgekd.run_folder import RECIPE_FILE, STUDENT_FILE, TEACHER_CARDS_FILE, TEACHER_FILE
from edgekd.training.batches import Batches, normalised_images
from edgekd.training.checkpoints import iterations_done, read_checkpoint
from edgekd.training.device import channels_last, choose_device, computes_bfloat16
from edgekd.training.run import build_detector, change_iterations, load_run, start_run, train, training_images
from edgekd.training.stages import checkpoint_of, stages_of
from edgekd.training.teachers.loading import load_teacher
from edgekd.training.weight_files import read_weights, write_weights
from gpu_script.carried import CATEGORY, TEXTURES
from gpu_script.networks import light_settings, teacher_names
from gpu_script.record import DONE, FAILED, Record
from gpu_script.scores import evaluate
from gpu_script.settings import Settings, read_settings
from gpu_script.weights import write_parts

PROBE_ITERATIONS = 60  # Thrown away: a schedule must know the number of iterations from the first one on.
SHARE_PLANNED = 0.85  # Of the time left; other processes may come to use the device too.
END_SECONDS = 12.0  # For settling, measuring and writing.
REHEARSAL_GOOD, REHEARSAL_TEST = 30, 10  # Images that a CPU trains and tests on.
REHEARSAL_RATE = 1e-4  # Batches of two lose the loss at some papers' learning rates.
TELL_SECONDS = 3.0


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Whoever started this may have had it ignored.
    settings, system, seconds = read_settings(Path(sys.argv[1])), sys.argv[2], float(sys.argv[3])
    torch.set_num_threads(int(sys.argv[4]))
    path = settings.work / "training" / f"{system}.json"
    path.unlink(missing_ok=True)
    record = Record(path)
    try:
        Training(settings, system, time.monotonic() + seconds, record).run()
    except KeyboardInterrupt:
        record.end(FAILED, "stopped before anything was trained")
        sys.exit(1)
    except Exception as error:
        traceback.print_exc()
        record.end(FAILED, f"{type(error).__name__}: {one_line(error)}"[:300])
        sys.exit(1)
    record.end(DONE)


class Training:
    """One system's run.

    Args:
        settings: Of the script.
        system: Its name.
        end: When it should be over, by the monotonic clock.
        record: Of this system alone; the part collects those of all.
    """

    def __init__(self, settings: Settings, system: str, end: float, record: Record) -> None:
        self._settings, self._system, self._end, self._record = settings, system, end, record
        self._device = choose_device(settings.device)
        self._run = settings.work / "runs" / system
        self._told = 0.0

    def run(self) -> None:
        interrupted = self._train()
        # From here on a second SIGINT must not cost what was trained.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        recipe = read_recipe(self._run)
        if not (self._run / STUDENT_FILE).is_file():
            finish_early(self._run, recipe, self._device)
        detector, recipe = load_run(self._run)
        done = stage_progress(self._run, detector, recipe)
        self._record.content.update(
            interrupted=interrupted,
            stages=done,
            iterations_done=sum(stage["done"] for stage in done.values()),
            recipe=asdict(recipe),
            teachers=read_json(self._run / TEACHER_CARDS_FILE),
        )
        state = read_weights(self._run / STUDENT_FILE)
        files = write_parts(self._settings.out, f"student_{self._system}", state)
        self._record.put("student_files", value=files)
        self._record.put("student_float16_bytes", value=2 * sum(value.numel() for value in state.values()))
        if not files:
            where = (self._run / STUDENT_FILE).relative_to(self._settings.out)
            self._record.put("student_kept", value=f"too large to carry off; it is left in {where}")
        most = None if self._settings.on_gpu else REHEARSAL_TEST
        metrics = evaluate(detector, CATEGORY, recipe.size[0], self._device, most)
        self._record.put("metrics", value=metrics)

    def _train(self) -> bool:
        """Trains by plan; whether it was stopped before the plan was done."""
        try:
            recipe = self._started()
            if self._settings.iterations is None:
                recipe = self._planned(recipe)
            self._record.put("iterations_planned", value=recipe.iterations)
            self._timed(recipe)
            return False
        except (KeyboardInterrupt, TrainingError) as error:
            if not any(self._run.glob("checkpoint_*.pt")):
                raise
            if isinstance(error, TrainingError):
                self._record.problem(f"{error}; what its checkpoints hold is measured")
            return True

    def _started(self) -> TrainingRecipe:
        wanted = self._settings.iterations or PROBE_ITERATIONS
        if (self._run / RECIPE_FILE).exists():
            recipe = read_recipe(self._run)
            self._record.put("went_on_from", value=iterations_of(self._run, recipe))
            return recipe
        system = find_system(self._system)
        training = system.training
        teachers = [load_teacher(name) for name in teacher_names(self._system)]
        data = CATEGORY if self._settings.on_gpu else rehearsal_images(self._settings.work)
        light = light_settings(self._system)
        synthetic = any(stage.synthetic for stage in system.detector(self._settings.size, light).stages())
        recipe = TrainingRecipe(
            self._system,
            str(data),
            {teacher.name: teacher.sha256 for teacher in teachers},
            iterations=wanted,
            size=self._settings.size,
            # In a rehearsal four: of two, batch norm makes NaN in PFADSeg.
            batch=training.batch if self._settings.on_gpu else min(training.batch, 4),
            learning_rate=training.learning_rate if self._settings.on_gpu else REHEARSAL_RATE,
            weight_decay=training.weight_decay,
            schedule=training.schedule,
            mixed_precision=computes_bfloat16(self._device),
            textures=str(TEXTURES) if synthetic else "",
            settings=light,
        )
        return start_run(self._run, recipe, teachers)

    def _planned(self, recipe: TrainingRecipe) -> TrainingRecipe:
        """The recipe with as many iterations as time allows, by the speed of a probe; the paper's at most."""
        paper = paper_iterations(recipe)
        before = iterations_of(self._run, recipe)
        if before == 0:
            rate = self._timed(recipe)
            for file in (*self._run.glob("checkpoint_*.pt"), self._run / STUDENT_FILE):
                file.unlink()
        else:
            rate = read_json(self._run / "speed.json")["iterations_per_second"]
        left = max(0.0, self._end - END_SECONDS - time.monotonic()) * SHARE_PLANNED
        wanted = max(before, 1, min(paper, before + int(rate * left)))
        self._record.put("paper_iterations", value=paper)
        (self._run / "speed.json").write_text(f'{{"iterations_per_second": {rate}}}\n')
        return change_iterations(self._run, wanted) if wanted != recipe.iterations else recipe

    def _timed(self, recipe: TrainingRecipe) -> float:
        """Trains to the end of a recipe; iterations a second, between the first report and the last."""
        seen: list[tuple[int, float]] = []

        def on_step(iteration: int, loss: float) -> None:
            now = time.monotonic()
            seen.append((iteration, now))
            if now - self._told > TELL_SECONDS:
                self._told = now
                self._record.put("progress", value={"iteration": iteration, "of": recipe.iterations, "loss": loss})

        begun = time.monotonic()
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        try:
            train(self._run, self._device, on_step)
        finally:
            self._record.put("seconds_training", value=round(time.monotonic() - begun, 1))
            if self._device.type == "cuda":
                self._record.put("memory_bytes", value=torch.cuda.max_memory_allocated())
        if not seen:
            return 1.0
        (first, start), (last, end) = (seen[0] if len(seen) > 1 else (0, begun)), seen[-1]
        rate = (last - first) / max(end - start, 1e-6)
        self._record.put("iterations_per_second", value=rate)
        return rate


def rehearsal_images(work: Path) -> Path:
    """A folder with a few of the category's good images, for a CPU."""
    folder = work / "rehearsal_images"
    folder.mkdir(parents=True, exist_ok=True)
    for path in find_good_images(CATEGORY)[:REHEARSAL_GOOD]:
        shutil.copy(path, folder)
    return folder


def paper_iterations(recipe: TrainingRecipe) -> int:
    """The paper's iterations; of epochs, those of the images that are trained on."""
    training = find_system(recipe.system).training
    if training.iterations is not None:
        return training.iterations
    assert training.epochs is not None
    images, _ = divide_good_images(Path(recipe.data), recipe.seed, recipe.held_out_share)
    return training.epochs * math.ceil(len(images) / recipe.batch)


def iterations_of(run: Path, recipe: TrainingRecipe) -> int:
    """The iterations that a run's checkpoints have seen, of all stages together."""
    with torch.device("meta"):
        detector = find_system(recipe.system).detector(recipe.size, recipe.settings)
    return sum(stage["done"] for stage in stage_progress(run, detector, recipe).values())


def stage_progress(run: Path, detector: Detector, recipe: TrainingRecipe) -> dict[str, dict[str, int]]:
    """By stage: iterations done, and those of the recipe."""
    return {
        stage.name: {"done": iterations_done(checkpoint_of(run, stage.name)), "of": count}
        for stage, count in stages_of(detector, recipe.iterations)
    }


def finish_early(run: Path, recipe: TrainingRecipe, device: torch.device) -> None:
    """Writes the student of a run that was stopped: what its checkpoints hold, settled as at the end of a training."""
    detector = build_detector(recipe, read_weights(run / TEACHER_FILE))
    channels_last(detector, device).eval().requires_grad_(False)
    frames = read_frames(training_images(recipe), recipe.preprocessing)
    batches = Batches(detector, frames, recipe.batch, recipe.seed, [], device)
    batches.prepare()
    for stage, _ in stages_of(detector, recipe.iterations):
        if checkpoint_of(run, stage.name).exists():
            content = read_checkpoint(checkpoint_of(run, stage.name))
            stage.trainable.load_state_dict(content["module"])
    detector.eval()
    held_out = read_frames(held_out_images(recipe), recipe.preprocessing)
    detector.fit_quantiles(normalised_images(held_out[index : index + 1], device) for index in range(len(held_out)))
    detector.fit_places(normalised_images(frames[index : index + 1], device) for index in range(min(150, len(frames))))
    state = {key: value for key, value in detector.state_dict().items() if not key.startswith("teacher.")}
    write_weights(run / STUDENT_FILE, state, {"system": recipe.system})


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # Reader threads and CUDA's own clean-up have nothing left to do.
