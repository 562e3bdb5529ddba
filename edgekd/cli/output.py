"""What commands print: tables, progress, JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from edgekd.artifact import write_json
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


def require_outputs(json: Path | None, html: Path | None) -> None:
    """Refuses, before minutes of measuring, what could not be written afterwards.

    Args:
        json, html: Files for figures and report; None for none.

    Raises:
        EdgekdError: One cannot be written, or both are the same file.
    """
    for path in (json, html):
        require_writable(path)
    if json is not None and html is not None and json.absolute() == html.absolute():
        raise EdgekdError(f"--json and --html both name {html}: give each a file of its own")


def require_writable(path: Path | None) -> None:
    """Refuses a place that cannot be written, before the work whose figures shall stand there.

    Args:
        path: Of a file; None and "-" are none.

    Raises:
        EdgekdError: It is a folder, or its folder cannot be written or made.
    """
    if path is None or path == Path("-"):
        return
    if path.is_dir():
        raise EdgekdError(f"cannot write {path}: it is a folder, give the name of a file")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise EdgekdError(f"cannot write {path}: {folder} is no folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise EdgekdError(f"cannot write {path}: the folder {folder} is not yours to write")


@contextmanager
def download_progress(purpose: str) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar of a download.

    Args:
        purpose: What is downloaded.

    Yields:
        To be called with the bytes there, and in all where that is known.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=notes, disable=not notes.is_terminal) as progress:
        task = progress.add_task(purpose, total=None)
        yield lambda there, total: progress.update(task, completed=there, total=total)


@contextmanager
def training_progress(purpose: str, iterations: int) -> Iterator[Callable[[int, float], None]]:
    """A progress bar with the loss and the time left; on no terminal, a line every twentieth of the way.

    Args:
        purpose: What is being done.
        iterations: In all.

    Yields:
        To be called with the iterations done and the loss.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    last_line = -1
    with Progress(*columns, console=notes, disable=not notes.is_terminal) as progress:
        task = progress.add_task(purpose, total=iterations, loss=float("nan"))

        def on_step(done: int, loss: float) -> None:
            nonlocal last_line
            progress.update(task, completed=done, loss=loss)
            if not notes.is_terminal and (done * 20 // iterations != last_line or done == iterations):
                last_line = done * 20 // iterations
                notes.print(f"{purpose}: {done} of {iterations}, loss {loss:.4f}")

        yield on_step


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
