"""The report of a bench: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgekd.papers.efficiency import efficiency_figures
from edgekd.profiling.layers import sum_of_floors, time_over_floor
from edgekd.profiling.timing import STATISTICS
from edgekd.reports.bench_charts import latency_svg, roofline_svg
from edgekd.reports.gpu_text import gpu_text, without_throttling
from edgekd.reports.page import Tile, render_page, write_page

MOST_LAYERS = 20
NOTHING = "\N{EN DASH}"


class LayerRow(NamedTuple):
    """A line of the table of layers."""

    name: str
    detail: str
    time: str
    share: str
    floor: str
    time_over_floor: str
    bound: str
    precision: str
    gmacs: str
    megabytes: str


class PaperRow(NamedTuple):
    """A line of the paper's table."""

    method: str
    printed: str
    gmacs: str
    gflops: str
    latency: str
    throughput: str
    included: str


def write_bench_report(path: Path, figures: Mapping[str, Any]) -> None:
    """Writes a bench as one HTML file, with its charts inside, for any browser.

    Args:
        path: The file to write; its folder is made.
        figures: The content of `bench --json`.

    Raises:
        MachineError: The disk is full.
    """
    page = render_page(
        "bench.html.jinja",
        {"figure": figure, "share": share},
        figures=figures,
        title=_title(figures),
        tiles=_tiles(figures),
        latency=latency_svg(figures["latency_distribution"], figures["latency_ms"]["end_to_end"]["median"]),
        roofline=roofline_svg(figures),
        layers=layer_rows(figures),
        layers_summary=layers_summary(figures),
        paper=_paper_rows(figures),
        statistics=STATISTICS,
        record=dict(_record(figures)),
    )
    write_page(path, page)


def layer_rows(figures: Mapping[str, Any], most: int = MOST_LAYERS) -> list[LayerRow]:
    """The slowest layers, and the sum of the others.

    Args:
        figures: The content of `bench --json`.
        most: Layers with a row of their own.
    """
    layers, total = figures["layers"], figures["layers_total_ms"]
    rows = [_layer_row(layer_title(layer), _layer_detail(layer), layer, total) for layer in layers[:most]]
    rest = layers[most:]
    if not rest:
        return rows
    time_ms, floor_ms = sum(layer["time_ms"] for layer in rest), sum_of_floors(rest)
    summed = {
        "time_ms": time_ms,
        "floor_ms": floor_ms,
        "time_over_floor": time_over_floor(time_ms, floor_ms),
        "bound": None,
        "precision": NOTHING,
        "macs": _sum(rest, "macs"),
        "bytes": _sum(rest, "bytes"),
    }
    return [*rows, _layer_row(f"the other {len(rest)}", "summed", summed, total)]


def layer_title(layer: Mapping[str, Any]) -> str:
    """A layer's name for people: the module of its weights, where that is known."""
    weights: str = layer["weights"] or ""
    return weights.removeprefix("network.").removesuffix(".weight") if "." in weights else str(layer["name"])


def layers_summary(figures: Mapping[str, Any]) -> str | None:
    """The layers' total time, in a sentence; None where they were not timed.

    Args:
        figures: The content of `bench --json`.
    """
    if figures["layers_total_ms"] is None:
        return None
    batch = figures["layers_batch"]
    frames = "" if batch == 1 else f" for a batch of {batch} frames"
    summary = (
        f"{len(figures['layers'])} layers take {figure(figures['layers_total_ms'])} ms together{frames}; the median "
        f"inference without timing layers takes {figure(figures['latency_ms']['inference']['median'])} ms"
    )
    if figures["floor_ms"] is None:
        return f"{summary}."
    floors, over = figure(figures["floor_ms"]), ratio(figures["time_over_floor"])
    return f"{summary}; at their floors they would take {floors} ms, and they take {over} times that."


