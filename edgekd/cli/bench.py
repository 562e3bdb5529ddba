"""`edgekd bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekd.cli.options import (
    DATA,
    ENGINE,
    OUTPUT,
    Backend,
    EngineOrRun,
    GpuDevice,
    JsonFile,
    Readers,
    RequireSignature,
    Slots,
    Streams,
    Threads,
)
from edgekd.cli.output import answer, print_table, require_outputs, write_json_to
from edgekd.cli.progress import show_progress
from edgekd.cli.types import between, positive

if TYPE_CHECKING:
    from edgekd.workflows.bench import BenchResult

SLOWEST_PRINTED = 5

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    engine: EngineOrRun,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of images to measure on, of which the first 32 are taken. Default: generated images.",
            rich_help_panel=DATA,
        ),
    ] = None,
    batch: Annotated[
        list[int] | None,
        typer.Option(
            parser=positive,
            metavar="N...",
            help="Batch size to measure throughput at; once for each of several. Default: the graph's own, or "
            "1 and 4 where it takes any.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    duration: Annotated[
        float,
        typer.Option(
            parser=between(0.1, 3600),
            metavar="SECONDS",
            help="Seconds for each figure, 0.1 to 3600.",
            rich_help_panel=DATA,
        ),
    ] = 10.0,
    backend: Backend = None,
    threads: Threads = None,
    device: GpuDevice = None,
    slots: Slots = None,
    readers: Readers = None,
    streams: Streams = None,
    require_signature: RequireSignature = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a report with charts. Default: none.", rich_help_panel=OUTPUT),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Measure latency, throughput and share of the device's peak.

    Latency is measured by stage, from the decoded image to the verdict; the slowest layers are listed beside the least
    time that they could take on this device.
    """
    from edgekd.workflows.bench import bench as run

    require_outputs(json, html, engine)
    with show_progress() as progress:
        result = run(
            engine,
            images,
            batch=batch or None,
            duration=duration,
            backend=backend,
            threads=threads,
            device=device,
            slots=slots,
            readers=readers,
            streams=streams or 1,
            require_signature=require_signature,
            html=html,
            progress=progress,
        )
    write_json_to(json, result.to_dict())
    if json != Path("-"):
        print_result(result)


def print_result(result: BenchResult) -> None:
    """Prints the figures for people."""
    engine, device = result.engine, result.device
    trained = "trained" if engine["trained"] else "untrained"
    where = f"{device['threads']} threads of {device['processor']}" if device["threads"] else engine["device"]
    title = f"{engine['system']} {engine['precision']} ({trained}), {engine['backend']} {engine['version']}, {where}"
    rows = [(stage, *(f"{value:.2f}" for value in times.values())) for stage, times in result.latency_ms.items()]
    print_table(title, ("latency, ms", "min", "mean", "median", "p90", "p95", "p99"), rows)
    _print_throughput(result)
    if device["gpu"] is not None:
        _print_gpu(device["gpu"])
    if engine["cuda_graphs"] is not None:
        answer.print(f"{engine['slots']} slots; CUDA graphs: {engine['cuda_graphs']}", soft_wrap=True)
    answer.print(_peak_share(result), soft_wrap=True)
    answer.print(f"runner overhead: end to end takes {result.runner_overhead:.3f} x (resize + bare engine)")
    if result.memory is not None:
        answer.print(_memory(result.memory), soft_wrap=True)
    _print_layers(result.to_dict())
    rows = [
        ("this graph", "", f"{result.macs / 1e9:.2f}", f"{2 * result.macs / 1e9:.2f}", "teacher + student"),
        *_paper_rows(result.paper["rows"]),
    ]
    print_table("beside the paper", ("method", "GFLOPs printed", "as MACs", "as 2 x MACs", "includes"), rows)


def _print_throughput(result: BenchResult) -> None:
    readers = result.measured["readers"]
    for batch, rate in result.throughput_fps.items():
        overlap, power, bare = result.overlap[batch], result.power[batch], result.throughput_fps_engine[batch]
        more = f", {overlap:.2f} stages of the device at once" if overlap else ""
        more += f"; {_power(power)}" if power else ""
        speed = f"{rate:.2f} frames per second with resizing in {readers} readers, {bare:.2f} without"
        answer.print(f"throughput at batch {batch}: {speed}{more}", soft_wrap=True)


def _peak_share(result: BenchResult) -> str:
    """What the graph reaches of the device's peak, in a sentence."""
    tiles = result.engine.get("tiles", 1)
    per_frame = "per frame" if tiles == 1 else f"per frame of {tiles} tiles"
    speed = f"{result.macs / 1e9:.2f} GMACs {per_frame}, {result.macs_per_second / 1e9:.0f} GMAC/s"
    if result.peak_share is None:
        reason = "without OpenVINO" if result.device["threads"] else "on a GPU"
        return f"{speed}; the device's {result.peak_share_of} peak is not measured {reason}"
    peak = result.device["peak_macs_per_second"][result.peak_share_of] / 1e9
    return (
        f"{speed}: {result.peak_share:.0%} of the device's {result.peak_share_of} peak, measured as {peak:.0f} GMAC/s "
        f"in {result.device['peak_arithmetic'][result.peak_share_of]}"
    )


def _memory(held: dict[str, int]) -> str:
    """What the engine takes of the memory, in a sentence."""
    engine, process, peak = (f"{held[name] / 1e6:.0f} MB" for name in ("engine", "process", "peak"))
    return f"memory: the engine takes {engine} of the host's, and the process holds {process} with it, {peak} at most"


def _print_gpu(gpu: dict[str, Any]) -> None:
    """The GPU's record, and a warning where it was throttled: the figures are then those of a throttled GPU."""
    from edgekd.reports.gpu_text import gpu_text, without_throttling

    answer.print(f"GPU: {gpu_text(gpu)}", soft_wrap=True)
    if gpu["throttling"]:
        warning = f"warning: the GPU was throttled while it was measured: {'; '.join(gpu['throttling'])}"
        answer.print(warning, style="bold yellow", soft_wrap=True)
    else:
        answer.print(f"throttling: {without_throttling(gpu)}")


def _power(power: dict[str, Any]) -> str:
    """Power and energy at a throughput, as far as they were measured."""
    parts = [power["source"]]
    if power["mean_watts"] is not None:
        parts += [f"{power['mean_watts']:.1f} W", f"{power['joules_per_frame']:.3f} J per frame"]
    if power["highest_celsius"] is not None:
        parts.append(f"up to {power['highest_celsius']:.0f} °C")
    return " ".join([parts[0] + ":", ", ".join(parts[1:])])


def _print_layers(figures: dict[str, Any]) -> None:
    """The slowest layers, where layers were timed."""
    from edgekd.reports.bench_html import layer_rows, layers_summary

    summary = layers_summary(figures)
    if summary is None:
        answer.print(f"layers: {figures['measured']['layers']}")
        return
    rows = [
        (row.name, row.time, row.share, row.floor, row.time_over_floor, row.bound)
        for row in layer_rows(figures, SLOWEST_PRINTED)
    ]
    print_table(
        "slowest layers (floor: the least time on this device)",
        ("layer", "ms", "share", "floor, ms", "time / floor", "bound by"),
        rows,
    )
    answer.print(summary, soft_wrap=True)


def _paper_rows(rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The paper's rows in both conventions, where it is known which one is printed."""
    from edgekd.papers.efficiency import efficiency_figures

    return [(row["method"], row["gflops"], *efficiency_figures(row), row["included"].split(",")[0]) for row in rows]
