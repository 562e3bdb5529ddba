"""Evaluations of many results: one at a time, with a limit, on a connection of their own.

What others read from the record meanwhile does not wait for them.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edgekd.errors import MachineError
from edgekd.verdicts.log_reading import LogReader

Read = TypeVar("Read")
SECONDS = 15.0  # Of this thread's own time: others may be busy, too.
PATIENCE_S = 10.0  # For the evaluation of somebody else.
INSTRUCTIONS = 20_000  # Of SQLite's machine, between looks at the clock.
_one_at_a_time = threading.Lock()


def evaluate(path: Path, query: Callable[[sqlite3.Connection], Read], seconds: float = SECONDS) -> Read:
    """Runs a function that reads much.

    Args:
        path: The record.
        query: Reads from it.
        seconds: How long it may compute.

    Raises:
        MachineError: It takes too long, or that of somebody else does.
        EdgekdError: The record cannot be read.
    """
    if not _one_at_a_time.acquire(timeout=PATIENCE_S):
        raise MachineError("Somebody else's evaluation is still running: try again in a moment.")
    try:
        with LogReader(path) as log:
            return log.read(lambda connection: _limited(connection, query, seconds))
    finally:
        _one_at_a_time.release()


def _limited(connection: sqlite3.Connection, query: Callable[[sqlite3.Connection], Read], seconds: float) -> Read:
    end = time.thread_time() + seconds
    connection.set_progress_handler(lambda: time.thread_time() > end, INSTRUCTIONS)
    try:
        return query(connection)
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        raise MachineError("There are too many results to evaluate in time: choose a shorter time.") from error
