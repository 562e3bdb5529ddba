"""The command `edgekd choose`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.cli.options import DATA, ENGINE, OUTPUT, TRAINING, JsonFile
from edgekd.cli.training import Augment, BitDepth, RayAddress, Seed, Textures, TrainingDevice
from edgekd.cli.types import between

if TYPE_CHECKING:
    from edgekd.workflows.choose import ChooseResult

NONE_FAST_ENOUGH = 1  # Exit code: done, and the answer is no.

app = typer.Typer(add_completion=False)


@app.command()
def choose(
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder of at least 40 good images, or a category of a dataset (docs/datasets.md).",
            rich_help_panel=DATA,
        ),
    ],
    ng: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of defective images to judge by. Default: synthetic defects in held-out good images.",
            rich_help_panel=DATA,
        ),
    ] = None,
    textures: Textures = None,
    latency: Annotated[
        float | None,
        typer.Option(
            parser=between(0.01, 100_000),
            metavar="MS",
            help="Longest latency that is fast enough, in milliseconds per image, in INT8 on this machine's processor. "
            "Default: any.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    minutes: Annotated[
        float,
        typer.Option(
            parser=between(0.1, 100_000),
            metavar="MINUTES",
            help="Time for everything: training, judging, timing and the export of the run to take. Default: 30.",
            show_default=False,
            rich_help_panel=TRAINING,
        ),
    ] = 30.0,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Teacher of every system, by a name of 'edgekd teachers list' or by its .safetensors or .pth file. "
            "Default: each system's own ('edgekd models SYSTEM').",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    augment: Augment = None,
    bit_depth: BitDepth = None,
    seed: Seed = None,
    device: TrainingDevice = "auto",
    ray: RayAddress = None,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Folder of the runs. Default: runs/choose.", show_default=False, rich_help_panel=OUTPUT
        ),
    ] = Path("runs/choose"),
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a report with a chart. Default: none.", rich_help_panel=OUTPUT),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Try the six systems at several sizes within a time, and name the run to take.

    All are trained for a short time, the best third anew for longer, and so on; each is judged, and timed in INT8. The
    run to take is exported in INT8. The same command continues where it was interrupted.
    """
    from edgekd.cli.output import require_outputs, write_json_to
    from edgekd.cli.progress import show_progress
    from edgekd.workflows.choose import choose as run

    require_outputs(json, html)
    with show_progress() as progress:
        result = run(
            data=data,
            ng=ng,
            latency=latency,
            minutes=minutes,
            out=out,
            teacher=teacher,
            textures=textures,
            augment=augment or None,
            bit_depth=bit_depth,
            seed=seed or 0,
            device=device,
            ray=ray,
            html=html,
            progress=progress,
        )
    write_json_to(json, result.to_dict())
    if json != Path("-"):
        print_result(result)
    if result.take is None:
        raise typer.Exit(NONE_FAST_ENOUGH)


def print_result(result: ChooseResult) -> None:
    """Prints the candidates, what to take and what to run next."""
    from edgekd.cli.output import answer, print_table
    from edgekd.reports.choose_text import judged_on, next_command, title, verdict

    figures = result.to_dict()
    rows = [
        (
            title(row),
            _figure(row["image_auroc"], 3),
            _figure(row["ceiling"], 3),
            _figure(row["latency_ms"], 1),
            f"{row['minutes']:.2g}",
            row["error"] or ("" if row["fast_enough"] else "too slow"),
        )
        for row in result.rows
    ]
    columns = ("candidate", "image AUROC", "teacher's ceiling", "ms an image", "trained, min", "")
    print_table(f"judged on {judged_on(figures)}", columns, rows)
    for sentence in verdict(figures):
        answer.print(sentence, soft_wrap=True)
    if result.take is not None:
        answer.print(f"next: {next_command(figures)}", soft_wrap=True)


def _figure(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
