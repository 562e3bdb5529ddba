"""edgekd train."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.options import DATA, OUTPUT, TRAINING, JsonFile
from edgekd.cli.output import answer, require_writable, write_json_to
from edgekd.cli.progress import show_progress
from edgekd.cli.types import between, not_negative, positive
from edgekd.recipe import Schedule

app = typer.Typer(add_completion=False)


@app.command()
def train(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="hkt, hkt_plus, mhkd, pfadseg, dskd or mthf.")],
    run: Annotated[Path, typer.Option(metavar="DIR", help="Run folder to make, or to resume.", rich_help_panel=OUTPUT)],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of good images, or a category of a dataset (docs/datasets.md). Not needed with --resume.",
            rich_help_panel=DATA,
        ),
    ] = None,
    textures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of images that synthetic anomalies take their texture from (pfadseg, dskd). Default: noise.",
            rich_help_panel=DATA,
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            parser=positive, metavar="PIXELS", help="Side of the images, in pixels. Default: 256.", rich_help_panel=DATA
        ),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME...",
            help="Teacher, by a name of 'edgekd teachers list' or by its .safetensors or .pth file; once for each of "
            "several, or paper-like (mthf). Default: the system's own ('edgekd models SYSTEM').",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(
            parser=positive,
            metavar="N",
            help="Optimizer steps of all stages together. Default: as the paper.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            parser=positive, metavar="N", help="Images a step. Default: as the paper.", rich_help_panel=TRAINING
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            parser=between(1e-7, 1.0),
            metavar="RATE",
            help="Learning rate of the first stage; the others keep their proportion to it. Default: as the paper.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    schedule: Annotated[
        Schedule | None,
        typer.Option(
            help="Learning-rate schedule: constant, step (a tenth of it for the last twentieth) or cosine (to 0). "
            "Default: as the paper.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE...",
            help="One of the system's own settings, such as cbam=off; 'edgekd models SYSTEM' lists them.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    quantization_aware: Annotated[
        bool,
        typer.Option(
            "--quantization-aware",
            help="Train with INT8 arithmetic (hkt, hkt_plus); with --resume, from here on.",
            rich_help_panel=TRAINING,
        ),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            parser=not_negative,
            metavar="N",
            help="Seed of the weights, the order of images and the choice of those held out. Default: 0.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            metavar="DEVICE",
            help="auto (a GPU where there is one), cpu, cuda or cuda:1.",
            rich_help_panel=TRAINING,
        ),
    ] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the run; --iterations may extend it.", rich_help_panel=TRAINING)
    ] = False,
    json: JsonFile = None,
) -> None:
    """Train a system on good images.

    Ctrl-C saves, and --resume continues to the same weights as without the interruption.
    """
    from edgekd.workflows.settings import parse_settings
    from edgekd.workflows.train import train as run_training

    require_writable(json)
    with show_progress() as progress:
        result = run_training(
            system,
            data=data,
            run=run,
            resume=resume,
            iterations=iterations,
            size=size,
            batch=batch,
            learning_rate=learning_rate,
            schedule=schedule,
            seed=seed,
            teacher=teacher or None,
            textures=textures,
            settings=parse_settings(system, set_ or ()),
            quantization_aware=quantization_aware,
            device=device,
            progress=progress,
        )
    write_json_to(json, result.to_dict())
    if json != Path("-"):
        export = ["edgekd", "export", str(run)] + ["--precision", "int8"] * result.quantization_aware
        answer.print(f"trained in {result.seconds:.0f} s; next: {shlex.join(export)}", soft_wrap=True)
