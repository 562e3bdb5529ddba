"""Measures a detector's accuracy on a test set in the layout of MVTec AD, with an HTML report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edgekd.artifact import read_manifest, require_current
from edgekd.cli.arguments import add_engine_arguments, add_json_argument, open_from
from edgekd.cli.output import answer, notes, print_table, require_outputs, write_json_to
from edgekd.errors import EdgekdError
from edgekd.result import Verdict
from edgekd.run_folder import DETECTOR_FILE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_engine_arguments(parser, takes_run=True)
    parser.add_argument("--data", type=Path, required=True, help="a category in the layout of MVTec AD")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report with heat maps here")
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    from edgekd.data.layouts import read_category
    from edgekd.workflows.evaluation import evaluate

    artifact = find_artifact(arguments.engine)
    manifest = read_manifest(artifact)
    category = read_category(arguments.data)
    require_outputs(arguments.json, arguments.html)
    with (
        open_from(arguments, artifact) as engine,
        notes.status(f"evaluating {len(category.test)} images"),
    ):
        evaluation = evaluate(engine, manifest, category)
    write_json_to(arguments.json, evaluation.figures)
    if arguments.html:
        from edgekd.reports.evaluation_html import write_evaluation_report

        write_evaluation_report(arguments.html, evaluation.report)
        notes.print(f"wrote {arguments.html}")
    if arguments.json != Path("-"):
        _print(evaluation.figures)
    return 0


def find_artifact(path: Path) -> Path:
    """The artifact of a path: itself, or that of a run folder."""
    if not path.is_dir():
        return path
    if not (path / DETECTOR_FILE).is_file():
        raise EdgekdError(f"{path} holds no {DETECTOR_FILE}: make one with edgekd export {path}")
    require_current(path / DETECTOR_FILE, read_manifest(path / DETECTOR_FILE), path)
    return path / DETECTOR_FILE


def _print(figures: dict[str, Any]) -> None:
    from edgekd.reports.evaluation_figures import FIGURES_IN_ORDER

    rows = [(name, f"{figures[name]:.4f}") for name in FIGURES_IN_ORDER if figures.get(name) is not None]
    print_table(f"{figures['system']} on {figures['category']}", ("metric", "value"), rows)
    if figures["pixel_auroc"] is None:
        answer.print("the category has no masks: pixel metrics are not measured")
    own = figures["at_threshold"]
    verdict_rows = [
        (name, "no threshold" if own is None else f"{own[name]:.4f}", f"{figures[name]:.4f}")
        for name in ("f1", "accuracy", "sensitivity", "specificity")
    ]
    print_table("of the verdicts", ("metric", "at the detector's threshold", "at the oracle's"), verdict_rows)
    oracle = f"the oracle's threshold, {figures['f1_threshold']:.6g}, is the best for F1 on these test scores"
    answer.print(oracle, soft_wrap=True)
    if own is not None:
        verdicts, where = figures["verdicts"], f"at threshold {own['threshold']:.6g}, {own['threshold_origin']}"
        counts = ", ".join(f"{verdict.value} {verdicts[verdict.value]}" for verdict in Verdict)
        wrong = f"{verdicts['missed_defects']} defects missed, {verdicts['false_rejects']} good images rejected"
        answer.print(f"{where}: {counts}; {wrong}", soft_wrap=True)
    if figures["paper"] is not None:
        _print_paper(figures["paper"], figures)


def _print_paper(paper: dict[str, Any], figures: dict[str, Any]) -> None:
    rows = [
        (name, f"{figures[name]:.4f}", f"{printed['value']:.4f}", f"{figures[name] - printed['value']:+.4f}")
        for name, printed in paper["metrics"].items()
    ]
    title = f"beside the paper, {paper['dataset']}, {paper['category']}"
    print_table(title, ("metric", "here", "paper", "difference"), rows)
    for name, printed in paper["metrics"].items():
        if printed["note"]:
            answer.print(f"of the printed {name}: {printed['note']}", soft_wrap=True)
    for difference in paper["differences"]:
        answer.print(f"another set-up: {difference}", soft_wrap=True)
