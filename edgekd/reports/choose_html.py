"""The report of `choose`: one self-contained HTML file."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgekd.reports.bench_charts import Axis
from edgekd.reports.bench_html import figure
from edgekd.reports.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, nice_step, scale, svg, text_at
from edgekd.reports.choose_text import judged_on, longer_training, next_command, title, verdict
from edgekd.reports.page import Tile, render_page, write_page

NOTHING = "\N{EN DASH}"


class CandidateRow(NamedTuple):
    """A line of the table of candidates."""

    number: int
    name: str
    detail: str
    auroc: str
    latency: str
    ceiling: str
    below: str
    training: str
    iterations: str


def write_choose_report(path: Path, figures: Mapping[str, Any]) -> None:
    """Writes what `choose` found as one HTML file, with its chart inside, for any browser.

    Args:
        path: The file to write; its folder is made.
        figures: The content of `choose --json`.

    Raises:
        MachineError: The disk is full.
    """
    taken = figures["take"] is not None
    page = render_page(
        "choose.html.jinja",
        {},
        figures=figures,
        name=Path(figures["data"]).name,
        judged=judged_on(figures),
        tiles=_tiles(figures),
        verdict=verdict(figures),
        commands=[next_command(figures), longer_training(figures)] if taken else [],
        chart=accuracy_svg(figures["rows"], figures["latency_limit_ms"]),
        rows=[_row(number, row) for number, row in enumerate(figures["rows"], 1)],
        minutes=figure(figures["seconds"] / 60),
    )
    write_page(path, page)


def accuracy_svg(rows: Sequence[Mapping[str, Any]], limit: float | None) -> str | None:
    """Image AUROC over latency, a numbered dot for each candidate; those too slow in another colour.

    Args:
        rows: Of `choose --json`, the best first.
        limit: On the latency, in milliseconds; None for no line.

    Returns:
        None where every candidate failed.
    """
    shown = [(number, row) for number, row in enumerate(rows, 1) if row["error"] is None]
    if not shown:
        return None
    times = [row["latency_ms"] for _, row in shown] + ([] if limit is None else [limit])
    x_axis = Axis(min(times) / 1.3, max(times) * 1.3, LEFT, RIGHT)
    best = shown[0][1]
    values = [row["image_auroc"] for _, row in shown] + ([] if best["ceiling"] is None else [best["ceiling"]])
    step = nice_step(max(1 - min(values), 0.02) / 5)
    low = math.floor(min(values) / step) * step
    parts = [*_grid(x_axis, low, step)]
    if limit is not None:
        x = x_axis.place(limit)
        parts.append(f'<line class="threshold" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{BOTTOM}"/>')
        parts.append(text_at(x, TOP - 9, "limit", "end" if x > RIGHT - 40 else "middle"))
    if best["ceiling"] is not None:
        y = scale(best["ceiling"], low, 1, BOTTOM, TOP)
        parts.append(f'<line class="chance" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(text_at(RIGHT, y + 14, "ceiling of the best one's teacher", "end"))
    for number, row in reversed(shown):
        parts += _dot(number, row, x_axis.place(row["latency_ms"]), scale(row["image_auroc"], low, 1, BOTTOM, TOP))
    parts.append(text_at(LEFT, TOP - 9, "image AUROC", "start"))
    parts.append(text_at((LEFT + RIGHT) / 2, HEIGHT - 6, "latency in INT8, ms", "middle"))
    return svg("Image AUROC of each candidate over its latency", parts)


def _grid(x_axis: Axis, low: float, step: float) -> Iterator[str]:
    for tick in x_axis.ticks():
        x = x_axis.place(tick)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{BOTTOM}"/>'
        yield text_at(x, BOTTOM + 17, f"{tick:g}", "middle")
    for number in range(round((1 - low) / step) + 1):
        y = scale(low + number * step, low, 1, BOTTOM, TOP)
        yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield text_at(LEFT - 6, y + 4, f"{low + number * step:.3g}", "end")


def _dot(number: int, row: Mapping[str, Any], x: float, y: float) -> Iterator[str]:
    css = "good" if row["fast_enough"] else "bad"
    name = html.escape(f"{title(row)}: {row['image_auroc']:.3f}, {row['latency_ms']:.1f} ms")
    radius = 8 if number == 1 else 5
    yield f'<circle class="candidate {css}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"><title>{name}</title></circle>'
    yield text_at(x + radius + 3, y + 4, str(number), "start")


def _tiles(figures: Mapping[str, Any]) -> list[Tile]:
    if figures["take"] is None:
        return []
    best, shipped = figures["rows"][0], figures["shipped"]
    ceiling = best["ceiling"]
    return [
        Tile("Take", title(best), shipped["artifact"]),
        Tile("Image AUROC", f"{shipped['image_auroc']:.3f}", f"of its INT8 detector, on {judged_on(figures)}"),
        Tile("Latency, median", f"{shipped['latency_ms']:.1f} ms", f"in INT8, {figures['device']['processor']}"),
        Tile("Its teacher's ceiling", NOTHING if ceiling is None else f"{ceiling:.3f}", "nearest neighbours"),
    ]


def _row(number: int, row: Mapping[str, Any]) -> CandidateRow:
    auroc, ceiling = row["image_auroc"], row["ceiling"]
    return CandidateRow(
        number,
        title(row),
        row["error"] or " + ".join(row["teachers"]),
        NOTHING if auroc is None else f"{auroc:.3f}",
        NOTHING if row["latency_ms"] is None else f"{row['latency_ms']:.1f}",
        NOTHING if ceiling is None else f"{ceiling:.3f}",
        NOTHING if ceiling is None or auroc is None else f"{ceiling - auroc:.3f}",
        f"{row['minutes']:.2g}",
        NOTHING if row["iterations"] is None else str(row["iterations"]),
    )
