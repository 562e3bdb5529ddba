"""What fusing scales by area gives: image AUROC of the same weights under each fusion.

    python benchmarks/fused_scales.py RUN... [--part all|third|rest] [--json FILE]

Runs of DSKD and MTHF within a time. For each fusion, quantiles and standardised places are measured anew, as training
does. DSKD's learned weights need a training of their own (benchmarks/dskd_fusion.py) and are not compared. A third is
every third test image, to choose on; the rest are the others, to judge on. Runs that FILE holds are not scored again.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from standardised_places import CPU, described, fit_places, kept, part_of, scores_of

from edgekd.data.good_images import read_frames, training_images
from edgekd.data.layouts import read_category
from edgekd.metrics.auroc import image_auroc
from edgekd.models.detector import Detector
from edgekd.models.registry import find_system
from edgekd.recipe import TrainingRecipe, held_out_images
from edgekd.training.batches import normalised_images
from edgekd.training.run import load_run

FUSIONS = {"dskd": ("fusion", ("manual", "area")), "mthf": ("scale_fusion", ("product", "sum", "area"))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--part", choices=("all", "third", "rest"), default="all", help="of the test images")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    for run in arguments.runs:
        name = f"{run.name} {arguments.part}"
        print(name, kept(arguments.json, name, partial(measured, run, arguments.part)), flush=True)


def measured(run: Path, part: str) -> dict[str, Any]:
    """The image AUROC of a run under each fusion of its system."""
    trained, recipe = load_run(run)
    category = read_category(Path(recipe.data))
    images = part_of(category.test, part)
    labels = [image.defective for image in images]
    frames = read_frames([image.path for image in images], recipe.preprocessing)
    good = read_frames(training_images(recipe), recipe.preprocessing)
    held_out = read_frames(held_out_images(recipe), recipe.preprocessing)
    setting, choices = FUSIONS[recipe.system]
    found = described(recipe, category.name, labels)
    for choice in choices:
        detector = with_fusion(trained, recipe, setting, choice)
        fit(detector, good, held_out)
        found[choice] = image_auroc(scores_of(detector, frames), labels)
    return found


def with_fusion(trained: Detector, recipe: TrainingRecipe, setting: str, choice: str) -> Detector:
    """A detector with the weights of another, but for the fusion, which is set anew."""
    settings = {**recipe.settings, setting: choice}
    detector = find_system(recipe.system).detector(recipe.size, settings)
    weights = {name: weight for name, weight in trained.state_dict().items() if not name.startswith("fusion.")}
    detector.load_state_dict(weights, strict=False)
    return detector.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def fit(detector: Detector, good: NDArray[np.uint8], held_out: NDArray[np.uint8]) -> None:
    """Measures quantiles over held-out frames and places over good ones, as training does."""
    detector.fit_quantiles(normalised_images(frame[None], CPU) for frame in held_out)
    fit_places(detector, good)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
