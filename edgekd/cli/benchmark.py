"""Measures systems on a whole dataset: trains, exports, evaluates and times each on each category, into one table.

The same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd.artifact import read_json, read_manifest, require_current, write_beside, write_json
from edgekd.cli.arguments import add_json_argument, between
from edgekd.cli.export import DETECTOR_FILE, named
from edgekd.cli.main import show_command
from edgekd.cli.output import answer, notes, write_json_to
from edgekd.cli.precision import PRECISIONS
from edgekd.cli.training_options import (
    TEACHER_OPTIONS,
    add_training_arguments,
    require_same_recipe,
    training_words,
)
from edgekd.errors import ArtifactError, EdgekdError, unknown_name
from edgekd.recipe import RECIPE_FILE, read_recipe


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
    from edgekd.reports.benchmark_table import as_markdown, benchmark_row, with_means

    systems = [find_system(name) for name in arguments.systems]
    for option in TEACHER_OPTIONS:
        if getattr(arguments, option) and option not in {system.teacher_switch for system in systems}:
            raise EdgekdError(f"--{option} is for none of {', '.join(arguments.systems)}: leave it out")
    categories = _categories(arguments.data, arguments.categories)
    for category in categories:
        for system in systems:
            require_same_recipe(arguments, system, _run_folder(arguments.out, category, system.name), category)
    rows: list[dict[str, Any]] = []
    try:
        for category in categories:
            for system in systems:
                run_folder = _run_folder(arguments.out, category, system.name)
                _train(run_folder, category, training_words(arguments, system))
                for precision in arguments.precision:
                    artifact = _export(run_folder, precision)
                    rows.append(benchmark_row(*_measure(artifact, category, arguments.duration)))
                    table = with_means(rows)
                    write_json(arguments.out / "benchmark.json", table)
                    with write_beside(arguments.out / "benchmark.md") as part:
                        part.write_text(as_markdown(table), encoding="utf-8")
    except KeyboardInterrupt:
        notes.print("what is finished is kept; the same command goes on")
        raise
    write_json_to(arguments.json, table)
    if arguments.json != Path("-"):
        answer.print(as_markdown(table), soft_wrap=True)
        answer.print(
            f"this table is {arguments.out / 'benchmark.md'}; runs and reports stand beside it", soft_wrap=True
        )
    return 0


def _categories(data: Path, wanted: Sequence[str] | None) -> list[Path]:
    """The categories' folders, each looked through: what is missing is told before anything is trained."""
    from edgekd.data.layouts import read_category, recognise_layout
    from edgekd.data.split_folders import folders_in

    if not data.is_dir():
        raise EdgekdError(f"no such folder: {data}")
    if recognise_layout(data) is not None:
        found = {data.resolve().name: data}
    else:
        found = {folder.name: folder for folder in folders_in(data) if recognise_layout(folder) is not None}
    if not found:
        raise EdgekdError(f"{data} holds no category in a layout that edgekd reads (docs/datasets.md)")
    for name in wanted or ():
        if name not in found:
            raise unknown_name("category", name, found)
    chosen = [folder for name, folder in found.items() if wanted is None or name in wanted]
    for folder in chosen:
        if not read_category(folder).train_good:
            raise EdgekdError(f"{folder} has no good pictures to train on")
    return chosen


def _run_folder(out: Path, category: Path, system: str) -> Path:
    return out / category.resolve().name / system


def _train(run_folder: Path, category: Path, words: Sequence[str]) -> None:
    if (run_folder / "student.safetensors").exists():
        return
    if (run_folder / RECIPE_FILE).exists():
        show_command("train", read_recipe(run_folder).system, "--run", run_folder, "--resume")
    else:
        show_command("train", run_folder.name, "--run", run_folder, "--data", category, *words)


def _export(run_folder: Path, precision: str) -> Path:
    artifact = run_folder / named(DETECTOR_FILE, precision)
    try:
        require_current(artifact, read_manifest(artifact), run_folder)
    except ArtifactError:  # It is not there yet, or was made before more training.
        show_command("export", run_folder, "--precision", precision)
    return artifact


def _measure(artifact: Path, category: Path, seconds: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """What evaluate and bench say of an artifact; what they said before, where it is still of this artifact."""
    from edgekd.data.layouts import read_category

    evaluation, bench = (artifact.with_name(f"{artifact.stem}.{what}.json") for what in ("evaluation", "bench"))
    digest = read_manifest(artifact)["sha256"]
    if not evaluation.exists() or read_json(evaluation)["sha256"] != digest:
        page = artifact.with_name(f"{artifact.stem}.html")
        show_command("evaluate", "--engine", artifact, "--data", category, "--json", evaluation, "--html", page)
    if not bench.exists() or read_json(bench)["engine"]["sha256"] != digest:
        pictures = read_category(category).test[0].path.parent
        show_command("bench", "--engine", artifact, "--pictures", pictures, "--duration", seconds, "--json", bench)
    return read_json(evaluation), read_json(bench)