def figure(value: float | None) -> str:
    """A number with three significant digits."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def share(value: float | None) -> str:
    """A share in percent."""
    return NOTHING if value is None else f"{value:.1%}" if value < 0.1 else f"{value:.0%}"


def ratio(value: float | None) -> str:
    """A ratio with two decimals."""
    return NOTHING if value is None else f"{value:.2f}"


def _title(figures: Mapping[str, Any]) -> str:
    engine = figures["engine"]
    trained = "" if engine["trained"] else ", untrained"
    return f"{engine['system']} {engine['precision']}{trained} on {engine['backend']}"


def _tiles(figures: Mapping[str, Any]) -> list[Tile]:
    device, times = figures["device"], figures["latency_ms"]["end_to_end"]
    batch, rate = max(figures["throughput_fps"].items(), key=lambda entry: entry[1])
    kind, bandwidth = figures["peak_share_of"], device["bandwidth_bytes_per_second"]
    peak = device["peak_macs_per_second"].get(kind)
    floors, over = figures["floor_ms"], ratio(figures["time_over_floor"])
    return [
        Tile("Latency, median", f"{figure(times['median'])} ms", "from decoded image to verdict"),
        Tile("Latency, p99", f"{figure(times['p99'])} ms", f"over {figures['measured']['frames']} frames"),
        Tile("Throughput", f"{figure(rate)} fps", f"at batch {batch}, resize included"),
        Tile(
            f"Share of {kind} peak",
            share(figures["peak_share"]),
            f"{figure(figures['macs_per_second'] / 1e9)} of {figure(peak / 1e9)} GMAC/s measured"
            if peak
            else "the peak of this device was not measured",
        ),
        Tile("MACs per frame", f"{figure(figures['macs'] / 1e9)} G", "teacher and student together"),
        Tile(
            "Sum of floors",
            f"{figure(floors)} ms" if floors is not None else NOTHING,
            f"at the measured peaks and {figure(bandwidth / 1e9)} GB/s of memory; the layers take {over} times that"
            if floors is not None and bandwidth
            else "unknown for some layers",
        ),
    ]


def _layer_row(name: str, detail: str, layer: Mapping[str, Any], total: float) -> LayerRow:
    return LayerRow(
        name,
        detail,
        figure(layer["time_ms"]),
        share(layer["time_ms"] / total if total else None),
        figure(layer["floor_ms"]),
        ratio(layer["time_over_floor"]),
        layer["bound"] or NOTHING,
        layer["precision"],
        "unknown" if layer["macs"] is None else figure(layer["macs"] / 1e9) if layer["macs"] else "0",
        figure(None if layer["bytes"] is None else layer["bytes"] / 1e6),
    )


def _layer_detail(layer: Mapping[str, Any]) -> str:
    title = layer_title(layer)
    return str(layer["kind"]) if title == layer["name"] else f"{layer['name']} \N{MIDDLE DOT} {layer['kind']}"


def _sum(layers: Sequence[Mapping[str, Any]], key: str) -> float | None:
    """The sum over layers; None where it is unknown for one of them."""
    values = [layer[key] for layer in layers]
    return None if any(value is None for value in values) else sum(values)


def _paper_rows(figures: Mapping[str, Any]) -> list[PaperRow]:
    """This graph, then the paper's methods."""
    rows = figures["paper"]["rows"]
    if not rows:
        return []
    gmacs, times = figures["macs"] / 1e9, figures["latency_ms"]["end_to_end"]
    best = max(figures["throughput_fps"].values())
    here = PaperRow(
        "this graph, here",
        NOTHING,
        f"{gmacs:.2f}",
        f"{2 * gmacs:.2f}",
        figure(times["median"]),
        figure(best),
        "teacher + student",
    )
    return [here, *(_paper_row(row) for row in rows)]


def _paper_row(row: Mapping[str, Any]) -> PaperRow:
    both = efficiency_figures(row)
    speed = row["latency_ms"] or NOTHING, row["throughput_img_s"] or NOTHING
    return PaperRow(row["method"], row["gflops"], *both, *speed, row["included"])


def _record(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """How and on what the figures were measured."""
    engine, device, measured = figures["engine"], figures["device"], figures["measured"]
    yield "Engine", f"{engine['file']}, SHA-256 {engine['sha256']}"
    if engine.get("view"):
        tiled = ": MACs and times are those of a frame with all of its tiles" if engine.get("tiles", 1) > 1 else ""
        yield "View", f"{engine['view']}{tiled}"
    yield "Back end", f"{engine['backend']} {engine['version']} on {engine['device']}"
    if device["threads"]:
        yield "Threads", str(device["threads"])
    if device["gpu"]:
        yield "GPU", gpu_text(device["gpu"])
        yield "Throttling", "; ".join(device["gpu"]["throttling"] or ()) or without_throttling(device["gpu"])
    if engine["cuda_graphs"] is not None:
        yield "CUDA graphs", engine["cuda_graphs"]
    yield "Processor", f"{device['processor']}, {device['machine']}"
    yield "System", f"{device['system']}, Python {device['python']}"
    yield "Governor", device["governor"]
    for name, peak in device["peak_macs_per_second"].items():
        yield f"Peak, {name}", f"{figure(peak / 1e9)} GMAC/s in {device['peak_arithmetic'][name]}"
    if device["bandwidth_bytes_per_second"]:
        yield "Memory bandwidth", f"{figure(device['bandwidth_bytes_per_second'] / 1e9)} GB/s"
        yield "Peak measurement", measured["peak"]
        yield "Memory measurement", measured["bandwidth"]
    yield "Layer timing", measured["layers"]
    yield "Timed region", measured["timed_region"]
    yield "Images", measured["images"]
    yield "Warm-up", f"{measured['warm_up_s']} s"
