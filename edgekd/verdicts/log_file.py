"""A verdict log that is open for writing: whole transactions, errors in words, a clock that never runs backwards."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from edgekd.errors import EdgekdError
from edgekd.verdicts.log_schema import BUSY_SECONDS, Synchronous, is_full, log_error, open_for_writing

# Of the write-ahead file; the more there are, the fewer verdicts fit before the disk is full.
PAGES_ON_A_FULL_DISK = 16
PATIENCE_MS = 200
Made = TypeVar("Made")
Opened = TypeVar("Opened", bound="LogFile")


class LogFile:
    """The file of a log, for those who add rows to it. Use it as a context manager, or close it; one thread uses it.

    Args:
        path: The file; it is made where there is none, with its folder.
        synchronous: NORMAL, or FULL for rows that outlast a power cut: a few milliseconds a transaction.

    Attributes:
        path: The file.
        clock: What rows are stamped with.

    Raises:
        EdgekdError: It cannot be written, is no log of verdicts, or is of a newer version.
        MachineError: The disk is full.
    """

    def __init__(self, path: Path, synchronous: Synchronous = "NORMAL") -> None:
        self.path = path
        self._connection = open_for_writing(path, synchronous)
        self._cleanup = contextlib.ExitStack()
        try:
            self.clock = Clock(self._last_ms())
        except BaseException:
            self._connection.close()
            raise

    def _last_ms(self) -> int:
        """When the last row of each kind was written; 0 in a new log."""
        tables = ("session", "verdict", "event")
        rows = [self.execute(f"SELECT time_ms FROM {table} ORDER BY id DESC LIMIT 1").fetchone() for table in tables]
        return max((row[0] for row in rows if row is not None), default=0)

    def execute(self, statement: str, row: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Runs a statement; outside of `atomically` it is a transaction of its own.

        Raises:
            EdgekdError: It failed, in words; MachineError where the disk is full or does not answer.
        """
        try:
            return self._connection.execute(statement, row)
        except sqlite3.Error as error:
            raise log_error(self.path, error) from error

    def insert(self, statement: str, row: Sequence[Any]) -> int:
        """Adds a row; it is in the file when this returns.

        Returns:
            Its id.

        Raises:
            MachineError: The disk is full or does not answer.
        """
        if self._connection.in_transaction:  # Which is repeated as a whole.
            return self.execute(statement, row).lastrowid or 0
        return self._with_room(lambda: self.execute(statement, row).lastrowid or 0)

    def atomically(self, work: Callable[[], Made]) -> Made:
        """Runs statements that are all in the file when this returns, or none of them.

        Args:
            work: Executes them; it may be called twice.

        Raises:
            MachineError: The disk is full or does not answer.
        """
        if self._connection.in_transaction:  # Of which it is a part.
            return work()
        return self._with_room(lambda: self._transaction(work))

    def read(self, query: Callable[[sqlite3.Connection], Made]) -> Made:
        """Runs a function that reads.

        Raises:
            EdgekdError: It failed, in words.
        """
        try:
            return query(self._connection)
        except sqlite3.Error as error:
            raise log_error(self.path, error) from error

    def limit(self, is_over: Callable[[], bool] | None, every: int = 10_000) -> None:
        """Ends a statement that takes too long with the error "interrupted".

        Args:
            is_over: Asked now and then; None for no limit.
            every: How many instructions of SQLite's machine there are between.
        """
        self._connection.set_progress_handler(is_over, every)

    def save_room(self) -> None:
        """Keeps the write-ahead file small from now on, on a disk that is nearly full: it may take 4 MB otherwise."""
        self._make_room()
        self.execute(f"PRAGMA wal_autocheckpoint = {PAGES_ON_A_FULL_DISK}")

    def on_close(self, callback: Callable[[], object]) -> None:
        """Has something else closed after the file."""
        self._cleanup.callback(callback)

    def close(self) -> None:
        """Closes the file. Closing twice does no harm."""
        with contextlib.suppress(sqlite3.Error):  # On a full disk the rows stay in the file beside it, and are read.
            self._connection.close()
        self._cleanup.close()

    def _with_room(self, work: Callable[[], Made]) -> Made:
        try:
            return work()
        except EdgekdError as error:
            if not (isinstance(error.__cause__, sqlite3.Error) and is_full(error.__cause__)):
                raise
        self._make_room()
        return work()

    def _make_room(self) -> None:
        """Moves the rows of the write-ahead file into the database: the file may be begun anew, and needs no more."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute(f"PRAGMA busy_timeout = {PATIENCE_MS}")  # With those who read meanwhile.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.execute(f"PRAGMA busy_timeout = {int(1000 * BUSY_SECONDS)}")

    def _transaction(self, work: Callable[[], Made]) -> Made:
        self.execute("BEGIN IMMEDIATE")
        try:
            made = work()
            self.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # On a full disk SQLite may have done so itself.
                self._connection.execute("ROLLBACK")
            raise
        return made

    def __enter__(self: Opened) -> Opened:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Clock:
    """The time in UTC, which never runs backwards: where the machine's clock is set back, it goes on by itself.

    Args:
        last_ms: No time is before it, in milliseconds since 1970.
    """

    def __init__(self, last_ms: int = 0) -> None:
        self._base_ms, self._at = last_ms, time.monotonic()

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        elapsed = time.monotonic()
        expected = self._base_ms + int(1000 * (elapsed - self._at))
        now = time.time_ns() // 1_000_000
        if now >= expected:
            self._base_ms, self._at = now, elapsed
        return max(now, expected)
