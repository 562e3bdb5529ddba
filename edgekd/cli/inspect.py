"""`edgekd inspect`."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgekd.cli.options import (
    DATA,
    OUTPUT,
    Backend,
    EngineOrRun,
    GpuDevice,
    InferenceLimit,
    JsonFile,
    Readers,
    RequireSignature,
    Slots,
    Streams,
    Threads,
)
from edgekd.cli.output import answer, require_writable, write_json_to
from edgekd.cli.streams import standard_output
from edgekd.cli.types import between, not_negative, size_in_bytes

if TYPE_CHECKING:
    from edgekd.result import AnomalyResult
    from edgekd.runner import Answer
    from edgekd.workflows.inspect import InspectResult

logger = logging.getLogger(__name__)

COLOURS = {"OK": "green", "NG": "red", "ERROR": "yellow"}

app = typer.Typer(add_completion=False)


@app.command()
def inspect(
    engine: EngineOrRun,
    source: Annotated[
        str,
        typer.Option(
            metavar="DIR|IMAGE|VIDEO|CAMERA",
            help="What to inspect: a folder, an image, a video file, or a camera by its number.",
            rich_help_panel=DATA,
        ),
    ],
    threshold: Annotated[
        float | None,
        typer.Option(
            parser=between(0, 1e30),
            metavar="SCORE",
            help="Scores above it are NG. Default: the artifact's own.",
            rich_help_panel=DATA,
        ),
    ] = None,
    ignore_check: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Image check to leave out: size, dark, bright, flat, blurred or frozen; "
            "once for each of several. Default: none.",
            rich_help_panel=DATA,
        ),
    ] = None,
    backend: Backend = None,
    threads: Threads = None,
    device: GpuDevice = None,
    slots: Slots = None,
    readers: Readers = None,
    streams: Streams = None,
    inference_limit: InferenceLimit = None,
    require_signature: RequireSignature = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Add every verdict to the log in this folder, with heat maps and originals beside it; read it with "
            "'edgekd log DIR'. Default: none.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    heat_maps: Annotated[
        Literal["ng", "all", "none"],
        typer.Option(help="Frames to write heat maps for, with --out.", rich_help_panel=OUTPUT),
    ] = "ng",
    keep_originals: Annotated[
        Literal["ng", "all", "none"],
        typer.Option(help="Frames whose image is kept beside the heat map, with --out.", rich_help_panel=OUTPUT),
    ] = "ng",
    keep_days: Annotated[
        float | None,
        typer.Option(
            parser=between(0, 36500),
            metavar="DAYS",
            help="Remove heat maps and originals that are older than this. Verdicts always stay. Default: no limit.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    keep_images: Annotated[
        int | None,
        typer.Option(
            parser=not_negative,
            metavar="N",
            help="Keep at most this many heat maps and originals: the oldest of OK parts go first, of NG last. "
            "Default: no limit.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    keep_free: Annotated[
        int | None,
        typer.Option(
            parser=size_in_bytes,
            metavar="SIZE",
            help="Keep this much of the disk free, such as 5GB: heat maps and originals are removed in the same order. "
            "Default: nothing is removed, and new ones are left out before the disk is full.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    most_errors: Annotated[
        int | None,
        typer.Option(
            parser=not_negative,
            metavar="N",
            help="ERRORs in a row that end the run with exit code 3; 0 for no limit. Default: 100 for a video or a "
            "camera, no limit for a folder.",
            rich_help_panel=DATA,
        ),
    ] = None,
    fail_on_ng: Annotated[
        bool,
        typer.Option("--fail-on-ng", help="Exit with code 1 if any frame is NG or ERROR.", rich_help_panel=OUTPUT),
    ] = False,
    json: JsonFile = None,
) -> None:
    """Run a detector on a folder, a video or a camera.

    Prints a verdict for each frame: OK, NG (no good), or ERROR where a frame could not be read or inspected.
    """
    from edgekd.workflows.inspect import inspect as run

    require_writable(json)
    result = run(
        engine,
        source,
        out=out,
        threshold=threshold,
        ignored_checks=ignore_check or (),
        heat_maps=heat_maps,
        keep_originals=keep_originals,
        keep_days=keep_days,
        keep_images=keep_images,
        keep_free=keep_free,
        backend=backend,
        threads=threads,
        device=device,
        slots=slots,
        readers=readers,
        streams=streams,
        most_errors=most_errors,
        inference_limit=inference_limit,
        require_signature=require_signature,
        keep_frames=json is not None,
        on_answer=_warn if json == Path("-") else _print if out or json or fail_on_ng else _print_for_a_reader,
    )
    lost, why = standard_output().take_lost()
    if lost:
        logger.warning("lines that could not be printed: %d (%s)", lost, why)
    write_json_to(json, result.to_dict())
    logger.info(_summary(result))
    if fail_on_ng and not result.all_ok:
        raise typer.Exit(1)


def _print(reply: Answer) -> None:
    from rich.text import Text

    from edgekd.verdicts.text import printable

    result = reply.result
    what = result.error or _figures(result)
    verdict = (f"{result.verdict.value:5}", COLOURS[result.verdict.value])
    answer.print(Text.assemble(verdict, f" {printable(reply.name)}  {printable(what)}"), soft_wrap=True)
    _warn(reply)


def _print_for_a_reader(reply: Answer) -> None:
    """Prints a verdict that is kept nowhere else: without a reader the run ends."""
    _print(reply)
    standard_output().require_reader()


def _warn(reply: Answer) -> None:
    for notice in reply.notices:
        logger.warning("%s", notice)


def _figures(result: AnomalyResult) -> str:
    """Score, severity where it is known, and how many regions there are."""
    parts = [f"{result.score:.6g}"]
    if math.isfinite(result.severity):
        parts.append(f"severity {result.severity:.2f}")
    if result.regions:
        count = len(result.regions) + result.more_regions
        parts.append("1 region" if count == 1 else f"{count} regions")
    return "  ".join(parts)


def _summary(result: InspectResult) -> str:
    parts = [f"{count} {name}" for name, count in result.verdicts.items()]
    parts += [f"{result.dropped} dropped"] if result.live else []
    parts += [f"{result.images_not_written} images not written"] if result.images_not_written else []
    parts += [f"{result.images_removed} images removed"] if result.images_removed else []
    count = sum(result.verdicts.values())
    return f"{count} {'frame' if count == 1 else 'frames'}: " + ", ".join(parts)
