"""Measures a detector: latency by stage, throughput, and its share of what this device can do."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edgekd.artifact import Manifest, manifest_path, read_manifest
from edgekd.cli.arguments import (
    add_engine_arguments,
    add_json_argument,
    add_readers_argument,
    between,
    open_from,
    positive,
)
from edgekd.cli.output import answer, notes, print_table, require_outputs, write_json_to
from edgekd.data.images import Image, list_images, read_image
from edgekd.errors import EdgekdError

MOST_IMAGES = 32
SLOWEST_PRINTED = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_engine_arguments(parser)
    parser.add_argument("--images", type=Path, metavar="DIR", help="images to measure on (default: made ones)")
    parser.add_argument("--batch", type=positive, nargs="+", help="batch sizes (default: the graph's own, or 1 4)")
    parser.add_argument("--duration", type=between(0.1, 3600), default=10.0, help="seconds a figure (default: 10)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report with charts here")
    add_readers_argument(parser)
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    from edgekd.profiling.bench import bench

    manifest = read_manifest(arguments.engine)
    _check_outputs(arguments)
    with open_from(arguments, arguments.engine) as engine:
        images, images_from = _images(arguments.images, engine.spec.height)
        batches = arguments.batch or ([engine.spec.batch] if engine.spec.batch else [1, 4])
        with notes.status("measuring") as status:
            figures = bench(
                engine,
                arguments.engine,
                manifest,
                images,
                images_from,
                batches,
                arguments.duration,
                lambda stage: status.update(f"measuring {stage}"),
                arguments.readers,
            )
    write_json_to(arguments.json, figures)
    if arguments.html:
        from edgekd.reports.bench_html import write_bench_report

        write_bench_report(arguments.html, figures)
        notes.print(f"wrote {arguments.html}")
    if arguments.json != Path("-"):
        print_figures(figures, manifest)
    return 0


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Refuses, before minutes of measuring, what could not be written afterwards or would write over the artifact."""
    require_outputs(arguments.json, arguments.html)
    for path in (arguments.json, arguments.html):
        if path and path.absolute() in (arguments.engine.absolute(), manifest_path(arguments.engine).absolute()):
            raise EdgekdError(f"{path} belongs to the engine that is measured: give another name")


def _images(folder: Path | None, size: int) -> tuple[list[Image], str]:
    if folder is None:
        from edgekd.data.generated_images import made_frames

        return list(made_frames(8, size)), f"8 made ones of {size} x {size}"
    paths = list_images(folder)[:MOST_IMAGES]
    return [read_image(path) for path in paths], f"{len(paths)} of {folder.name}"


def print_figures(figures: dict[str, Any], manifest: Manifest) -> None:
    """Prints a bench's figures for people."""
    engine, device = figures["engine"], figures["device"]
    trained = "trained" if manifest.get("trained") else "untrained"
    where = f"{device['threads']} threads of {device['processor']}" if device["threads"] else engine["device"]
    title = f"{engine['system']} {engine['precision']} ({trained}), {engine['backend']} {engine['version']}, {where}"
    rows = [(stage, *(f"{value:.2f}" for value in times.values())) for stage, times in figures["latency_ms"].items()]
    print_table(title, ("latency, ms", "min", "mean", "median", "p90", "p95", "p99"), rows)
    for batch, rate in figures["throughput_fps"].items():
        overlap, power = figures["overlap"][batch], figures["power"][batch]
        more = f", {overlap:.2f} device stages at once" if overlap else ""
        more += f"; {_power(power)}" if power else ""
        bare = figures["throughput_fps_engine"][batch]
        readers = figures["measured"]["readers"]
        speed = f"{rate:.2f} frames a second with resizing in {readers} readers, {bare:.2f} without"
        answer.print(f"throughput at batch {batch}: {speed}{more}", soft_wrap=True)
    if device["gpu"] is not None:
        _print_gpu(device["gpu"])
    if engine["cuda_graphs"] is not None:
        answer.print(f"{engine['slots']} slots; cuda_graphs: {engine['cuda_graphs']}", soft_wrap=True)
    speed = f"{figures['macs'] / 1e9:.2f} GMACs a frame, {figures['macs_per_second'] / 1e9:.0f} GMAC/s"
    kind, share = figures["peak_share_of"], figures["peak_share"]
    if share is None and not device["threads"]:
        answer.print(f"{speed}; the GPU's peak is not measured")
    elif share is None:
        answer.print(f"{speed}; this device's {kind} peak is not measured without OpenVINO")
    else:
        peak = device["peak_macs_per_second"][kind] / 1e9
        answer.print(f"{speed}: {share:.0%} of the {peak:.0f} GMAC/s measured as this device's {kind} peak")
    if figures["runner_overhead"] is not None:
        answer.print(f"runner end to end: {figures['runner_overhead']:.3f} x (resize + bare engine)")
    _print_layers(figures)
    rows = [
        ("this graph", "", f"{figures['macs'] / 1e9:.2f}", f"{2 * figures['macs'] / 1e9:.2f}", "teacher + student"),
        *_paper_rows(figures["paper"]["rows"]),
    ]
    print_table("beside the paper", ("method", "GFLOPs printed", "as MACs", "as 2 x MACs", "includes"), rows)


def _print_gpu(gpu: dict[str, Any]) -> None:
    """The GPU's record, and a warning where it was slowed down: the figures are then of that."""
    from edgekd.reports.gpu_text import gpu_text, throttling_unseen

    answer.print(f"GPU: {gpu_text(gpu)}", soft_wrap=True)
    if gpu["throttling"]:
        warning = f"warning: the GPU was slowed down while it was measured: {'; '.join(gpu['throttling'])}"
        answer.print(warning, style="bold yellow", soft_wrap=True)
    else:
        answer.print(f"throttling: {throttling_unseen(gpu)}")


def _power(power: dict[str, Any]) -> str:
    """What a throughput costs, as far as it was measured."""
    parts = [power["source"]]
    if power["mean_watts"] is not None:
        parts += [f"{power['mean_watts']:.1f} W", f"{power['joules_per_frame']:.3f} J a frame"]
    if power["highest_celsius"] is not None:
        parts.append(f"at most {power['highest_celsius']:.0f} C")
    return " ".join([parts[0] + ":", ", ".join(parts[1:])])


def _print_layers(figures: dict[str, Any]) -> None:
    """The slowest layers, where layers were timed."""
    from edgekd.reports.bench_html import layer_rows, layers_told

    told = layers_told(figures)
    if told is None:
        answer.print(f"layers are {figures['measured']['layers']}")
        return
    rows = [
        (row.name, row.time, row.share, row.floor, row.floor_share, row.bound)
        for row in layer_rows(figures, SLOWEST_PRINTED)
    ]
    print_table(
        "slowest layers, and how much of their floor they reach",
        ("layer", "ms", "share", "floor", "reached", "bound"),
        rows,
    )
    answer.print(told, soft_wrap=True)


def _paper_rows(rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The paper's rows with both conventions, where it is known which one is printed."""
    from edgekd.papers.efficiency import efficiency_figures

    return [(row["method"], row["gflops"], *efficiency_figures(row), row["included"].split(",")[0]) for row in rows]
