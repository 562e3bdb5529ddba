"""The verdict log as a database: its tables, their versions, and how the file is opened.

An SQLite database in write-ahead mode. Rows are added and never changed: triggers refuse to update, delete or replace
them, whichever program tries. What changes after a verdict was given, its images, stands in a table of its own.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Literal

from edgekd.artifact import write_error
from edgekd.errors import EdgekdError, MachineError

APPLICATION_ID = 0x65644B44  # "edKD": what `file` and we tell this database by.
BUSY_SECONDS = 10.0  # How long to wait for another process that writes into the same log.
Synchronous = Literal["NORMAL", "FULL"]


def _append_only(table: str) -> tuple[str, ...]:
    refuse = f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are never changed'); END"
    return (
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        # INSERT OR REPLACE goes around the others, unless a connection asks for recursive triggers.
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id) {refuse}",
    )


# What brings a log from each version to the next; a new one goes through all of them. Add to the end, change nothing.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE session (
            id INTEGER PRIMARY KEY,
            time_ms INTEGER NOT NULL,
            source TEXT NOT NULL,
            artifact TEXT NOT NULL,
            artifact_sha256 TEXT NOT NULL,
            system TEXT,
            good_scores TEXT,
            edgekd_version TEXT NOT NULL,
            station TEXT NOT NULL
        )""",
        """CREATE TABLE verdict (
            id INTEGER PRIMARY KEY,
            time_ms INTEGER NOT NULL,
            session_id INTEGER NOT NULL REFERENCES session (id),
            name TEXT NOT NULL,
            name_bytes BLOB,
            part_id TEXT,
            lot TEXT,
            recipe TEXT,
            operator TEXT,
            score REAL,
            severity REAL,
            threshold REAL,
            verdict TEXT NOT NULL CHECK (verdict IN ('OK', 'NG', 'ERROR')),
            error TEXT,
            regions TEXT,
            more_regions INTEGER NOT NULL,
            checks TEXT,
            notice TEXT,
            dropped INTEGER NOT NULL,
            pre_ms REAL,
            inference_ms REAL,
            post_ms REAL,
            end_to_end_ms REAL
        )""",
        """CREATE TABLE image (
            id INTEGER PRIMARY KEY,
            verdict_id INTEGER NOT NULL REFERENCES verdict (id),
            kind TEXT NOT NULL CHECK (kind IN ('heat_map', 'original')),
            path TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            time_ms INTEGER NOT NULL,
            rank INTEGER NOT NULL,
            removed_ms INTEGER
        )""",
        """CREATE TABLE event (
            id INTEGER PRIMARY KEY,
            time_ms INTEGER NOT NULL,
            session_id INTEGER REFERENCES session (id),
            kind TEXT NOT NULL,
            count INTEGER NOT NULL,
            text TEXT NOT NULL
        )""",
        "CREATE INDEX image_of_verdict ON image (verdict_id)",
        "CREATE INDEX image_kept ON image (rank, id) WHERE removed_ms IS NULL",
        *_append_only("session"),
        *_append_only("verdict"),
        *_append_only("event"),
        """CREATE TRIGGER image_only_removed BEFORE UPDATE ON image
            WHEN OLD.removed_ms IS NOT NULL OR (OLD.id, OLD.verdict_id, OLD.kind, OLD.path, OLD.bytes, OLD.time_ms)
                IS NOT (NEW.id, NEW.verdict_id, NEW.kind, NEW.path, NEW.bytes, NEW.time_ms)
            BEGIN SELECT RAISE(ABORT, 'an image can only be removed'); END""",
        """CREATE TRIGGER image_no_delete BEFORE DELETE ON image
            BEGIN SELECT RAISE(ABORT, 'rows of image are never deleted'); END""",
        """CREATE VIEW verdicts AS SELECT
            verdict.id, verdict.time_ms,
            strftime('%Y-%m-%dT%H:%M:%fZ', verdict.time_ms / 1000.0, 'unixepoch') AS time,
            session.source, verdict.name, verdict.name_bytes, part_id, lot, recipe, operator,
            score, severity, threshold, verdict, error, regions, more_regions, checks, notice, dropped,
            pre_ms, inference_ms, post_ms, end_to_end_ms,
            (SELECT path FROM image WHERE verdict_id = verdict.id AND kind = 'heat_map' AND removed_ms IS NULL)
                AS heat_map,
            (SELECT path FROM image WHERE verdict_id = verdict.id AND kind = 'original' AND removed_ms IS NULL)
                AS original,
            session.artifact, session.artifact_sha256, session.system, session.edgekd_version, session.station,
            verdict.session_id
            FROM verdict JOIN session ON session.id = verdict.session_id""",
    ),
)


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
        raise EdgekdError(f"{path} is not a log of verdicts but another database: move it away or name another folder")
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
    return EdgekdError(f"{path} is not a whole log of verdicts ({what}): move it away and start again")
