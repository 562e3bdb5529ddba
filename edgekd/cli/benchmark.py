"""Measures systems on a whole dataset: trains, exports, evaluates and times each on each category, into one table.

The same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.artifact import read_json, read_manifest, require_current, write_beside, write_json
from edgekd.cli.arguments import add_json_argument, between
from edgekd.cli.export import DETECTOR_FILE, named
from edgekd.cli.main import show_command
from edgekd.cli.output import answer, notes, require_writable, write_json_to
from edgekd.cli.precision import PRECISIONS
from edgekd.cli.train import check_start
from edgekd.cli.training_options import (
    TEACHER_OPTIONS,
    add_training_arguments,
    learns_from_anomalies,
    require_same_recipe,
    training_words,
)
from edgekd.errors import ArtifactError, EdgekdError, unknown_name
from edgekd.recipe import RECIPE_FILE, read_recipe

if TYPE_CHECKING:
    from edgekd.models.registry import System

Told = tuple[str, str]  # What a line of progress says before the step, and after it.
PARTS = ("train", "test", "ground_truth", "Data")  # A folder that has one of them is meant to be a category.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("systems", metavar="SYSTEM", nargs="+", help="hkt, hkt_plus, mhkd, pfadseg, dskd or mthf")
    parser.add_argument("--data", type=Path, required=True, help="a dataset, or one category of it (docs/datasets.md)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for runs, reports and the table")
    parser.add_argument("--categories", nargs="+", metavar="NAME", help="of the dataset (default: all)")
    parser.add_argument(
        "--precision", nargs="+", choices=PRECISIONS, default=["fp32", "int8"], help="default: fp32 int8"
    )
    parser.add_argument("--duration", type=between(0.1, 3600), default=5.0, help="seconds a time (default: 5)")
    add_json_argument(parser)
    add_training_arguments(parser)
    parser.set_defaults(size=None, seed=None, device=None)  # A run that is there keeps its own.


def run(arguments: argparse.Namespace) -> int:
    from edgekd.models.registry import find_system
    from edgekd.reports.benchmark_table import as_markdown

    systems = [find_system(name) for name in dict.fromkeys(arguments.systems)]
    arguments.precision = list(dict.fromkeys(arguments.precision))
    _require_outputs(arguments)
    categories = _categories(arguments.data, arguments.categories)
    _require_trainable(arguments, systems, categories)
    on_standard_output = arguments.json == Path("-")
    try:
        # What the single commands answer would stand before the JSON and make it none.
        with redirect_stdout(sys.stderr) if on_standard_output else nullcontext():
            table = _table(arguments, systems, categories)
    except KeyboardInterrupt:
        notes.print("what is finished is kept; the same command goes on")
        raise
    write_json_to(arguments.json, table)
    if not on_standard_output:
        answer.print(as_markdown(table), soft_wrap=True)
        answer.print(
            f"this table is {arguments.out / 'benchmark.md'}; runs and reports stand beside it", soft_wrap=True
        )
    return 0


def _require_outputs(arguments: argparse.Namespace) -> None:
    """Refuses, before hours of training, what could not be written afterwards."""
    for path in (arguments.json, arguments.out / "benchmark.json", arguments.out / "benchmark.md"):
        require_writable(path)


def _require_trainable(arguments: argparse.Namespace, systems: Sequence[System], categories: Sequence[Path]) -> None:
    """Refuses what a training would refuse, for every run that is not there, and what contradicts those that are."""
    names = ", ".join(system.name for system in systems)
    for option in TEACHER_OPTIONS:
        if getattr(arguments, option) and option not in {system.teacher_switch for system in systems}:
            raise EdgekdError(f"--{option} is for none of {names}: leave it out")
    if arguments.textures and not any(learns_from_anomalies(arguments, system) for system in systems):
        raise EdgekdError(f"--textures is for synthetic anomalies, and none of {names} learns from them: leave it out")
    for category in categories:
        for system in systems:
            run_folder = _run_folder(arguments.out, category, system.name)
            require_same_recipe(arguments, system, run_folder, category)
            if not (run_folder / RECIPE_FILE).exists():
                check_start(_train_words(run_folder, category, training_words(arguments, system)))


def _table(
    arguments: argparse.Namespace, systems: Sequence[System], categories: Sequence[Path]
) -> list[dict[str, Any]]:
    """Does what is not done yet, and writes the table after each row of it."""
    from edgekd.reports.benchmark_table import as_markdown, benchmark_row, with_means

    rows: list[dict[str, Any]] = []
    table = rows
    for number, category in enumerate(categories, 1):
        for place, system in enumerate(systems, 1):
            run_folder = _run_folder(arguments.out, category, system.name)
            who = f"{category.resolve().name}, {system.name}: "
            where = f" ({number} of {len(categories)} categories, {place} of {len(systems)} systems)"
            _train(run_folder, category, training_words(arguments, system), (who, where))
            for precision in arguments.precision:
                artifact = _export(run_folder, precision, (who, where))
                rows.append(benchmark_row(*_measure(artifact, category, arguments.duration, (who, where))))
                table = with_means(rows)
                write_json(arguments.out / "benchmark.json", table)
                with write_beside(arguments.out / "benchmark.md") as part:
                    part.write_text(as_markdown(table), encoding="utf-8")
    return table


def _categories(data: Path, wanted: Sequence[str] | None) -> list[Path]:
    """The categories' folders, each looked through: what is missing is told before anything is trained."""
    from edgekd.data.layouts import read_category, recognise_layout
    from edgekd.data.split_folders import folders_in

    if not data.is_dir():
        raise EdgekdError(f"no such folder: {data}")
    if recognise_layout(data) is not None:
        found = {data.resolve().name: data}
    else:
        found = {folder.name: folder for folder in folders_in(data) if _is_meant(folder)}
    if not found:
        raise EdgekdError(f"{data} holds no category in a layout that edgekd reads (docs/datasets.md)")
    for name in wanted or ():
        if name not in found:
            raise unknown_name("category", name, found)
    chosen = [folder for name, folder in found.items() if wanted is None or name in wanted]
    read = [read_category(folder) for folder in chosen]
    for category in read:
        if not category.train_good:
            raise EdgekdError(f"{category.root} has no good images to train on")
        if not category.has_masks and any(other.has_masks for other in read):
            notes.print(
                f"{category.root} has no masks, others have: no pixel metrics of it, nor in the means", soft_wrap=True
            )
    return chosen


