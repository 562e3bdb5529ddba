"""edgekd distill."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.options import DATA, OUTPUT, TRAINING, JsonFile
from edgekd.cli.output import answer, require_writable, write_json_to
from edgekd.cli.progress import show_progress
from edgekd.cli.types import between, not_negative, positive

app = typer.Typer(add_completion=False)


@app.command()
def distill(
    images: Annotated[
        list[Path],
        typer.Option(
            metavar="DIR...", help="Folder of images of anything; once for each of several.", rich_help_panel=DATA
        ),
    ],
    run: Annotated[Path, typer.Option(metavar="DIR", help="Folder to make, or to resume.", rich_help_panel=OUTPUT)],
    teacher: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Teacher to distill: pdn_small or pdn_medium.",
            rich_help_panel=TRAINING,
        ),
    ] = "pdn_small",
    backbone: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="ImageNet backbone that it learns from.",
            rich_help_panel=TRAINING,
        ),
    ] = "efficientnet_lite1",
    start_from: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Teacher to start from; a PDN-S grows into a PDN-M. Default: random weights.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    strides: Annotated[
        list[int] | None,
        typer.Option(
            parser=positive,
            metavar="N...",
            help="Stride of a map of the backbone to learn from: 4, 8, 16 or 32; once for each of several. "
            "Default: 4 and 8.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    crop: Annotated[
        int,
        typer.Option(
            parser=positive,
            metavar="PIXELS",
            help="Side of what the backbone sees: 256 or 512 pixels.",
            rich_help_panel=TRAINING,
        ),
    ] = 256,
    iterations: Annotated[
        int,
        typer.Option(
            parser=positive,
            metavar="N",
            help="Optimizer steps; the learning rate falls to zero over them.",
            rich_help_panel=TRAINING,
        ),
    ] = 60_000,
    batch: Annotated[
        int,
        typer.Option(parser=positive, metavar="N", help="Crops per step.", rich_help_panel=TRAINING),
    ] = 8,
    learning_rate: Annotated[
        float,
        typer.Option(
            parser=between(1e-7, 1.0),
            metavar="RATE",
            help="Learning rate at the start; it falls to 0 along a cosine.",
            rich_help_panel=TRAINING,
        ),
    ] = 1e-3,
    seed: Annotated[
        int,
        typer.Option(
            parser=not_negative,
            metavar="N",
            help="Seed of the weights and of every crop.",
            rich_help_panel=TRAINING,
        ),
    ] = 0,
    device: Annotated[
        str,
        typer.Option(
            metavar="DEVICE",
            help="auto (a GPU where there is one), cpu, cuda or cuda:1.",
            rich_help_panel=TRAINING,
        ),
    ] = "auto",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Resume the run, with the options that it was started with.", rich_help_panel=TRAINING
        ),
    ] = False,
    json: JsonFile = None,
) -> None:
    """Distill a teacher from an ImageNet backbone, on images of anything.

    Ctrl-C saves, and --resume continues.
    """
    from edgekd.workflows.distill import STRIDES
    from edgekd.workflows.distill import distill as run_distillation

    require_writable(json)
    with show_progress() as progress:
        result = run_distillation(
            images,
            run=run,
            teacher=teacher,
            backbone=backbone,
            start_from=start_from,
            strides=strides or STRIDES,
            crop=crop,
            iterations=iterations,
            batch=batch,
            learning_rate=learning_rate,
            seed=seed,
            device=device,
            resume=resume,
            progress=progress,
        )
    write_json_to(json, result.to_dict())
    if json != Path("-"):
        errors = f"{result.held_out_error_before:.3f} -> {result.held_out_error:.3f}"
        answer.print(f"held-out error {errors} of the variance; wrote {result.file}", soft_wrap=True)
