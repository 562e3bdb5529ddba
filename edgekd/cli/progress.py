"""Progress on the terminal: a bar for each step; on no terminal, a line now and then with the time left."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from edgekd.cli.output import notes
from edgekd.cli.text import one_line
from edgekd.progress import Progress as ProgressCallback
from edgekd.progress import silent

LINES = 20  # At most so many for a step, where there is no terminal.
BARS = 8  # At most so many that are finished: a benchmark has hundreds of steps, and a terminal no room for them.


@contextmanager
def show_progress() -> Iterator[ProgressCallback]:
    """A progress callback that draws bars on stderr; with --quiet it shows nothing.

    Yields:
        The callback, for `progress=` of a workflow.
    """
    if not logging.getLogger("edgekd").isEnabledFor(logging.INFO):
        yield silent
    elif not notes.is_terminal:
        yield _printed_lines()
    else:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=notes) as drawn:
            yield _drawn_bars(drawn)


def _drawn_bars(drawn: Progress) -> ProgressCallback:
    tasks: dict[str, TaskID] = {}

    def update(step: str, done: int, total: int | None = None, loss: float | None = None) -> None:
        shown_loss = "" if loss is None else f"loss {loss:.4f}"
        if step not in tasks:
            tasks[step] = drawn.add_task(one_line(step), total=total, loss=shown_loss)
            _hide_the_oldest(drawn)
        drawn.update(tasks[step], completed=done, total=total, loss=shown_loss)

    return update


def _printed_lines() -> ProgressCallback:
    """A callback that prints a line now and then."""
    started: dict[str, tuple[float, int]] = {}  # When, and with how many done: what is resumed does not start at 0.
    printed: dict[str, int] = {}

    def update(step: str, done: int, total: int | None = None, loss: float | None = None) -> None:
        if not total:
            return
        now, part = time.monotonic(), done * LINES // total
        begun, first = started.setdefault(step, (now, done))
        if done and part != printed.get(step, 0):
            printed[step] = part
            left = (now - begun) / (done - first) * (total - done) if first < done < total else None
            shown_loss = "" if loss is None else f"loss {loss:.4f}"
            notes.print(_line(step, done, total, shown_loss, left), soft_wrap=True)

    return update


def _hide_the_oldest(drawn: Progress) -> None:
    """Hides finished bars, but for the latest."""
    for task in [task for task in drawn.tasks if task.finished][:-BARS]:
        drawn.update(task.id, visible=False)


def _line(step: str, done: int, total: int, loss: str, left: float | None) -> str:
    if done == total == 1:
        return f"{one_line(step)}: done"
    parts = [f"{one_line(step)}: {done} of {total}", loss, "" if left is None else f"{left:.0f} s left"]
    return ", ".join(part for part in parts if part)
