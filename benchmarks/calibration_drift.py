"""What the choice, the size and the method of calibration cost: noise of the map and lost verdicts, on test images.

    python benchmarks/calibration_drift.py RUN --data CATEGORY [--json FILE]

All layers are quantized, none is left in float; so the figures are of the calibration alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from rich.console import Console
from rich.table import Table

from edgekd.artifact import write_json
from edgekd.data.good_images import read_frames
from edgekd.data.layouts import read_category
from edgekd.metrics.auroc import image_auroc
from edgekd.precisions import CALIBRATION_METHODS
from edgekd.quantization.calibration_set import at_random, k_centre
from edgekd.quantization.drift import map_noise, rank_correlation
from edgekd.quantization.lowering import to_int8
from edgekd.quantization.running import run_graph
from edgekd.recipe import read_recipe
from edgekd.training.descriptors import image_descriptors
from edgekd.training.run import load_run, training_images

SIZES = (8, 32, 128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    recipe, category = read_recipe(arguments.run), read_category(arguments.data)
    model = onnx.load(arguments.run / "detector.onnx")
    test = read_frames([image.path for image in category.test], recipe.preprocessing)
    defective = [image.defective for image in category.test]
    good = read_frames(training_images(recipe), recipe.preprocessing)
    descriptors = image_descriptors(load_run(arguments.run)[0], good)
    reference = run_graph(model, test)
    sets = [(choice, size, "min-max") for size in SIZES for choice in ("k-centre", "random 0", "random 1")]
    sets += [("k-centre", 32, method) for method in CALIBRATION_METHODS[1:]]
    rows = []
    for choice, size, method in sets:
        indices = k_centre(descriptors, size) if choice == "k-centre" else at_random(len(good), size, int(choice[-1]))
        outputs = run_graph(to_int8(model, good[indices], method, None)[0], test)
        rows.append(
            {
                "choice": choice,
                "images": size,
                "method": method,
                "noise": map_noise(reference.maps, outputs.maps),
                "rank_correlation": rank_correlation(reference.scores, outputs.scores),
                "image_auroc_change": image_auroc(outputs.scores, defective) - image_auroc(reference.scores, defective),
            }
        )
    _print(rows)
    if arguments.json:
        figures = {"system": recipe.system, "category": category.name, "size": recipe.size, "rows": rows}
        write_json(arguments.json, figures)


def _print(rows: list[dict[str, object]]) -> None:
    table = Table()
    for name in rows[0]:
        table.add_column(name.replace("_", " "))
    for row in rows:
        table.add_row(
            *(f"{value:.4f}" if isinstance(value, float | np.floating) else str(value) for value in row.values())
        )
    Console().print(table)


if __name__ == "__main__":
    main()
