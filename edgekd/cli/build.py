"""The command `edgekd build`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.backends import BUILDERS, OPENVINO, TENSORRT, TENSORRT_RTX, TITLES, HardwareCompatibility
from edgekd.cli.options import ENGINE, OUTPUT, JsonFile
from edgekd.cli.output import answer, write_json_to
from edgekd.cli.progress import show_progress
from edgekd.cli.types import positive

if TYPE_CHECKING:
    from edgekd.workflows.build import BuildResult

app = typer.Typer(add_completion=False)


@app.command()
def build(
    graph: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.onnx|RUN",
            help="Graph that edgekd export wrote, or a run with an INT8 one. For TensorRT, INT8 gets float16 around "
            "it.",
            show_default=False,
        ),
    ],
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"{', '.join(BUILDERS)}. Default: the TensorRT that is installed.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    compute_capability: Annotated[
        list[str] | None,
        typer.Option(
            metavar="C",
            help=f"GPU to build for, with {TENSORRT_RTX}, such as 8.6; once for each of several. "
            "Default: Ampere and later.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    max_batch: Annotated[
        int | None,
        typer.Option(
            parser=positive,
            metavar="N",
            help="Largest batch, of a graph exported with --batch dynamic. Default: 8.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    opt_batch: Annotated[
        int | None,
        typer.Option(
            parser=positive,
            metavar="N",
            help="Batch that kernels are chosen for, of such a graph. Default: 1, as edgekd inspect uses.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    workspace: Annotated[
        int | None,
        typer.Option(
            parser=positive,
            metavar="MIB",
            help="Device memory that a kernel may take, in MiB. Default: no limit.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    timing_cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Kernel timings of {TENSORRT}, reused by the next build. Default: measured anew.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    hardware_compatibility: Annotated[
        HardwareCompatibility | None,
        typer.Option(
            help=f"Other GPUs that an engine of {TENSORRT} must run on, at some cost in speed. Default: the GPU model "
            "that it is built on.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="cuda:N", help="GPU that builds and runs the engine. Default: cuda:0.", rich_help_panel=ENGINE
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The .engine file to write. Default: beside the graph, such as detector_sm86.engine.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    if_needed: Annotated[
        bool,
        typer.Option(
            "--if-needed",
            help="Build only where the engine is missing, damaged, of another graph or options, or not for this "
            "machine.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    json: JsonFile = None,
) -> None:
    """Build an engine of a graph for TensorRT, TensorRT for RTX or OpenVINO.

    Where the engine can run here it is compared with its graph, and not kept if it outputs something else.
    """
    from edgekd.workflows.build import build as run

    with show_progress() as progress:
        result = run(
            graph,
            backend=backend,
            compute_capability=compute_capability or (),
            max_batch=max_batch,
            opt_batch=opt_batch,
            workspace=workspace,
            timing_cache=timing_cache,
            hardware_compatibility=hardware_compatibility,
            device=device,
            output=output,
            if_needed=if_needed,
            answer_file=None if json == Path("-") else json,
            progress=progress,
        )
    write_json_to(json, result.to_dict())
    if json != Path("-"):
        for line in _built(result) if result.built else _kept(result):
            answer.print(line, soft_wrap=True)


def _built(result: BuildResult) -> Iterator[str]:
    """What was built, in lines."""
    record = result.engine
    yield (
        f"wrote {result.file}: {result.bytes / 1e6:.1f} MB in {record['build_seconds']:.1f} s by "
        f"{TITLES[record['flavour']]} {record['version']}, for {_target(result)}"
    )
    if record["largest_batch"] is None:
        yield "it takes batches of any size"
    elif isinstance(result.manifest["inputs"]["frames"]["shape"][0], str):
        yield f"it takes batches of 1 to {record['largest_batch']}; its kernels are chosen for {record['opt_batch']}"
    if result.convolutions_reading:
        kinds = ", ".join(f"{count} read {kind}" for kind, count in result.convolutions_reading.items())
        yield f"{sum(result.convolutions_reading.values())} convolutions: {kinds}"
    if result.compared:
        yield _comparison(result)
    else:
        yield (
            f"not compared with its graph, since it cannot run here: {result.not_compared}; on the machine that runs "
            f"it {record['command']} --if-needed compares them"
        )
    is_rtx = record["flavour"] == TENSORRT_RTX
    where = "on a machine with such a GPU, whose kernels are chosen there: " if is_rtx else ""
    yield f"next, {where}edgekd bench --engine {shlex.quote(str(result.file))}"


def _kept(result: BuildResult) -> Iterator[str]:
    """That an engine is up to date, in lines."""
    if result.not_compared is not None:
        yield f"{result.file} is up to date: nothing to do; it cannot run here: {result.not_compared}"
    elif result.compared:
        yield _comparison(result)
        yield f"{result.file} fits this machine: nothing to build"
    else:
        yield f"{result.file} fits this machine: nothing to do"


def _comparison(result: BuildResult) -> str:
    """How an engine compares with its graph, in one line."""
    verified = result.verified
    assert verified is not None, "it was compared"
    verdicts = "verdict differs" if verified["flips"] == 1 else "verdicts differ"
    flips = "" if verified["flips"] is None else f", {verified['flips']} {verdicts}"
    why = "" if result.why_generated is None else f" ({result.why_generated})"
    return (
        f"compared with its graph in {verified['reference']}, on {verified['images']} {verified['from']}{why}: noise "
        f"{verified['noise']:.1e} of the map's standard deviation, at most {verified['largest']:.1e} of its range, "
        f"score {verified['score']:.1e}{flips}"
    )


def _target(result: BuildResult) -> str:
    """What an engine is for, in words."""
    from edgekd.engines.tensorrt.checks import capabilities_text

    record = result.engine
    if record["flavour"] == OPENVINO:
        return str(record["device"]["name"])
    served = capabilities_text(record["compute_capabilities"])
    if record["flavour"] == TENSORRT_RTX:
        return f"GPUs of {served}"
    return {
        "same-compute-capability": f"GPUs of {served}",
        "ampere-plus": "GPUs of compute capability 8.0 or later",
    }.get(record["hardware_compatibility"], f"{record['device']['name']}, {served}")
