"""edgekd train."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.options import DATA, OUTPUT, TRAINING, JsonFile
from edgekd.cli.output import answer, require_writable, write_json_to
from edgekd.cli.progress import show_progress
from edgekd.cli.training import (
    Align,
    Augment,
    BitDepth,
    Crop,
    FitOption,
    Ignore,
    ImageSize,
    Iterations,
    LearningRate,
    LearningRateSchedule,
    LookAt,
    MaxRotation,
    MaxShift,
    Minutes,
    Overlap,
    QuantizationAware,
    Seed,
    Settings,
    Textures,
    Tiles,
    TrainingBatch,
    TrainingDevice,
    TrainingPreset,
)

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
    textures: Textures = None,
    size: ImageSize = None,
    crop: Crop = None,
    look_at: LookAt = None,
    ignore: Ignore = None,
    fit: FitOption = None,
    tiles: Tiles = None,
    overlap: Overlap = None,
    align: Align = None,
    max_shift: MaxShift = None,
    max_rotation: MaxRotation = None,
    bit_depth: BitDepth = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME...",
            help="Teacher, by a name of 'edgekd teachers list' or by its .safetensors or .pth file; once for each of "
            "several, or paper-like (mthf). Default: the system's own ('edgekd models SYSTEM').",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    minutes: Minutes = None,
    iterations: Iterations = None,
    preset: TrainingPreset = None,
    batch: TrainingBatch = None,
    learning_rate: LearningRate = None,
    schedule: LearningRateSchedule = None,
    augment: Augment = None,
    set_: Settings = None,
    quantization_aware: QuantizationAware = False,
    seed: Seed = None,
    device: TrainingDevice = "auto",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Resume the run; --iterations may extend it, and --quantization-aware applies from then on.",
            rich_help_panel=TRAINING,
        ),
    ] = False,
    accept_changed_data: Annotated[
        bool,
        typer.Option(
            "--accept-changed-data",
            help="With --resume: go on although images were added, removed or changed since the run began; its recipe "
            "records that.",
            rich_help_panel=TRAINING,
        ),
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
            accept_changed_data=accept_changed_data,
            minutes=minutes,
            iterations=iterations,
            preset=preset,
            size=size,
            crop=crop,
            look_at=look_at or (),
            ignore=ignore or (),
            fit=fit,
            tiles=tiles,
            overlap=overlap,
            align=align,
            max_shift=max_shift,
            max_rotation=max_rotation,
            bit_depth=bit_depth,
            batch=batch,
            learning_rate=learning_rate,
            schedule=schedule,
            seed=seed,
            teacher=teacher or None,
            textures=textures,
            augment=augment or None,
            settings=parse_settings(system, set_ or ()),
            quantization_aware=quantization_aware,
            device=device,
            progress=progress,
        )
    write_json_to(json, result.to_dict())
    if json != Path("-"):
        export = ["edgekd", "export", str(run)] + ["--precision", "int8"] * result.quantization_aware
        answer.print(f"trained in {result.seconds:.0f} s; next: {shlex.join(export)}", soft_wrap=True)
