"""What commands print: tables, progress, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from edgekd.artifact import find_artifact, require_other_file, write_json
from edgekd.artifact import require_writable as require_writable
from edgekd.errors import EdgekdError

notes = Console(
    stderr=True, highlight=False, markup=False
)  # What is said along the way; standard output holds the answer.
answer = Console(highlight=False, markup=False)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table; every column after the first is aligned right."""
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=index == 0)
    for row in rows:
        table.add_row(*map(str, row))
    answer.print(table)


def write_json_to(path: Path | None, content: Any) -> None:
    """Writes JSON to a file, to standard output for "-", or nowhere for None."""
    if path == Path("-"):
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    elif path is not None:
        write_json(path, content)


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


@contextmanager
def steps_progress(purpose: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar of work in parts; on no terminal, a line where a part ends.

    Args:
        purpose: What is being done.

    Yields:
        To be called with the part, the steps done of it and its steps in all.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes, disable=not notes.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def on_step(part: str, done: int, of: int) -> None:
            if part not in tasks:
                tasks[part] = progress.add_task(f"{purpose}: {part}", total=of)
            progress.update(tasks[part], completed=done)
            if not notes.is_terminal and done == of:
                notes.print(f"{purpose}: {of} {part} tried")

        yield on_step
