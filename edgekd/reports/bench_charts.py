"""The charts of a bench: how latency is spread, and the roofline."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from edgekd.reports.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, nice_step, scale, svg, text_at

CSS = {"int8": "bad"}  # The colour of a precision; others have that of float32.
SMALLEST_SHARE = 0.001  # Of the time: a layer that takes less gets no dot, since its position is mostly noise.


class Axis(NamedTuple):
    """A logarithmic axis.

    Attributes:
        low, high: The values at its ends.
        start, end: Their positions in the chart.
    """

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """The position of a value; an end where it is outside the axis."""
        value = min(max(value, self.low), self.high)
        return scale(math.log10(value), math.log10(self.low), math.log10(self.high), self.start, self.end)

    def ticks(self) -> Iterator[float]:
        """Powers of ten in the range; also 2 and 5 times them where there are few."""
        factors = (1,) if self.high / self.low > 100 else (1, 2, 5)
        for power in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1):
            yield from (factor * 10.0**power for factor in factors if self.low <= factor * 10.0**power <= self.high)


def latency_svg(distribution: Mapping[str, Any], median: float) -> str:
    """Histogram of the latency.

    Args:
        distribution: `latency_distribution` of a bench.
        median: In milliseconds; marked by a line.
    """
    edges, counts = distribution["edges_ms"], distribution["counts"]
    low, high, tallest = edges[0], edges[-1], max(*counts, 1)
    parts: list[str] = []
    step = max(1.0, nice_step(tallest / 4))
    for number in range(math.floor(tallest / step) + 1):
        y = scale(number * step, 0, tallest, BOTTOM, TOP)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(text_at(LEFT - 6, y + 4, f"{number * step:.0f}", "end"))
    step = nice_step((high - low) / 5)
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        x = scale(number * step, low, high, LEFT, RIGHT)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{BOTTOM}" y2="{BOTTOM + 4}"/>')
        parts.append(text_at(x, BOTTOM + 17, f"{number * step:.6g}", "middle"))
    width = (RIGHT - LEFT) / len(counts)
    for place, count in enumerate(counts):
        y = scale(count, 0, tallest, BOTTOM, TOP)
        x = LEFT + place * width + 0.5
        if count:
            parts.append(
                f'<rect class="good" x="{x:.1f}" y="{y:.1f}" width="{width - 1:.1f}" height="{BOTTOM - y:.1f}"/>'
            )
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{RIGHT}" y1="{BOTTOM}" y2="{BOTTOM}"/>')
    x = scale(min(max(median, low), high), low, high, LEFT, RIGHT)
    parts.append(f'<line class="threshold" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4}" y2="{BOTTOM}"/>')
    anchor = "start" if x < LEFT + 60 else "end" if x > RIGHT - 60 else "middle"
    parts.append(text_at(x, TOP - 9, "median", anchor))
    parts.append(text_at((LEFT + RIGHT) / 2, HEIGHT - 6, "end to end, ms", "middle"))
    return svg("Histogram of the latency from image to verdict", parts)


def roofline_svg(figures: Mapping[str, Any]) -> str | None:
    """Roofline: each layer and the whole graph below the device's limits, MACs per second against MACs per byte.

    Args:
        figures: The content of `bench --json`.

    Returns:
        None where the layers, the peaks or the bandwidth were not measured.
    """
    bandwidth, peaks = figures["device"]["bandwidth_bytes_per_second"], figures["device"]["peak_macs_per_second"]
    layers = [layer for layer in figures["layers"] if layer["macs"] and layer["bytes"] and layer["time_ms"]]
    if not layers or not peaks or bandwidth is None:
        return None
    whole = _whole(figures)
    shown = [layer for layer in layers if layer["time_ms"] >= SMALLEST_SHARE * figures["layers_total_ms"]]
    points = [(layer["macs"] / layer["bytes"], layer["macs"] / layer["time_ms"] * 1e3) for layer in shown]
    marked = [*points, *([whole] if whole else [])]
    ridge = max(peaks.values()) / bandwidth
    x_axis = Axis(min(x for x, _ in marked) / 1.6, max(ridge, *(x for x, _ in marked)) * 1.6, LEFT, RIGHT)
    top = max(*peaks.values(), *(y for _, y in marked))
    y_axis = Axis(min(y for _, y in marked) / 1.6, top * 1.8, BOTTOM, TOP)
    parts = [*_grid(x_axis, y_axis), *_roofs(peaks, bandwidth, x_axis, y_axis)]
    for layer, point in sorted(zip(shown, points, strict=True), key=lambda pair: -pair[0]["time_ms"]):
        parts.append(_dot(layer, point, figures["layers_total_ms"], x_axis, y_axis))
    if whole:
        x, y = x_axis.place(whole[0]), y_axis.place(whole[1])
        corners = f"{x:.1f},{y - 8:.1f} {x + 8:.1f},{y:.1f} {x:.1f},{y + 8:.1f} {x - 8:.1f},{y:.1f}"
        parts.append(f'<polygon class="whole" points="{corners}"><title>the whole graph</title></polygon>')
    parts += _roof_labels(peaks, bandwidth, x_axis, y_axis)  # Last, so that no dot hides them.
    parts.append(text_at(LEFT, TOP - 9, "GMAC/s", "start"))
    parts.append(text_at((LEFT + RIGHT) / 2, HEIGHT - 6, "MACs per byte moved", "middle"))
    return svg("Roofline: multiply-accumulates per second of each layer against those per byte", parts)


def _whole(figures: Mapping[str, Any]) -> tuple[float, float] | None:
    """The whole graph's MACs per byte and MACs per second; None where a layer's bytes are unknown."""
    moved = [layer["bytes"] for layer in figures["layers"]]
    if any(each is None for each in moved):
        return None
    return figures["macs"] * figures["layers_batch"] / sum(moved), figures["macs_per_second"]


def _grid(x_axis: Axis, y_axis: Axis) -> Iterator[str]:
    for tick in x_axis.ticks():
        x = x_axis.place(tick)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{BOTTOM}"/>'
        yield text_at(x, BOTTOM + 17, f"{tick:g}", "middle")
    for tick in y_axis.ticks():
        y = y_axis.place(tick)
        yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield text_at(LEFT - 6, y + 4, f"{tick / 1e9:g}", "end")


def _roofs(peaks: Mapping[str, float], bandwidth: float, x_axis: Axis, y_axis: Axis) -> Iterator[str]:
    """The slope of the bandwidth, and a horizontal line for each peak."""
    start = max(x_axis.low, y_axis.low / bandwidth)
    for name, peak in peaks.items():
        corners: Sequence[tuple[float, float]] = (
            (start, bandwidth * start),
            (max(start, peak / bandwidth), peak),
            (x_axis.high, peak),
        )
        places = " ".join(f"{x_axis.place(x):.1f},{y_axis.place(y):.1f}" for x, y in corners)
        yield f'<polyline class="roof {CSS.get(name, "good")}" points="{places}"/>'


def _roof_labels(peaks: Mapping[str, float], bandwidth: float, x_axis: Axis, y_axis: Axis) -> Iterator[str]:
    for name, peak in peaks.items():
        yield text_at(RIGHT, y_axis.place(peak) - 6, f"{html.escape(name)} peak {peak / 1e9:.0f}", "end")
    start = max(x_axis.low, y_axis.low / bandwidth)
    beside = max(start, 0.6 * max(peaks.values()) / bandwidth)
    x, y = x_axis.place(beside), y_axis.place(bandwidth * beside)
    yield text_at(max(x - 8, LEFT + 70), y, f"{bandwidth / 1e9:.1f} GB/s", "end")


def _dot(layer: Mapping[str, Any], point: tuple[float, float], total_ms: float, x_axis: Axis, y_axis: Axis) -> str:
    share = layer["time_ms"] / total_ms
    radius = 2.5 + 16 * math.sqrt(share)
    name = html.escape(f"{layer['weights'] or layer['name']}: {layer['time_ms']:.3g} ms, {share:.1%} of the time")
    css = CSS.get(layer["precision"], "good")
    x, y = x_axis.place(point[0]), y_axis.place(point[1])
    return f'<circle class="layer {css}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"><title>{name}</title></circle>'
