"""A table of a paper laid out for reading: figures in rows and columns, misprints marked, remarks apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from edgekd.papers.errata import CELL, misprints
from edgekd.papers.tables import table

REMARKS = ("flops_convention", "included", "note")  # Columns of words: how a row's figures were counted.
FEWEST_FIGURES = 10  # Of a table that is worth pivoting.
MARK = "*"


class Grid(NamedTuple):
    """Figures in rows and columns.

    Attributes:
        title: What all of its figures have in common; empty for a table that stands as it is, not pivoted.
        figures: Text; the first column names the rows. Cells without a figure are empty.
    """

    title: str
    figures: pl.DataFrame


def grids(name: str) -> list[Grid]:
    """A table as a reader wants it: pivoted where there are many figures of one kind, otherwise as it stands.

    Args:
        name: One of `edgekd.papers.TABLES`, with or without ".csv".

    Returns:
        One grid, or one for each metric where methods, categories and metrics all vary. Misprinted figures end in "*",
        and all others of such a table in a blank, so that the digits stand in line.

    Raises:
        EdgekdError: There is no such table.
    """
    rows = table(name)
    if tuple(rows.columns) != (*CELL, "value") or rows.height < FEWEST_FIGURES:
        return [Grid("", rows.drop(REMARKS, strict=False))]
    marked = _marked(rows, misprints(name))
    varying = [axis for axis in CELL if marked[axis].n_unique() > 1]
    if len(varying) == len(CELL):
        metrics = marked.partition_by("metric", maintain_order=True)
        return [Grid(part["metric"][0], _pivoted(part, CELL[:2])) for part in metrics]
    common = ", ".join(marked[axis][0] for axis in CELL if axis not in varying)
    return [Grid(common, _pivoted(marked, varying))]


def remarks(name: str) -> list[str]:
    """How the figures of a table's rows were counted, a line for each method of which the table says so.

    Args:
        name: One of `edgekd.papers.TABLES`, with or without ".csv".
    """
    rows = table(name)
    columns = [column for column in REMARKS if column in rows.columns]
    lines = ((row["method"], [row[column] for column in columns if row[column]]) for row in rows.iter_rows(named=True))
    return [f"{method}: {'; '.join(words)}" for method, words in lines if words]


def _marked(rows: pl.DataFrame, wrong: pl.DataFrame) -> pl.DataFrame:
    """The rows with misprinted values marked."""
    if wrong.is_empty():
        return rows
    marks = wrong.select(*CELL, pl.lit(MARK).alias("mark"))
    with_marks = rows.join(marks, on=CELL, how="left", maintain_order="left")
    return with_marks.select(*CELL, pl.col("value") + pl.col("mark").fill_null(" "))


def _pivoted(rows: pl.DataFrame, axes: Sequence[str]) -> pl.DataFrame:
    """The values along two axes, the longer one downward."""
    down, across = sorted(axes, key=lambda axis: -rows[axis].n_unique())
    return rows.pivot(on=across, index=down, values="value").fill_null("")
