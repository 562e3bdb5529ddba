"""The verdict log as a database: how the file is opened, by which version, and what its errors mean.

An SQLite database in write-ahead mode; its tables are in `edgekd.verdicts.log_migrations`.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Literal

from edgekd.artifact import write_error
from edgekd.errors import EdgekdError, MachineError
from edgekd.verdicts.log_migrations import MIGRATIONS as MIGRATIONS

APPLICATION_ID = 0x65644B44  # "edKD": what `file` and we tell this database by.
BUSY_SECONDS = 10.0  # How long to wait for another process that writes into the same log.
Synchronous = Literal["NORMAL", "FULL"]


class DamagedLogError(EdgekdError):
    """A file that is another database, no database, or a log that is not whole any more."""


def open_for_writing(path: Path, synchronous: Synchronous) -> sqlite3.Connection:
    """Opens a log to add rows, makes it where there is none, and brings an older one to this version.

    Args:
        path: The file; its folder is made.
        synchronous: NORMAL: a row outlasts the process. FULL: it outlasts a power cut too, a few milliseconds a row.

    Raises:
        EdgekdError: It cannot be written, is no log of verdicts, or is of a newer version.
        MachineError: The disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(path, error) from error
    connection: sqlite3.Connection | None = None
    try:
        # Each statement is a transaction of its own, and so a row is in the log when `execute` returns.
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        require_known(connection, path)
        _write_ahead(connection)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        migrate(connection)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise log_error(path, error) from error
        raise
    return connection


def require_known(connection: sqlite3.Connection, path: Path) -> int:
    """Refuses a database that is no log of verdicts, or one that this edgekd does not know yet.

    Returns:
        Its version; 0 for a new file.

    Raises:
        EdgekdError: It is refused.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    made = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
    if made and application != APPLICATION_ID:
        raise DamagedLogError(
            f"{path} is not a log of verdicts but another database: move it away or name another folder"
        )
    if version > len(MIGRATIONS):
        raise EdgekdError(
            f"{path} has version {version} of the verdict log, this edgekd knows {len(MIGRATIONS)}: update edgekd"
        )
    return version


def migrate(connection: sqlite3.Connection) -> None:
    """Brings a log to this version, completely or not at all; what is in it stays.

    Args:
        connection: Open for writing.
    """
    if connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been faster.
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {max(version, len(MIGRATIONS))}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    # A disk that fills must have room to empty the write-ahead file: the tables are most of a new log.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switches to write-ahead mode, where readers and a writer do not wait for each other.

    Where the file system does not allow it, such as a network share, the database stays in its own mode.
    """
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:  # The switch itself does not wait for others.
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.05)


def is_full(error: sqlite3.Error) -> bool:
    """Whether an error of SQLite means that the disk is full."""
    return "disk is full" in str(error)


def log_error(path: Path, error: sqlite3.Error) -> EdgekdError:
    """The error for what SQLite reports of a log."""
    what = str(error)
    if is_full(error):
        return MachineError(
            f"no room left on the disk for {path}: every verdict that was given is in it; free some and start again"
        )
    if "locked" in what or "busy" in what:
        return MachineError(f"{path} is locked by another program: close it and start again")
    if isinstance(error, sqlite3.OperationalError) and ("unable to open" in what or "readonly" in what):
        return EdgekdError(f"cannot write {path}: it or its folder may not be written; name another folder")
    if "I/O error" in what:
        return MachineError(f"cannot write {path}: {what}; every verdict that was given is in it: check the disk")
    if isinstance(error, sqlite3.IntegrityError):
        return EdgekdError(f"{path} refuses a row: {what}")
    return DamagedLogError(f"{path} is not a whole log of verdicts ({what}): move it away and start again")
