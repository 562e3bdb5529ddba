"""The command `edgekd benchmark`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.options import DATA, ENGINE, OUTPUT, PRECISION, TRAINING, JsonFile
from edgekd.cli.training import (
    Augment,
    BitDepth,
    ImageSize,
    Iterations,
    LearningRate,
    LearningRateSchedule,
    Minutes,
    QuantizationAware,
    RayAddress,
    Seed,
    Settings,
    Textures,
    TrainingBatch,
    TrainingDevice,
    TrainingPreset,
)
from edgekd.cli.types import between
from edgekd.errors import EdgekdError
from edgekd.precisions import PRECISIONS

app = typer.Typer(add_completion=False)


@app.command()
def benchmark(
    systems: Annotated[
        list[str],
        typer.Argument(metavar="SYSTEM", help="One or several of hkt, hkt_plus, mhkd, pfadseg, dskd, mthf."),
    ],
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Dataset, or one category of it; docs/datasets.md lists the layouts.",
            rich_help_panel=DATA,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder of the runs, their reports and the table.", rich_help_panel=OUTPUT),
    ],
    categories: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME...",
            help="Category of the dataset; once for each of several. Default: all.",
            rich_help_panel=DATA,
        ),
    ] = None,
    textures: Textures = None,
    size: ImageSize = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(
            metavar="|".join(PRECISIONS),
            help="Precision to export, evaluate and time; once for each of several. Default: fp32 and int8.",
            rich_help_panel=PRECISION,
        ),
    ] = None,
    duration: Annotated[
        float,
        typer.Option(
            parser=between(0.1, 3600),
            metavar="SECONDS",
            help="Seconds for each timing. Default: 5.",
            show_default=False,
            rich_help_panel=ENGINE,
        ),
    ] = 5.0,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME...",
            help="Teacher of every system, by a name of 'edgekd teachers list' or by its .safetensors or .pth file; "
            "SYSTEM=NAME for one of several systems. Default: each system's own ('edgekd models SYSTEM').",
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
    bit_depth: BitDepth = None,
    set_: Settings = None,
    quantization_aware: QuantizationAware = False,
    seed: Seed = None,
    device: TrainingDevice = "auto",
    ray: RayAddress = None,
    json: JsonFile = None,
) -> None:
    """Train, evaluate and time systems on a whole dataset, into one table.

    The same command continues where it was interrupted; options that would contradict a run in --out are refused.
    """
    from edgekd.cli.output import answer, require_writable, write_json_to
    from edgekd.cli.progress import show_progress
    from edgekd.reports.benchmark_table import as_markdown
    from edgekd.workflows.benchmark import MARKDOWN_FILE
    from edgekd.workflows.benchmark import benchmark as run
    from edgekd.workflows.settings import parse_settings

    require_writable(json)
    settings = {name: value for system in systems for name, value in parse_settings(system, set_ or ()).items()}
    with show_progress() as progress:
        result = run(
            systems,
            data=data,
            out=out,
            categories=categories or None,
            precision=precision or ("fp32", "int8"),
            duration=duration,
            minutes=minutes,
            iterations=iterations,
            preset=preset,
            size=size,
            batch=batch,
            learning_rate=learning_rate,
            schedule=schedule,
            seed=seed,
            teacher=_teachers(teacher or ()),
            textures=textures,
            augment=augment or None,
            bit_depth=bit_depth,
            settings=settings,
            quantization_aware=quantization_aware,
            device=device,
            ray=ray,
            progress=progress,
        )
    write_json_to(json, result.rows)
    if json != Path("-"):
        answer.print(as_markdown(result.rows), soft_wrap=True)
        answer.print(f"this table is {out / MARKDOWN_FILE}; runs and reports are beside it", soft_wrap=True)
    if result.failed:
        raise typer.Exit(1)


def _teachers(texts: Sequence[str]) -> list[str] | dict[str, list[str]] | None:
    """The teachers of all systems, or by system where they are written SYSTEM=NAME; None where there are none."""
    from edgekd.models.registry import SYSTEMS

    by_system: dict[str, list[str]] = {}
    for text in texts:
        system, equals, name = text.partition("=")
        if equals and system in SYSTEMS:
            by_system.setdefault(system, []).append(name)
    if not by_system:
        return list(texts) or None
    if sum(map(len, by_system.values())) != len(texts):
        raise EdgekdError("--teacher is given with and without SYSTEM=: write SYSTEM=NAME for every teacher")
    return by_system
