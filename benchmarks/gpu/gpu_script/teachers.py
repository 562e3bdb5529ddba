"""Distilling PDN-S and then PDN-M on the carried images, from the backbone that is the default."""

from __future__ import annotations

import os
import signal
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekd.artifact import read_json, write_json
from edgekd.data.images import list_images
from edgekd.errors import one_line
from edgekd.models.registry import LIGHT_TEACHER
from edgekd.training.checkpoints import iterations_done
from edgekd.training.device import choose_device
from edgekd.training.teachers import distillation as teacher_distillation
from edgekd.training.teachers.distillation import TeacherDistillation
from edgekd.training.teachers.distilled import made_from, prepare_distillation, save_teacher
from gpu_script import part
from gpu_script.carried import CATEGORY, IMAGES, TEXTURES, require_carried
from gpu_script.part import Clock
from gpu_script.record import Record
from gpu_script.settings import Settings

NETWORKS = ("pdn_small", "pdn_medium")
SMALL_SHARE = 0.4  # Of the time; a step of the medium one takes longer.
STRIDES, BATCH, LEARNING_RATE = (4, 8), 16, 1e-3  # Otherwise as `edgekd distill` by default.
PAPER_ITERATIONS = 60_000
PROBE_ITERATIONS = 60
SHARE_PLANNED = 0.85
END_SECONDS = 6.0
REHEARSAL = {"crop": 128, "batch": 2, "images": 24}


def distil_both(settings: Settings, clock: Clock, record: Record) -> None:
    require_carried()
    if not settings.on_gpu:
        teacher_distillation.STATISTICS_CROPS = 8
    paths = [*list_images(IMAGES), *list_images(TEXTURES), *list_images(CATEGORY / "train")]
    record.put("images", value=len(paths))
    for network in NETWORKS:
        share = SMALL_SHARE if network == NETWORKS[0] else 1.0
        seconds = max(0.0, clock.left - END_SECONDS) * share
        try:
            Distillation(settings, network, paths, time.monotonic() + seconds, record).run()
        except Exception as error:
            traceback.print_exc()
            record.problem(f"{network}: {type(error).__name__}: {one_line(error)}")


class Distillation:
    """One teacher.

    Args:
        settings: Of the script.
        network: "pdn_small" or "pdn_medium".
        paths: The images.
        end: When it should be over, by the monotonic clock.
        record: Of the part.
    """

    def __init__(self, settings: Settings, network: str, paths: list[Path], end: float, record: Record) -> None:
        self._settings, self._network, self._end, self._record = settings, network, end, record
        self._folder = settings.work / "teachers" / network
        self._recipe: dict[str, Any] = {
            "teacher": network,
            "backbone": LIGHT_TEACHER,
            "strides": list(STRIDES),
            "iterations": settings.iterations or PROBE_ITERATIONS,
            "batch": BATCH,
            "crop": 256,
            "learning_rate": LEARNING_RATE,
            "seed": 0,
            "start_from": None,
        }
        self._paths = paths
        if not settings.on_gpu:
            self._recipe |= {"crop": REHEARSAL["crop"], "batch": REHEARSAL["batch"]}
            self._paths = paths[:: -(-len(paths) // REHEARSAL["images"])]

    def run(self) -> None:
        distillation = prepare_distillation(self._recipe, self._paths, choose_device(self._settings.device))
        before = distillation.held_out_error()
        self._put(held_out_error_before=before)
        if self._settings.iterations is None:
            distillation.settings = replace(distillation.settings, iterations=self._planned(distillation))
        done, interrupted = self._distil(distillation)
        after = distillation.held_out_error()
        distillation.network.eval()
        card = self._recipe | {
            "iterations": distillation.settings.iterations,
            "iterations_done": done,
            "interrupted": interrupted,
            "image_count": len(self._paths),
            "made_from": made_from(self._recipe),
            "held_out_error_before": before,
            "held_out_error": after,
        }
        name = f"teacher_{self._network}.safetensors"
        save_teacher(self._settings.out / name, distillation, card)
        self._put(card=card, file=name, bytes=(self._settings.out / name).stat().st_size)

    def _planned(self, distillation: TeacherDistillation) -> int:
        """As many iterations as the time allows, by the speed of the first ones, which are gone on from."""
        done = iterations_done(self._checkpoint)
        start = time.monotonic()
        if done < PROBE_ITERATIONS:
            self._distil(distillation)
            rate = (PROBE_ITERATIONS - done) / (time.monotonic() - start)
            done = PROBE_ITERATIONS
        else:
            rate = float(read_json(self._folder / "speed.json")["iterations_per_second"])
        write_json(self._folder / "speed.json", {"iterations_per_second": rate})
        left = max(0.0, self._end - time.monotonic()) * SHARE_PLANNED
        planned = min(PAPER_ITERATIONS, done + int(rate * left))
        self._put(iterations_planned=planned, probe_iterations_per_second=rate)
        return max(planned, done)

    @property
    def _checkpoint(self) -> Path:
        return self._folder / "checkpoint.pt"

    def _distil(self, distillation: TeacherDistillation) -> tuple[int, bool]:
        """Iterations done, and whether the time was up before all were; the loop saves what it did either way."""
        seen: list[tuple[int, float]] = []

        def on_step(iteration: int, loss: float) -> None:
            seen.append((iteration, time.monotonic()))
            if len(seen) > 1:
                rate = (iteration - seen[0][0]) / (seen[-1][1] - seen[0][1])
                self._put(iteration=iteration, loss=loss, iterations_per_second=rate)
            if time.monotonic() > self._end and iteration < distillation.settings.iterations:
                os.kill(os.getpid(), signal.SIGINT)  # As Ctrl-C: the step is done to its end and saved.

        signal.signal(signal.SIGINT, signal.default_int_handler)
        distillation.network.train()
        try:
            distillation.run(self._checkpoint, on_step)
            return distillation.settings.iterations, False
        except KeyboardInterrupt:
            return iterations_done(self._checkpoint), True

    def _put(self, **values: Any) -> None:
        for name, value in values.items():
            self._record.content.setdefault("teachers", {}).setdefault(self._network, {})[name] = value
        self._record.write()


if __name__ == "__main__":
    part.run("teachers", distil_both)
    os._exit(0)  # The threads that read ahead need not be waited for.
