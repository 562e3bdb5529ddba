"""The command `edgekd threshold`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekd.cli.options import DATA, OUTPUT, FalseRejectRate, JsonFile
from edgekd.cli.output import answer, print_table, require_outputs, write_json_to
from edgekd.cli.progress import show_progress

if TYPE_CHECKING:
    from edgekd.workflows.threshold import ThresholdResult

app = typer.Typer(add_completion=False)


@app.command()
def threshold(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|FILE",
            help="Folder of a run that was exported, or an .onnx or .engine artifact.",
            show_default=False,
        ),
    ],
    good: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of good images that the detector has not seen, such as fresh ones of the line. Default: those "
            "that the run held out.",
            rich_help_panel=DATA,
        ),
    ] = None,
    ng: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of defective images, to measure how many each limit misses. Default: none.",
            rich_help_panel=DATA,
        ),
    ] = None,
    false_reject_rate: FalseRejectRate = 0.01,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="Put the threshold into the artifact's manifest; the earlier one is kept in its history.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write a report with a chart of the scores. Default: none.", rich_help_panel=OUTPUT
        ),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Choose a threshold from good images of the line, and show what each limit promises.

    Nothing is changed without --write.
    """
    from edgekd.workflows.threshold import threshold as run

    require_outputs(json, html, what)
    with show_progress() as progress:
        result = run(
            what, good=good, ng=ng, false_reject_rate=false_reject_rate, html=html, write=write, progress=progress
        )
    write_json_to(json, result.to_dict())
    if json != Path("-"):
        _print(result)


def _print(result: ThresholdResult) -> None:
    from edgekd.reports.threshold_text import COLUMNS, limit_row

    columns = COLUMNS if result.ng else COLUMNS[:-1]
    rows = [limit_row(row) for row in result.limits]
    if result.before is not None:
        rows.append(limit_row(result.before, "before" if result.written else "now"))
    print_table(
        "limits and their false rejects; 'at most' and \N{LESS-THAN OR EQUAL TO} with 95 % confidence",
        columns,
        [row[: len(columns)] for row in rows],
    )
    _say(f"threshold {result.threshold['value']:.6g}: {result.threshold['origin']}")
    _say(result.promise)
    for line in result.warnings:
        _say(f"note: {line}")
    if result.written:
        _say(f"written into the manifest of {result.artifact}")
    else:
        _say("nothing was changed: add --write to put it into the manifest of " + shlex.quote(str(result.artifact)))


def _say(line: str) -> Any:
    answer.print(line, soft_wrap=True)
