"""A whole station to look at: the detector of a run, its images in place of a camera, and a PLC that is simulated."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekd.errors import EdgekdError
from edgekd.recipe import held_out_images, read_recipe
from edgekd.station.recipe_making import make_recipe
from edgekd.station.recipe_release import release

STATION, CAMERA, RECIPE, JOB = "simulated", "camera", "demo", 1
DEADLINE_MS = 2000.0  # It is to be looked at on any machine, however slow.
SEED = 0
CONFIGURATION_FILE = "station.toml"


@dataclass(frozen=True)
class Simulation:
    """What a simulated station runs on.

    Attributes:
        configuration: Its configuration file.
        images: Those that its camera plays, in this order, again and again.
        defective: Of each whether it shows a defect; None where that is not known.
    """

    configuration: Path
    images: tuple[Path, ...]
    defective: tuple[bool | None, ...]

    def image_of(self, frame_id: int | None) -> tuple[str, bool | None]:
        """The image that was a camera's frame, by its name, and whether it shows a defect.

        Args:
            frame_id: The camera's number of the frame, from 1.
        """
        if frame_id is None:
            return "", None
        index = (frame_id - 1) % len(self.images)
        return self.images[index].name.partition("_")[2], self.defective[index]


def prepare_simulation(run: Path, out: Path, port: int) -> Simulation:
    """Makes what a simulated station needs: a recipe, images and a configuration.

    Args:
        run: A run that was exported, and whose images are still there.
        out: Folder for all of it; one that was prepared before is used again, with its record.
        port: For Modbus.

    Returns:
        What was prepared.

    Raises:
        EdgekdError: It is no such run, its images are gone, or the folder holds something else.
    """
    if not run.is_dir():
        raise EdgekdError(f"there is no run {run}: make one with 'edgekd demo', or name yours with --run")
    out.mkdir(parents=True, exist_ok=True)
    known = _images_of(run)
    if not known:
        raise EdgekdError(f"the images of {run} are not here any more: name another run")
    if not (out / CONFIGURATION_FILE).exists():
        if any(out.iterdir()):
            raise EdgekdError(f"{out} holds something else: name another folder for the simulated station")
        _fill(run, out, [path for path, _ in known])
    _write_configuration(out, port)
    images = tuple(sorted((out / "images").iterdir()))
    return Simulation(out / CONFIGURATION_FILE, images, tuple(defective for _, defective in known))


def _images_of(run: Path) -> list[tuple[Path, bool | None]]:
    """Images to inspect, mixed, and whether each shows a defect: the test set, else the good ones held out."""
    from edgekd.data.layouts import read_category, recognise_layout

    recipe = read_recipe(run)
    data = Path(recipe.data)
    images: list[tuple[Path, bool | None]] = [(path, None) for path in held_out_images(recipe)]
    if data.is_dir() and recognise_layout(data) is not None:
        images = [(image.path, image.defective) for image in read_category(data).test] or images
    random.Random(SEED).shuffle(images)
    return images


def _fill(run: Path, out: Path, images: Sequence[Path]) -> None:
    folder = make_recipe(run, out / "recipes", RECIPE, JOB, cameras=(CAMERA,), deadline_ms=DEADLINE_MS)
    release(folder, "simulation", "to look at")
    (out / "images").mkdir()
    for number, path in enumerate(images, start=1):
        target = out / "images" / f"{number:05}_{path.parent.name}-{path.name}"
        try:
            os.link(path, target)
        except OSError:  # On another disk.
            shutil.copyfile(path, target)


def _write_configuration(out: Path, port: int) -> None:
    import tomlkit

    content: dict[str, Any] = {
        "data": "data",
        "recipes": "recipes",
        "cameras": {CAMERA: {"kind": "video", "source": "images"}},
        "stations": [{"name": STATION, "cameras": [CAMERA], "trigger": "modbus", "job": JOB, "start_online": True}],
        "modbus": {"host": "127.0.0.1", "port": port},
    }
    (out / CONFIGURATION_FILE).write_text(tomlkit.dumps(content), encoding="utf-8")
