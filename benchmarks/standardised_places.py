"""What standardised places give: image AUROC of the same runs with their maps' places standardised and without.

    python benchmarks/standardised_places.py RUN... [--part all|third|rest] [--good N] [--json FILE]

The runs were trained with `standardise=on`, as `edgekd train` does; without it the same weights score maps as they are.
The places are measured anew over N good images of the training. A third is every third test image, to choose on; the
rest are the others, to judge on. Runs that FILE holds are not scored again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgekd.artifact import read_json, write_json
from edgekd.data.category import TestImage
from edgekd.data.good_images import read_frames, training_images
from edgekd.data.layouts import read_category
from edgekd.graph.parity import torch_outputs
from edgekd.metrics.auroc import image_auroc
from edgekd.models.detector import Detector
from edgekd.models.standardisation import Places
from edgekd.recipe import TrainingRecipe
from edgekd.training.batches import normalised_images
from edgekd.training.run import PLACED_IMAGES, load_run

AT_ONCE = 16
CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--part", choices=("all", "third", "rest"), default="all", help="of the test images")
    parser.add_argument("--good", type=int, default=PLACED_IMAGES, help="images that places are measured over")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    for run in arguments.runs:
        name = f"{run.name} {arguments.part} {arguments.good}"
        print(name, kept(arguments.json, name, partial(measured, run, arguments.part, arguments.good)), flush=True)


def kept(file: Path | None, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The row of that name, from the file if it holds it; otherwise measured now, and added to the file."""
    rows: dict[str, Any] = read_json(file) if file and file.exists() else {}
    if name not in rows:
        rows[name] = measure()
        if file:
            write_json(file, rows)
    row: dict[str, Any] = rows[name]
    return row


def measured(run: Path, part: str, good: int) -> dict[str, Any]:
    """The image AUROC of a run, with its places standardised over so many good images and without."""
    detector, recipe = load_run(run)
    fit_places(detector, read_frames(training_images(recipe), recipe.preprocessing), good)
    category = read_category(Path(recipe.data))
    images = part_of(category.test, part)
    frames = read_frames([image.path for image in images], recipe.preprocessing)
    labels = [image.defective for image in images]
    found = described(recipe, category.name, labels) | {
        "placed": good,
        "standardised": image_auroc(scores_of(detector, frames), labels),
    }
    for module in detector.modules():
        if isinstance(module, Places):
            module.standardised = False
    return found | {"as_they_are": image_auroc(scores_of(detector, frames), labels)}


def described(recipe: TrainingRecipe, data: str, labels: Sequence[bool]) -> dict[str, Any]:
    """What a run is and how many images it is judged on."""
    return {
        "system": recipe.system,
        "data": data,
        "size": recipe.size,
        "iterations": recipe.iterations,
        "seed": recipe.seed,
        "good": labels.count(False),
        "defective": labels.count(True),
    }


def fit_places(detector: Detector, frames: NDArray[np.uint8], most: int = PLACED_IMAGES) -> None:
    """Measures the places of a detector over so many good frames at most, evenly over all, as training does."""
    chosen = np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int)
    detector.fit_places(normalised_images(frame[None], CPU) for frame in frames[chosen])


def part_of(images: Sequence[TestImage], part: str) -> list[TestImage]:
    """All test images, every third, or the others."""
    return [image for index, image in enumerate(images) if part == "all" or (index % 3 == 0) == (part == "third")]


def scores_of(detector: Detector, frames: NDArray[np.uint8]) -> list[float]:
    """The scores of frames, in torch."""
    parts = [torch_outputs(detector, frames[first : first + AT_ONCE])[0] for first in range(0, len(frames), AT_ONCE)]
    return [float(score) for score in np.concatenate(parts)]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