def _is_meant(folder: Path) -> bool:
    """Whether a folder is a category, be it one that lacks something: that is told, and not passed over."""
    from edgekd.data.layouts import recognise_layout

    return recognise_layout(folder) is not None or any((folder / part).is_dir() for part in PARTS)


def _say(step: str, told: Told) -> None:
    notes.print(step.join(told), soft_wrap=True)


def _run_folder(out: Path, category: Path, system: str) -> Path:
    return out / category.resolve().name / system


def _train_words(run_folder: Path, category: Path, options: Sequence[str]) -> list[str]:
    """The arguments of `edgekd train` for a run that is not there."""
    return [run_folder.name, "--run", str(run_folder), "--data", str(category), *options]


def _train(run_folder: Path, category: Path, options: Sequence[str], told: Told) -> None:
    if (run_folder / "student.safetensors").exists():
        return
    _say("training", told)
    if (run_folder / RECIPE_FILE).exists():
        show_command("train", read_recipe(run_folder).system, "--run", run_folder, "--resume")
    else:
        show_command("train", *_train_words(run_folder, category, options))


def _export(run_folder: Path, precision: str, told: Told) -> Path:
    artifact = run_folder / named(DETECTOR_FILE, precision)
    try:
        require_current(artifact, read_manifest(artifact), run_folder)
    except ArtifactError:  # It is not there yet, or was made before more training.
        _say(f"exporting in {precision}", told)
        show_command("export", run_folder, "--precision", precision)
    return artifact


def _measure(artifact: Path, category: Path, seconds: float, told: Told) -> tuple[dict[str, Any], dict[str, Any]]:
    """What evaluate and bench say of an artifact; what they said before, where it is still of this artifact."""
    from edgekd.data.layouts import read_category

    evaluation, bench = (artifact.with_name(f"{artifact.stem}.{what}.json") for what in ("evaluation", "bench"))
    manifest = read_manifest(artifact)
    digest, precision = manifest["sha256"], manifest["precision"]
    if not evaluation.exists() or read_json(evaluation).get("sha256") != digest:
        _say(f"evaluating {precision}", told)
        page = artifact.with_name(f"{artifact.stem}.html")
        show_command("evaluate", "--engine", artifact, "--data", category, "--json", evaluation, "--html", page)
    if not bench.exists() or read_json(bench).get("engine", {}).get("sha256") != digest:
        _say(f"timing {precision}", told)
        images = read_category(category).test[0].path.parent
        show_command("bench", "--engine", artifact, "--images", images, "--duration", seconds, "--json", bench)
    return read_json(evaluation), read_json(bench)
