"""What HKT or HKT+ loses or gains by seeing the whole image: with the paper's blind border and without, equal CPU time.

    OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/whole_image.py --data CATEGORY [--system hkt] [--json FILE]

Both are trained as `edgekd train --minutes` does today, teacher and initial weights included, in CPU time of this
process on one core, so that what else runs on the machine decides less. A row that FILE holds is not measured again.
Errors are those of held-out good images; the outer positions are the four next to each edge.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgekd.artifact import read_json, write_json
from edgekd.data.good_images import read_frames
from edgekd.data.layouts import read_category
from edgekd.metrics.auroc import image_auroc
from edgekd.models.hkt import HKT
from edgekd.models.registry import LIGHT_TEACHER
from edgekd.recipe import held_out_images
from edgekd.training.batches import normalised_images
from edgekd.training.run import load_run
from edgekd.workflows.train import TrainOptions, train

OUTER = 4
CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a category in a dataset's layout")
    parser.add_argument("--system", choices=("hkt", "hkt_plus"), default="hkt")
    parser.add_argument("--minutes", type=float, default=5.0, help="of CPU time, each")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    time.monotonic = time.process_time  # edgekd asks it by this name.
    torch.set_num_threads(1)
    for border in (True, False):
        rows = read_json(arguments.json) if arguments.json and arguments.json.exists() else {}
        name = f"{arguments.data.name} {arguments.system} {arguments.seed} {'border' if border else 'whole'}"
        if name not in rows:
            rows[name] = measured(arguments, border)
            if arguments.json:
                write_json(arguments.json, rows)
        print(name, rows[name], flush=True)


def measured(arguments: argparse.Namespace, border: bool) -> dict[str, Any]:
    """Trains a system and scores the test set."""
    with tempfile.TemporaryDirectory() as folder:
        options = TrainOptions(
            arguments.system,
            data=arguments.data,
            run=Path(folder) / "run",
            minutes=arguments.minutes,
            size=arguments.size,
            seed=arguments.seed,
            teacher=LIGHT_TEACHER,
            settings={"border": border},
            ceiling=False,
        )
        train(**vars(options))
        detector, recipe = load_run(options.run)
    assert isinstance(detector, HKT)
    test = read_category(arguments.data).test
    frames = read_frames([image.path for image in test], recipe.preprocessing)
    images = [normalised_images(frame[None], CPU) for frame in frames]
    scores = np.concatenate([detector.image_scores(image) for image in images])
    held_out = read_frames(held_out_images(recipe), recipe.preprocessing)
    maps = np.concatenate([detector.patch_map(normalised_images(frame[None], CPU)).numpy() for frame in held_out])
    return {
        "iterations": recipe.iterations,
        "image_auroc": image_auroc(scores, [image.defective for image in test]),
        "error": float(maps.mean()),
        "outer_error": None if border else outer_mean(maps),
    }


def outer_mean(maps: NDArray[np.float32]) -> float:
    """The mean of maps [N, h, w] over the positions next to their edges."""
    outer = np.ones(maps.shape[1:], bool)
    outer[OUTER:-OUTER, OUTER:-OUTER] = False
    return float(maps[:, outer].mean())


if __name__ == "__main__":
    main()
