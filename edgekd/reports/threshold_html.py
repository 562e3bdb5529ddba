"""The report of `threshold`: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgekd.data.images import read_image
from edgekd.errors import ImageError
from edgekd.preprocessing import BIT_DEPTHS
from edgekd.reports.charts import Scores, histogram_svg
from edgekd.reports.gallery import shrunk_data_uri
from edgekd.reports.page import Tile, render_page, write_page
from edgekd.reports.threshold_text import COLUMNS, limit_row
from edgekd.verdicts.promise import share

MOST_SHOWN = 12


class ScoredImage(NamedTuple):
    """An image file and the detector's score of it."""

    path: Path
    name: str
    score: float


class Card(NamedTuple):
    """An image of the page; its data URI is None where the file cannot be read any more."""

    name: str
    score: str
    image: str | None


def write_threshold_report(
    path: Path,
    figures: Mapping[str, Any],
    good: Scores,
    trained: Scores,
    defective: Scores,
    suspicious: Sequence[ScoredImage],
    missed: Sequence[ScoredImage],
) -> None:
    """Writes a threshold and what it promises as one HTML file, for any browser.

    Args:
        path: The file to write; its folder is made.
        figures: The content of `threshold --json`.
        good: float64 [N], scores of good images that the detector has not seen.
        trained: float64 [M], of good images that it was trained on.
        defective: float64 [K].
        suspicious: Good images that stand out and were set aside.
        missed: Defective images that the threshold misses.

    Raises:
        MachineError: The disk is full.
    """
    threshold = figures["threshold"]
    columns = COLUMNS if figures["ng"] else COLUMNS[:-1]
    rows = [
        (limit_row(row)[: len(columns)], row["false_reject_rate"] == threshold["false_reject_rate"])
        for row in figures["limits"]
    ]
    if figures["before"] is not None:
        before = limit_row(figures["before"], "before" if figures["written"] else "in the manifest")
        rows.append((before[: len(columns)], False))
    page = render_page(
        "threshold.html.jinja",
        {"sentence": _sentence},
        figures=figures,
        name=Path(figures["artifact"]).name,
        tiles=_tiles(figures),
        histogram=histogram_svg(good, defective, threshold["value"], trained),
        columns=columns,
        rows=rows,
        suspicious=[_card(image) for image in suspicious[:MOST_SHOWN]],
        missed=[_card(image) for image in missed[:MOST_SHOWN]],
    )
    write_page(path, page)


def _tiles(figures: Mapping[str, Any]) -> list[Tile]:
    threshold = figures["threshold"]
    seen = f"from {figures['good']} good images that the detector has not seen"
    tiles = [
        Tile("Threshold", f"{threshold['value']:.4g}", f"for {share(threshold['false_reject_rate'])} false rejects"),
        Tile("Expected", share(threshold["expected"]), "of new good parts are rejected"),
        Tile("At most", share(threshold["bound"]), f"with 95 % confidence, {seen}"),
    ]
    asked = next(row for row in figures["limits"] if row["false_reject_rate"] == threshold["false_reject_rate"])
    if figures["ng"]:
        detail = f"of the defects; with 95 % confidence at most {share(asked['missed_bound'])} of new ones"
        tiles.append(Tile("Missed", f"{asked['missed']} of {asked['ng']}", detail))
    return tiles


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _card(image: ScoredImage) -> Card:
    try:
        encoded = shrunk_data_uri(read_image(image.path, BIT_DEPTHS[-1]))
    except ImageError:
        encoded = None
    return Card(image.name, f"{image.score:.4g}", encoded)
