"""The command `edgekd demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.cli.options import DATA, OUTPUT, TRAINING, JsonFile
from edgekd.cli.types import positive

if TYPE_CHECKING:
    from edgekd.workflows.demo import DemoResult

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder of the images, the run and the report. Default: demo.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = Path("demo"),
    shuffle: Annotated[
        bool,
        typer.Option(
            "--shuffle",
            help="Mix the cells of all modules, which is harder: modules differ in ways that are no defects.",
            rich_help_panel=DATA,
        ),
    ] = False,
    iterations: Annotated[
        int,
        typer.Option(
            parser=positive,
            metavar="N",
            help="Optimizer steps of the training. Default: 240.",
            show_default=False,
            rich_help_panel=TRAINING,
        ),
    ] = 240,
    json: JsonFile = None,
) -> None:
    """Go the whole way on real images, in minutes.

    Trains HKT on good solar cells, exports it, measures its speed and accuracy, and shows each step as its command.
    """
    from edgekd.cli.output import require_writable, write_json_to
    from edgekd.cli.progress import show_progress
    from edgekd.workflows.demo import demo as run

    require_writable(json)
    with show_progress() as progress:
        result = run(out, shuffle=shuffle, iterations=iterations, progress=progress)
    write_json_to(json, result.to_dict())
    if json != Path("-"):
        _print(result)


def _print(result: DemoResult) -> None:
    from edgekd.cli.output import answer, print_table

    evaluation, bench = result.evaluation, result.bench
    rows = [("image AUROC", f"{evaluation.image_auroc:.3f}")]
    if evaluation.verdicts is not None:
        found = evaluation.test_defective - evaluation.verdicts["missed_defects"]
        rows.append(("defects found", f"{found} of {evaluation.test_defective}"))
        rows.append(("good cells rejected", f"{evaluation.verdicts['false_rejects']} of {evaluation.test_good}"))
    rows.append(("image to verdict, median", f"{bench.latency_ms['end_to_end']['median']:.1f} ms"))
    engine = bench.engine
    rows.append(("engine", f"{engine['backend']}, {engine['precision']}, {engine['threads']} threads"))
    if bench.peak_share is not None:
        rows.append((f"share of this device's {bench.peak_share_of} peak", f"{bench.peak_share:.0%}"))
    rows.append(("time for all of it", f"{result.seconds / 60:.1f} minutes"))
    print_table("HKT on monocrystalline solar cells", ("what", "value"), rows)
    answer.print(f"report with heat maps: {result.report.resolve()}", soft_wrap=True)
