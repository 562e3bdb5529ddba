"""Scores of good and defective images by briefly trained systems, to choose and judge a threshold rule on.

    python benchmarks/thresholds/collect.py OUT --data mono /path/to/transistor --systems hkt mthf --seeds 0 1 2
    python benchmarks/thresholds/collect.py OUT --runs /path/to/run ...

A row is a system, a data set and a seed, trained for a fixed number of iterations: a JSON file in OUT with the scores
of images that were trained on, of those held out, of the test set, and of synthetic defects in held-out images. A row
that is there is not measured again; a training that was cut off goes on. `mono` and `poly` are the solar cells of the
package elpv-dataset. Runs that are given, trained for any time on a category, are scored as they are, and kept.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgekd.artifact import write_json
from edgekd.data.elpv import write_category
from edgekd.data.good_images import read_frames
from edgekd.data.layouts import read_category
from edgekd.data.synthetic_defects import synthetic_defects
from edgekd.graph.parity import torch_outputs
from edgekd.models.registry import LIGHT_TEACHER, SYSTEMS
from edgekd.progress import silent
from edgekd.recipe import held_out_images
from edgekd.training.run import load_run, training_images
from edgekd.training.teachers.catalogue import find_entry
from edgekd.training.teachers.files import is_here
from edgekd.workflows.finishing import finish_training
from edgekd.workflows.train import TrainOptions

CELLS = ("mono", "poly")
SIZE = 128
ITERATIONS = {"hkt_plus": 120, "mhkd": 120}  # They take three to four times as long a step as the others.
TRAINED = 120  # Of the images that were trained on are scored.
SYNTHETIC = 42  # Six of each kind.
AT_ONCE = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", nargs="+", default=[], help="mono, poly or folders of categories")
    parser.add_argument("--runs", nargs="+", type=Path, default=[], help="folders of trained runs, besides")
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--iterations", type=int, default=200, help="of the systems that take none of their own")
    parser.add_argument("--most-trained", type=int, default=300, help="good images to train on and hold out, at most")
    parser.add_argument("--every", type=int, default=1, help="test images: every so many")
    arguments = parser.parse_args()
    for run in arguments.runs:
        recipe = load_run(run)[1]
        row = arguments.out / f"{Path(recipe.data).name}_{recipe.system}_{recipe.seed}.json"
        if not row.exists():
            write_json(row, scores_of_run(run, Path(recipe.data)))
            print(row, flush=True)
    for seed in arguments.seeds:
        for data in arguments.data:
            category = category_of(data, arguments.out, arguments.most_trained, arguments.every)
            for system in arguments.systems:
                row = arguments.out / f"{category.name}_{system}_{seed}.json"
                if not row.exists():
                    iterations = ITERATIONS.get(system, arguments.iterations)
                    write_json(row, collect(category, system, seed, iterations, arguments.out / "runs" / row.stem))
                    print(row, flush=True)


def category_of(data: str, out: Path, most_trained: int, every: int) -> Path:
    """The category to train and test on; a copy with fewer images where there are more."""
    if data in CELLS:
        folder = out / "data" / f"{data}_cells"
        write_category(folder, kind="mono" if data == "mono" else "poly")
        return folder
    source = read_category(Path(data))
    if len(source.train_good) <= most_trained and every == 1:
        return Path(data)
    copy = out / "data" / Path(data).name
    # Evenly spread, so that neighbours in the order of names do not fill the choice.
    chosen = np.linspace(0, len(source.train_good) - 1, min(most_trained, len(source.train_good))).round().astype(int)
    for path in [source.train_good[index] for index in chosen] + [image.path for image in source.test[::every]]:
        target = copy / path.relative_to(source.root)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return copy


def collect(category: Path, system: str, seed: int, iterations: int, run: Path) -> dict[str, Any]:
    """Trains a run, scores images by it, and removes it."""
    names = SYSTEMS[system].teachers
    teachers = names if all(is_here(find_entry(name)) for name in names) else (LIGHT_TEACHER,)
    options = TrainOptions(
        system, data=category, run=run, iterations=iterations, size=SIZE, batch=4, seed=seed, teacher=teachers
    )
    finish_training(options, silent)
    content = scores_of_run(run, category)
    shutil.rmtree(run)
    return content


def scores_of_run(run: Path, category: Path) -> dict[str, Any]:
    """The scores of a trained run: of the category it was trained on, by the network in torch."""
    detector, recipe = load_run(run)
    detector.to(memory_format=torch.channels_last)
    trained, held_out, test = training_images(recipe), held_out_images(recipe), read_category(category).test
    scored = sorted(np.random.default_rng(recipe.seed).permutation(len(trained))[:TRAINED])
    defects, _ = synthetic_defects(read_frames(held_out, recipe.preprocessing), SYNTHETIC, recipe.seed)

    def scores(paths: Sequence[Path]) -> list[dict[str, Any]]:
        found = scores_of(read_frames(paths, recipe.preprocessing))
        names = [path.relative_to(category).as_posix() for path in paths]
        return [{"name": name, "score": score} for name, score in zip(names, found, strict=True)]

    def scores_of(frames: NDArray[np.uint8]) -> list[float]:
        parts = [
            torch_outputs(detector, frames[first : first + AT_ONCE])[0] for first in range(0, len(frames), AT_ONCE)
        ]
        return [float(score) for score in np.concatenate(parts)]

    return {
        "category": category.name,
        "system": recipe.system,
        "seed": recipe.seed,
        "size": recipe.size,
        "iterations": recipe.iterations,
        "minutes": recipe.minutes,
        "teachers": list(recipe.teachers),
        "trained": scores([trained[index] for index in scored]),
        "held_out": scores(held_out),
        "test_good": scores([image.path for image in test if not image.defective]),
        "test_defective": scores([image.path for image in test if image.defective]),
        "synthetic": scores_of(defects),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
