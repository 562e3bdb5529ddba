"""The command `edgekd papers`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.cli.options import JsonFile

if TYPE_CHECKING:
    import polars as pl

GAP = 2  # Characters between columns.
STANDARD_OUTPUT = Path("-")

app = typer.Typer(add_completion=False)


@app.command()
def papers(
    table: Annotated[str | None, typer.Argument(metavar="TABLE", help="Table to print. Default: list them.")] = None,
    json: JsonFile = None,
) -> None:
    """List the tables of the systems' papers, or print one.

    Every figure stands as the paper prints it. Printed means that are not the means of their rows are marked with *.
    """
    if table is None:
        _list(json)
    else:
        _show(table, json)


def _list(json: Path | None) -> None:
    from edgekd.cli.output import write_json_to
    from edgekd.papers import list_tables, missing_tables

    tables = list_tables()
    write_json_to(json, tables.to_dicts())
    if json == STANDARD_OUTPUT:
        return
    longest = max(map(len, tables["table"]))
    for of_paper in tables.partition_by("paper", maintain_order=True):
        _line(of_paper["paper"][0])
        for row in of_paper.iter_rows(named=True):
            _line(f"  {row['table']:{longest}}  {row['rows']:3} rows  {row['content']}")
    for sentence in missing_tables():
        _line(f"Missing: {sentence}.")
    _line("'edgekd papers TABLE' prints one, every figure as the paper prints it.")


def _show(name: str, json: Path | None) -> None:
    from edgekd.cli.output import answer, write_json_to
    from edgekd.papers import TABLES, misprints, table
    from edgekd.papers.layout import grids, remarks
    from edgekd.papers.tables import table_name

    name = table_name(name)
    wrong, (paper, content) = misprints(name), TABLES[name]
    figures = {"table": name, "paper": paper, "content": content, "rows": table(name).to_dicts()}
    write_json_to(json, figures | {"misprints": wrong.to_dicts()})
    if json == STANDARD_OUTPUT:
        return
    _line(f"{paper}, {content}")
    for grid in grids(name):
        if not grid.title:
            _print_columns(grid.figures)
            continue
        _line(grid.title)
        for part in _parts_that_fit(grid.figures, answer.width):
            _print_columns(part)
    for line in remarks(name):
        _line(line)
    for row in wrong.iter_rows(named=True):
        cell = ", ".join((row["method"], row["category"], row["metric"]))
        _line(f"* {cell}: printed {row['printed']}, the mean of the printed rows is {row['mean_of_rows']:.2f}")


def _print_columns(figures: pl.DataFrame) -> None:
    """Prints columns side by side, the first one aligned left, the others right."""
    widths = list(_widths(figures).values())
    for first, *others in (figures.columns, *figures.iter_rows()):
        cells = [f"{cell:>{GAP + width}}" for cell, width in zip(others, widths[1:], strict=True)]
        _line(f"{first:{widths[0]}}{''.join(cells)}".rstrip())
    _line("")


def _parts_that_fit(figures: pl.DataFrame, width: int) -> Iterator[pl.DataFrame]:
    """A table in parts as wide as the console, each of them with the first column, which names the rows."""
    widths = _widths(figures)
    label = figures.columns[0]
    room = width - widths.pop(label)
    for group in _groups_that_fit({name: GAP + of_column for name, of_column in widths.items()}, room):
        yield figures.select(label, *group)


def _groups_that_fit(widths: Mapping[str, int], room: int) -> Iterator[list[str]]:
    """Names in groups, each as wide as there is room."""
    group: list[str] = []
    for name, width in widths.items():
        if group and sum(widths[other] for other in group) + width > room:
            yield group
            group = []
        group.append(name)
    yield group


def _widths(figures: pl.DataFrame) -> dict[str, int]:
    """The width of each column with its name, in characters."""
    return {name: max(map(len, [name, *figures[name]])) for name in figures.columns}


def _line(text: str) -> None:
    from edgekd.cli.output import answer

    answer.print(text, soft_wrap=True)
