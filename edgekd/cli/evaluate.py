"""`edgekd evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekd.cli.options import DATA, OUTPUT, Backend, EngineOrRun, GpuDevice, JsonFile, Slots, Threads
from edgekd.cli.output import answer, print_table, require_outputs, write_json_to
from edgekd.cli.progress import show_progress

if TYPE_CHECKING:
    from edgekd.workflows.evaluate import EvaluateResult

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    engine: EngineOrRun,
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Category to evaluate on; docs/datasets.md lists the layouts.", rich_help_panel=DATA
        ),
    ],
    backend: Backend = None,
    threads: Threads = None,
    device: GpuDevice = None,
    slots: Slots = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a report with heat maps. Default: none.", rich_help_panel=OUTPUT),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Measure a detector's accuracy on a labelled test set.

    Metrics of images and pixels, verdicts at the detector's own threshold, and the figures of the system's paper where
    it reports the same category.
    """
    from edgekd.workflows.evaluate import evaluate as run

    require_outputs(json, html, engine)
    with show_progress() as progress:
        result = run(
            engine,
            data,
            backend=backend,
            threads=threads,
            device=device,
            slots=slots,
            html=html,
            progress=progress,
        )
    write_json_to(json, result.to_dict())
    if json != Path("-"):
        _print(result)


def _print(result: EvaluateResult) -> None:
    from edgekd.reports.metric_titles import FIGURES_IN_ORDER

    figures = result.to_dict()
    rows = [(name, f"{figures[name]:.4f}") for name in FIGURES_IN_ORDER if figures.get(name) is not None]
    print_table(f"{result.system} on {result.category}", ("metric", "value"), rows)
    if result.pixel_auroc is None:
        answer.print("the category has no masks: pixel metrics are not measured")
    _print_verdicts(result, figures)
    if result.paper is not None:
        _print_paper(result.paper, figures)


def _print_verdicts(result: EvaluateResult, figures: dict[str, Any]) -> None:
    own, verdicts = result.at_threshold, result.verdicts
    rows = [
        (name, "no threshold" if own is None else f"{own[name]:.4f}", f"{figures[name]:.4f}")
        for name in ("f1", "accuracy", "sensitivity", "specificity")
    ]
    print_table("verdicts", ("metric", "at the detector's threshold", "at the best threshold"), rows)
    best = f"the best threshold, {result.f1_threshold:.6g}, is the one of the highest F1 on these test scores"
    answer.print(f"{best}: an upper bound that no detector can know in advance", soft_wrap=True)
    if result.limits:
        from edgekd.reports.threshold_text import COLUMNS, limit_row

        print_table("limits, what they promised and what they do here", COLUMNS, list(map(limit_row, result.limits)))
    if own is not None and verdicts is not None:
        counts = ", ".join(f"{verdicts[name]} {name}" for name in ("OK", "NG", "ERROR"))
        wrong = f"defects missed: {verdicts['missed_defects']}, good images rejected: {verdicts['false_rejects']}"
        where = f"at threshold {own['threshold']:.6g} ({own['threshold_origin']})"
        answer.print(f"{where}: {counts}; {wrong}", soft_wrap=True)


def _print_paper(paper: dict[str, Any], figures: dict[str, Any]) -> None:
    rows = [
        (name, f"{figures[name]:.4f}", f"{printed['value']:.4f}", f"{figures[name] - printed['value']:+.4f}")
        for name, printed in paper["metrics"].items()
    ]
    title = f"beside the paper, {paper['dataset']}, {paper['category']}"
    print_table(title, ("metric", "here", "paper", "difference"), rows)
    for name, printed in paper["metrics"].items():
        if printed["note"]:
            answer.print(f"the paper's {name}: {printed['note']}", soft_wrap=True)
    for difference in paper["differences"]:
        answer.print(f"different set-up: {difference}", soft_wrap=True)
