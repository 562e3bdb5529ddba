"""Printed means of the papers' tables that are not the means of the rows printed with them."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from edgekd.papers.tables import FOLDER, read_table
from edgekd.resources import resource

FILE = "printed_mean_inconsistencies.json"


class Mistake(NamedTuple):
    """A printed mean that is not the mean of its rows.

    Attributes:
        cell: Its method, category and metric.
        printed: As the paper prints it.
        mean_of_rows: What the printed rows give, in the same unit.
    """

    cell: tuple[str, str, str]
    printed: str
    mean_of_rows: float


class _Form(NamedTuple):
    """A way in which the file names a cell, and the table, category and metric that it means."""

    pattern: str
    table: str
    category: str
    metric: str


FORMS = (
    _Form("HKT T3 (?P<method>.+) total", "hkt_table3_mvtec_image_auroc", "Avg. Total", "image_AUROC_percent"),
    _Form(
        "MHKD T2 (?P<dataset>MVTec AD|VisA) (?P<method>.+) (?P<part>image|pixel)",
        "mhkd_table2_visa_mvtec",
        "{dataset}/Mean",
        "{part}_AUROC_percent",
    ),
    _Form(
        r"(?P<table>\S+) (?P<method>\S+) (?P<metric>\S+) (?P<category>average .+)", "{table}", "{category}", "{metric}"
    ),
)
MEANS = r": mean of rows (?P<mean>[\d.]+) vs printed [\d.]+"


def table_mistakes(table: str) -> list[Mistake]:
    """The printed means of a table that are not the means of its rows.

    Args:
        table: The file's name in benchmarks/papers, without ".csv".

    Returns:
        In the order in which they were noted; empty where none is known.
    """
    sentences = json.loads(resource(FOLDER, FILE).read_text(encoding="utf-8"))
    decoded = [_decode(sentence) for sentence in sentences]
    printed = {(row["method"], row["category"], row["metric"]): row["value"] for row in _figures(table)}
    return [Mistake(cell, printed[cell], mean) for named, cell, mean in decoded if named == table]


def _figures(table: str) -> list[dict[str, str]]:
    """The rows of a table of one figure a row; none of a table of another form."""
    return [row for row in read_table(f"{table}.csv") if "value" in row]


def _decode(sentence: str) -> tuple[str, tuple[str, str, str], float]:
    """The table, the cell and the mean of the rows that a sentence of the file tells."""
    for form in FORMS:
        found = re.fullmatch(form.pattern + MEANS, sentence)
        if found:
            words = found.groupdict()
            cell = (words["method"], form.category.format(**words), form.metric.format(**words))
            return form.table.format(**words), cell, float(words["mean"])
    raise ValueError(f"{FILE} has a sentence of an unknown form: {sentence}")
