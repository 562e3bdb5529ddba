"""Charts as inline SVG, coloured by the CSS classes of their page.

Every text in them is a number or a constant, so they need no escaping.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]

# Small enough that the text stays readable when a phone shrinks the chart to its own width.
WIDTH, HEIGHT = 440, 310
LEFT, RIGHT, TOP, BOTTOM = 42, 428, 22, 268
BINS = 36


def histogram_svg(good: Scores, defective: Scores, threshold: float | None, trained: Scores | None = None) -> str:
    """Histogram of the scores: good images upwards, defective ones downwards, the threshold as a line.

    Args:
        good, defective: float64 [N], finite, not both empty.
        threshold: Where NG begins; None for no line.
        trained: float64 [M], of good images that were trained on, drawn on top of the good ones; None for none.
    """
    learned = np.empty(0) if trained is None else trained
    low, high = _span(np.concatenate([good, learned, defective, [] if threshold is None else [threshold]]))
    edges = np.linspace(low, high, BINS + 1)
    upwards, downwards, of_learned = (np.histogram(scores, edges)[0] for scores in (good, defective, learned))
    peaks = max(int((upwards + of_learned).max()), 0), max(int(downwards.max()), 0)
    unit = (BOTTOM - TOP) / sum(peaks)
    middle = TOP + peaks[0] * unit
    step = max(1.0, nice_step(max(peaks) / 4))
    parts = [*_count_axis(middle, unit, step, peaks), *_value_axis(low, high)]
    parts += _bars(upwards, middle, -unit, "good")
    parts += _bars(of_learned, middle - upwards * unit, -unit, "trained")
    parts += _bars(downwards, middle, unit, "bad")
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{RIGHT}" y1="{middle:.1f}" y2="{middle:.1f}"/>')
    if threshold is not None:
        parts += _threshold_line(scale(threshold, low, high, LEFT, RIGHT))
    parts.append(text_at((LEFT + RIGHT) / 2, HEIGHT - 6, "anomaly score", "middle"))
    return svg("Histogram of the scores of good and of defective images", parts)


def roc_svg(good: Scores, defective: Scores, threshold: float | None) -> str:
    """The ROC curve, with a point for the threshold.

    Args:
        good, defective: float64 [N], finite, neither empty.
        threshold: Where NG begins; None for no point.
    """
    parts: list[str] = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = _roc_point(share, share)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{BOTTOM}"/>')
        parts.append(text_at(LEFT - 6, y + 4, f"{100 * share:.0f}", "end"))
        parts.append(text_at(x, BOTTOM + 17, f"{100 * share:.0f}", "middle"))
    parts.append(f'<line class="chance" x1="{LEFT}" x2="{RIGHT}" y1="{BOTTOM}" y2="{TOP}"/>')
    curve = " ".join(dict.fromkeys(f"{x:.1f},{y:.1f}" for x, y in _roc_points(good, defective)))
    parts.append(f'<polygon class="area" points="{curve} {RIGHT},{BOTTOM}"/><polyline class="curve" points="{curve}"/>')
    if threshold is not None:
        x, y = _roc_point(float((good > threshold).mean()), float((defective > threshold).mean()))
        parts.append(f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="6"/>')
    parts.append(text_at(LEFT, TOP - 8, "defects found, %", "start"))
    parts.append(text_at((LEFT + RIGHT) / 2, HEIGHT - 6, "good images rejected, %", "middle"))
    return svg("ROC curve: defects found against good images rejected", parts)


def _roc_points(good: Scores, defective: Scores) -> Iterator[tuple[float, float]]:
    """The corners of the curve; a tie between good and defective images is one slanted step."""
    levels = np.unique(np.concatenate([good, defective]))[::-1]
    rejected = len(good) - np.searchsorted(np.sort(good), levels, side="left")
    found = len(defective) - np.searchsorted(np.sort(defective), levels, side="left")
    yield _roc_point(0, 0)
    for false_rejects, hits in zip(rejected, found, strict=True):
        yield _roc_point(false_rejects / len(good), hits / len(defective))


def _roc_point(false_reject_rate: float, found_rate: float) -> tuple[float, float]:
    return scale(false_reject_rate, 0, 1, LEFT, RIGHT), scale(found_rate, 0, 1, BOTTOM, TOP)


def _bars(counts: NDArray[np.int64], start: float | NDArray[np.float64], unit: float, css: str) -> Iterator[str]:
    """The bars of a class from where they start, the middle line or other bars; a negative unit is upwards."""
    width = (RIGHT - LEFT) / len(counts)
    for place, (count, foot) in enumerate(zip(counts, np.broadcast_to(start, counts.shape), strict=True)):
        if count:
            height = count * abs(unit)
            y = foot - height if unit < 0 else foot
            x = LEFT + place * width
            yield f'<rect class="{css}" x="{x + 0.5:.1f}" y="{y:.1f}" width="{width - 1:.1f}" height="{height:.1f}"/>'


def _count_axis(middle: float, unit: float, step: float, peaks: tuple[int, int]) -> Iterator[str]:
    for count in np.arange(-math.floor(peaks[1] / step), math.floor(peaks[0] / step) + 1) * step:
        y = middle - count * unit
        yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield text_at(LEFT - 6, y + 4, f"{abs(count):.0f}", "end")


def _value_axis(low: float, high: float) -> Iterator[str]:
    step = nice_step((high - low) / 5)
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        x = scale(number * step, low, high, LEFT, RIGHT)
        yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{BOTTOM}" y2="{BOTTOM + 4}"/>'
        yield text_at(x, BOTTOM + 17, f"{number * step:.6g}", "middle")


def _threshold_line(x: float) -> Iterator[str]:
    yield f'<line class="threshold" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4}" y2="{BOTTOM}"/>'
    anchor = "start" if x < LEFT + 60 else "end" if x > RIGHT - 60 else "middle"
    yield text_at(x, TOP - 9, "threshold", anchor)


def _span(values: Scores) -> tuple[float, float]:
    """The range to show, with a margin; never empty."""
    low, high = float(values.min()), float(values.max())
    margin = 0.03 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def nice_step(rough: float) -> float:
    """The nearest round step above: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def scale(value: float, low: float, high: float, start: float, end: float) -> float:
    """Maps a value of an axis from low to high to a position from start to end."""
    return start + (value - low) / (high - low) * (end - start)


def text_at(x: float, y: float, text: str, anchor: str) -> str:
    """A text that needs no escaping; its anchor is "start", "middle" or "end"."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def svg(label: str, parts: list[str]) -> str:
    """A chart of its parts, with a label for screen readers."""
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
