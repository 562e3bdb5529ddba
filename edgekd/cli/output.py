"""What commands print: tables and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edgekd.artifact import find_artifact, json_text, require_other_file, write_json
from edgekd.artifact import require_writable as require_writable
from edgekd.cli.text import printable_lines, unicode_content
from edgekd.errors import EdgekdError
from edgekd.verdicts.text import printable


class PlainConsole(Console):
    """A console whose text is safe to print, and drawn with what its stream can encode."""

    @property
    def encoding(self) -> str:
        """Of the stream that it prints to; rich would draw lines of tables on any."""
        return (getattr(self.file, "encoding", None) or "utf-8").lower()

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints as rich does, texts without what a terminal would obey."""
        super().print(*(printable_lines(each) if isinstance(each, str) else each for each in objects), **options)


# Messages along the way go to stderr; standard output holds the answer.
notes = PlainConsole(stderr=True, highlight=False, markup=False)
answer = PlainConsole(highlight=False, markup=False)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], text_columns: int = 1) -> None:
    """Prints a table.

    Args:
        title: Above it.
        columns: Their heads.
        rows: Cells, one for each column.
        text_columns: The first ones, which are aligned left; the others are aligned right, as numbers are.
    """
    table = Table(title=printable(title), title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(printable(column), justify="left" if index < text_columns else "right", no_wrap=index == 0)
    for row in rows:
        table.add_row(*(printable_lines(str(cell)) for cell in row))
    answer.print(table)


def write_json_to(path: Path | None, content: Any) -> None:
    """Writes JSON to a file, to standard output for "-", or nowhere for None; names in it become valid Unicode."""
    if path == Path("-"):
        # DEL is the one control that JSON leaves as it is.
        print(json_text(unicode_content(content)).replace("\x7f", "\\u007f"), end="", flush=True)
    elif path is not None:
        write_json(path, unicode_content(content))


def require_outputs(json: Path | None, html: Path | None, engine: Path | None = None) -> None:
    """Refuses, before minutes of measuring, what could not be written afterwards.

    Args:
        json, html: Files for the answer and the report; None for none.
        engine: What is measured, an artifact or a run; neither file may be written over it.

    Raises:
        EdgekdError: One cannot be written, or both are the same file.
    """
    for path in (json, html):
        require_writable(path)
        if engine is not None and path is not None and path != Path("-"):
            require_other_file(path, find_artifact(engine))
    if json is not None and html is not None and json.absolute() == html.absolute():
        raise EdgekdError(f"--json and --html both name {html}: give each a file of its own")
