"""Misprints: printed means of the papers' tables that are not the means of the rows printed with them."""

from __future__ import annotations

import functools
import json
import re
from typing import NamedTuple

import polars as pl

from edgekd.papers.tables import FOLDER, read_table, table_name
from edgekd.resources import resource

FILE = "printed_mean_inconsistencies.json"
CELL = ("method", "category", "metric")  # The columns that name a figure of a table.


class _Form(NamedTuple):
    """A form in which the file names a cell, and the table, category and metric that it stands for."""

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


def misprints(table: str) -> pl.DataFrame:
    """The printed means of a table that are not the means of its rows.

    Args:
        table: Its name, one of `edgekd.papers.TABLES`, with or without ".csv".

    Returns:
        A row a misprint, in the order in which they were noted: `method`, `category` and `metric`, which name the cell;
        the mean as `printed`, as text; and the `mean_of_rows` in the same unit. No rows where none is known.

    Raises:
        EdgekdError: There is no such table.
    """
    name = table_name(table)
    printed = read_table(name)
    noted = _noted().filter(table=name).drop("table")
    if "value" not in printed.columns:  # A table of sizes and costs, which has no means.
        return noted.select(*CELL, pl.lit("").alias("printed"), "mean_of_rows")
    found = noted.join(printed, on=CELL, how="left", maintain_order="left")
    return found.select(*CELL, pl.col("value").alias("printed"), "mean_of_rows")


@functools.cache
def _noted() -> pl.DataFrame:
    """The sentences of the file as a table: the table, the cell and the mean of its rows."""
    sentences = json.loads(resource(FOLDER, FILE).read_text(encoding="utf-8"))
    return pl.DataFrame(
        [_decode(sentence) for sentence in sentences], schema=["table", *CELL, "mean_of_rows"], orient="row"
    )


def _decode(sentence: str) -> tuple[str, str, str, str, float]:
    """The table, the cell and the mean of the rows in a sentence of the file."""
    for form in FORMS:
        found = re.fullmatch(form.pattern + MEANS, sentence)
        if found:
            words = found.groupdict()
            table, category, metric = (part.format(**words) for part in (form.table, form.category, form.metric))
            return table, words["method"], category, metric, float(words["mean"])
    raise ValueError(f"{FILE} has a sentence of an unknown form: {sentence}")
