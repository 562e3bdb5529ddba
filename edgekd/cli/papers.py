"""Lists the papers' tables, or prints one; printed means that are not the means of their rows are marked."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekd.cli.arguments import add_json_argument
from edgekd.cli.output import answer, write_json_to
from edgekd.papers.misprints import Mistake, table_mistakes
from edgekd.papers.tables import TABLES, find_table, missing_tables, read_table

AXES = ("method", "category", "metric")
SENTENCES = ("flops_convention", "included", "note")  # Columns that say how to read a row's figures.
FEWEST_FIGURES = 10  # Of a table that is worth spreading out.
GAP = 2  # Characters between columns.
Rows = list[dict[str, str]]
Columns = Mapping[str, Sequence[str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", nargs="?", metavar="TABLE", help="the one to print (default: list them)")
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.table is None:
        _list(arguments.json)
    else:
        _print(arguments.table.removesuffix(".csv"), arguments.json)
    return 0


def _list(json: Path | None) -> None:
    tables = [
        {"table": name, "paper": paper, "content": content, "rows": len(read_table(f"{name}.csv"))}
        for name, (paper, content) in TABLES.items()
    ]
    write_json_to(json, tables)
    if json == Path("-"):
        return
    longest = max(map(len, TABLES))
    for paper in dict.fromkeys(paper for paper, _ in TABLES.values()):
        _say(paper)
        for table in tables:
            if table["paper"] == paper:
                _say(f"  {table['table']:{longest}}  {table['rows']:3} rows  {table['content']}")
    for sentence in missing_tables():
        _say(f"Missing: {sentence}.")
    _say("edgekd papers TABLE prints one, every figure as the paper prints it.")


def _print(name: str, json: Path | None) -> None:
    rows, mistakes = find_table(name), table_mistakes(name)
    paper, content = TABLES[name]
    figures = {"table": name, "paper": paper, "content": content, "rows": rows}
    write_json_to(json, figures | {"mistakes": [_as_json(mistake) for mistake in mistakes]})
    if json == Path("-"):
        return
    _say(f"{paper}, {content}")
    if tuple(rows[0]) == (*AXES, "value") and len(rows) >= FEWEST_FIGURES:
        _print_spread(rows, mistakes)
    else:
        _print_columns({name: [row[name] for row in rows] for name in rows[0] if name not in SENTENCES})
        for row in rows:
            said = "; ".join(row[name] for name in SENTENCES if row.get(name))
            if said:
                _say(f"{row['method']}: {said}")
    for mistake in mistakes:
        instead = f"printed {mistake.printed}, the mean of the printed rows is {mistake.mean_of_rows:.2f}"
        _say(f"* {', '.join(mistake.cell)}: {instead}")


def _print_spread(rows: Rows, mistakes: Sequence[Mistake]) -> None:
    """Prints figures in rows and columns: where three things vary, a table for each metric."""
    varying = [axis for axis in AXES if len({row[axis] for row in rows}) > 1]
    if len(varying) == len(AXES):
        for metric in dict.fromkeys(row["metric"] for row in rows):
            _say(metric)
            _print_grid([row for row in rows if row["metric"] == metric], AXES[:2], mistakes)
        return
    _say(", ".join(rows[0][axis] for axis in AXES if axis not in varying))
    _print_grid(rows, varying, mistakes)


def _print_grid(rows: Rows, axes: Sequence[str], mistakes: Sequence[Mistake]) -> None:
    """Prints figures along two axes, the longer one downward, in as many parts as the console's width needs."""
    down, across = sorted(axes, key=lambda axis: -len({row[axis] for row in rows}))
    labels = list(dict.fromkeys(row[down] for row in rows))
    names = dict.fromkeys(row[across] for row in rows)
    cells = {(row[down], row[across]): _cell(row, mistakes) for row in rows}
    columns = {name: [cells.get((label, name), "") for label in labels] for name in names}
    room = answer.width - max(map(len, [down, *labels]))
    for group in _that_fit({name: _width(name, cells) + GAP for name, cells in columns.items()}, room):
        _print_columns({down: labels} | {name: columns[name] for name in group})


def _print_columns(columns: Columns) -> None:
    """Prints columns side by side, the first one aligned left, the others right."""
    widths = [_width(name, cells) for name, cells in columns.items()]
    for first, *others in zip(*([name, *cells] for name, cells in columns.items()), strict=True):
        figures = [f"{cell:>{GAP + width}}" for cell, width in zip(others, widths[1:], strict=True)]
        _say(f"{first:{widths[0]}}{''.join(figures)}".rstrip())
    _say("")


def _width(name: str, cells: Sequence[str]) -> int:
    """Of a column, in characters."""
    return max(map(len, [name, *cells]))


def _that_fit(widths: Mapping[str, int], room: int) -> Iterator[list[str]]:
    """Names in groups, each as wide as there is room."""
    group: list[str] = []
    for name, width in widths.items():
        if group and sum(widths[other] for other in group) + width > room:
            yield group
            group = []
        group.append(name)
    yield group


def _cell(row: dict[str, str], mistakes: Sequence[Mistake]) -> str:
    """A figure; every one of a table with mistakes leaves room for the mark, so that the digits stand in line."""
    if not mistakes:
        return row["value"]
    marked = any(mistake.cell == tuple(row[axis] for axis in AXES) for mistake in mistakes)
    return row["value"] + ("*" if marked else " ")


def _as_json(mistake: Mistake) -> dict[str, Any]:
    cell = dict(zip(AXES, mistake.cell, strict=True))
    return cell | {"printed": mistake.printed, "mean_of_rows": mistake.mean_of_rows}


def _say(line: str) -> None:
    answer.print(line, soft_wrap=True)
