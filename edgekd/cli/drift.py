"""Compares a run's artifacts with the network that was trained, on the same test images, on every engine here."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.artifact import read_manifest, require_current, write_manifest
from edgekd.cli.arguments import add_json_argument
from edgekd.cli.export import DETECTOR_FILE, named
from edgekd.cli.output import answer, notes, print_table, write_json_to
from edgekd.cli.precision import PRECISIONS
from edgekd.engines import BACKENDS, Frames, open_engine
from edgekd.errors import EdgekdError

if TYPE_CHECKING:
    from edgekd.quantization.drift_report import Row

COLUMNS = {  # Of a row of the report: how the table heads it.
    "noise": "noise",
    "largest": "most",
    "mean": "mean",
    "rank_correlation": "rank",
    "image_auroc": "image",
    "pixel_auroc": "pixel",
    "verdict_flips": "flips",
}
DIGITS = {"image_auroc": 3, "pixel_auroc": 3}  # Others have four; so the table fits into 80 columns.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="a run whose artifacts were exported")
    parser.add_argument("--data", type=Path, required=True, help="a category: docs/datasets.md lists the layouts")
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    from edgekd.data.good_images import read_frames
    from edgekd.data.layouts import read_category
    from edgekd.quantization.drift_report import drift_report, masks_of
    from edgekd.recipe import read_recipe

    recipe = read_recipe(arguments.run)
    artifacts = _artifacts(arguments.run)
    for path in artifacts:
        require_current(path, read_manifest(path), arguments.run)
    category = read_category(arguments.data)
    frames = read_frames([test.path for test in category.test], recipe.size, recipe.resize)
    rows = [_in_torch(arguments.run, artifacts, frames)]
    for path in artifacts:
        rows += _on_engines(path, frames)
    defective = [test.defective for test in category.test]
    report = drift_report(rows, defective, masks_of(category, recipe.size))
    figures = {
        "category": category.name,
        "images": len(frames),
        "size": recipe.size,
        "learned_as_int8": recipe.quantization_aware_from is not None,
        "rows": report,
    }
    for path in artifacts:
        manifest = read_manifest(path)
        own = [row for row in report if row["precision"] == manifest["precision"] and row["backend"] != "torch"]
        write_manifest(path, manifest | {"drift": figures | {"reference": report[0], "rows": own}})
    content = {"system": recipe.system, "iterations": recipe.iterations, **figures}
    write_json_to(arguments.json, content)
    if arguments.json != Path("-"):
        _print(content)
    if recipe.quantization_aware_from is not None:
        notes.print(
            "this run learned as INT8 computes: the float rows, torch's too, are not what was trained; compare the "
            "accuracy of its INT8 rows with that of a run trained in float",
            soft_wrap=True,
        )
    return 0


def _artifacts(run: Path) -> list[Path]:
    paths = [run / named(DETECTOR_FILE, precision) for precision in PRECISIONS]
    there = [path for path in paths if path.is_file()]
    if not there:
        raise EdgekdError(f"{run} holds no artifact to compare: edgekd export {run} --precision int8")
    return there


def _in_torch(run: Path, artifacts: list[Path], frames: Frames) -> Row:
    import numpy as np
    import torch

    from edgekd.engines.cores import usable_cores
    from edgekd.graph.parity import torch_outputs
    from edgekd.quantization.drift_report import Row
    from edgekd.quantization.running import GraphOutputs
    from edgekd.training.run import load_run

    torch.set_num_threads(usable_cores())
    detector, _ = load_run(run)
    with notes.status(f"{len(frames)} images in torch"):
        answers = [torch_outputs(detector, frames[index : index + 1]) for index in range(len(frames))]
    outputs = GraphOutputs(*(np.concatenate(parts) for parts in zip(*answers, strict=True)))
    # The network itself has no threshold; that of its float graph, equal to 1e-4, stands in.
    manifest = read_manifest(artifacts[0])
    return Row("fp32", "torch", outputs, _threshold(manifest) if manifest["precision"] == "fp32" else None)


def _on_engines(path: Path, frames: Frames) -> list[Row]:
    from edgekd.quantization.drift_report import Row, outputs_of

    manifest = read_manifest(path)
    rows = []
    for backend in BACKENDS:
        with open_engine(path, backend) as engine, notes.status(f"{path.name} on {backend}"):
            rows.append(Row(manifest["precision"], backend, outputs_of(engine, frames), _threshold(manifest)))
    return rows


def _threshold(manifest: dict[str, Any]) -> float | None:
    return manifest["threshold"]["value"] if manifest.get("threshold") else None


def _print(content: dict[str, Any]) -> None:
    rows = [
        (f"{row['precision']} {row['backend']}", *(_short(row[name], DIGITS.get(name, 4)) for name in COLUMNS))
        for row in content["rows"]
    ]
    title = f"{content['system']} on {content['images']} test images of {content['category']}, beside torch"
    print_table(title, ("artifact", *COLUMNS.values()), rows)
    answer.print(
        "noise: of the map, over its standard deviation; most, mean: difference of maps, over their range; rank: "
        "correlation of scores; image, pixel: AUROC; flips: other verdicts, each artifact by its own threshold",
        soft_wrap=True,
    )


def _short(value: float | None, digits: int) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"
