"""Opens a station's record: what is damaged is refused and kept, what a crash left open is closed as ERROR."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from edgekd.artifact import write_beside, write_error
from edgekd.errors import EdgekdError, MachineError
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.record.record import CLEAN_STOP, Record, add_audit, set_meta
from edgekd.station.record.recovery import close_open_parts
from edgekd.verdicts import audit
from edgekd.verdicts.log_file import LogFile
from edgekd.verdicts.log_schema import DamagedLogError, log_error
from edgekd.verdicts.text import printable

logger = logging.getLogger(__name__)

LOCK_FILE = "record.lock"
MARKER_FILE = "record.id"  # Holds which database belongs here, so that none is silently replaced by a new one.
CHECK_EVERY = 10_000  # Instructions of SQLite's machine.
CHECK_SECONDS = 20.0  # At most, for the pages of the database at a start; what SQLite reads later it checks again.
# Of the write-ahead file, before an answer has to move them; `Record.checkpoint` does so before, while nobody waits.
MOST_PAGES = 8000
SUFFIXES = ("", "-wal", "-shm")


@dataclass(frozen=True)
class Found:
    """What a start found on record.

    Attributes:
        boot_id: Rises by one with each start.
        first: Whether there was no record before.
        clean: Whether the last run ended cleanly, and was not killed.
        open_parts: Parts that were being judged when it ended; they are ERROR now.
        unread: Answers that nobody had acknowledged by then.
        audit: What is wrong with the chain of the audit trail; "" where it is whole.
    """

    boot_id: int
    first: bool
    clean: bool
    open_parts: int
    unread: int
    audit: str


def open_record(data: Path, edgekd_version: str) -> tuple[Record, Found]:
    """Opens the record of a folder for its one writer, and makes it in a folder that has none.

    Args:
        data: The station's data folder.
        edgekd_version: Of the package.

    Returns:
        The record, and what was found.

    Raises:
        StationError: ROW_NOT_WRITTEN: it is damaged or missing; where the copy is that was kept, and what to do.
        MachineError: The disk is full, or another program holds it.
        EdgekdError: It is of a newer edgekd, or may not be written.
    """
    path = data / VERDICTS_FILE
    _require_present(path)
    unlock = _lock(data)
    try:
        log = LogFile(path, "FULL")
    except BaseException as error:
        unlock()
        if isinstance(error, DamagedLogError):
            raise _refusal(path, str(error)) from error
        raise
    log.on_close(unlock)
    try:
        log.execute("PRAGMA recursive_triggers = ON")
        log.execute(f"PRAGMA wal_autocheckpoint = {MOST_PAGES}")
        _require_whole(log)
        found = _begin(log)
        _mark(log, path)
    except sqlite3.Error as error:
        log.close()
        raise _refusal(path, str(log_error(path, error))) from error
    except DamagedLogError as error:
        refusal = _refusal(path, str(error))
        log.close()
        raise refusal from error
    except BaseException:
        log.close()
        raise
    return Record(log, found.boot_id, edgekd_version), found


def note_change(
    data: Path, who: str, role: str, address: str, action: str, subject: str, old: str, new: str, why: str
) -> None:
    """Puts a change that another program made on record, such as a released recipe, beside a station that runs.

    Args:
        data: The station's data folder; the others are those of `Record.audit`.

    Raises:
        EdgekdError: The record is damaged, of a newer edgekd, or may not be written.
        MachineError: The disk is full.
    """
    with LogFile(data / VERDICTS_FILE, "FULL") as log:
        add_audit(log, tuple(printable(text) for text in (who, role, address, action, subject, old, new, why)))


def _lock(data: Path) -> Callable[[], None]:
    """Keeps other stations away from a folder until this one has ended, however it ends.

    Returns:
        What gives it free.
    """
    path = data / LOCK_FILE
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(data, error) from error
    with contextlib.ExitStack() as cleanup:
        try:
            holder = sqlite3.connect(path, timeout=0, isolation_level=None)  # SQLite locks files on every system.
            cleanup.callback(holder.close)
            holder.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if "locked" not in str(error):
                raise log_error(path, error) from error
            raise MachineError(f"another station writes into {data}: end it, or name another data folder") from error
        return cleanup.pop_all().close


def _require_present(path: Path) -> None:
    """Refuses a folder whose database is gone or empty."""
    marker = path.with_name(MARKER_FILE)
    if marker.exists() and not (path.is_file() and path.stat().st_size):
        raise StationError(
            ErrorCode.ROW_NOT_WRITTEN,
            f"{path} is missing or empty, though {marker} says there was one: put it back, or name another folder",
        )


def _require_whole(log: LogFile) -> None:
    """Reads the pages of the database, as far as there is time for it.

    Raises:
        DamagedLogError: One is damaged, or the database belongs elsewhere.
    """
    end = time.monotonic() + CHECK_SECONDS
    log.limit(lambda: time.monotonic() > end, CHECK_EVERY)
    try:
        row = log.execute("PRAGMA quick_check(1)").fetchone()
        if row[0] != "ok":
            raise DamagedLogError(f"{log.path} is not a whole log of verdicts ({row[0].splitlines()[-1].strip()})")
    except EdgekdError as error:
        if "interrupted" not in str(error):
            raise
        logger.warning("%s is large: only a part of it was checked in %.0f s", log.path, CHECK_SECONDS)
    finally:
        log.limit(None)
    marker = log.path.with_name(MARKER_FILE)
    if marker.is_file() and (wanted := marker.read_text(encoding="ascii").strip()) != _station_id(log):
        raise DamagedLogError(f"{log.path} is not the record {wanted} that {marker} names")


def _begin(log: LogFile) -> Found:
    """Notes that this start began, and closes what the last one left open; all of it or nothing."""

    def begin() -> Found:
        boot_id = int(_meta(log, "boot", "0")) + 1
        clean = int(_meta(log, CLEAN_STOP, "0")) == boot_id - 1
        trail = log.read(audit.verify_trail)
        if _station_id(log) == "":
            set_meta(log, "station_id", uuid.uuid4().hex)
        set_meta(log, "boot", str(boot_id))
        open_parts, unread = close_open_parts(log)
        if trail.broken:
            add_audit(log, ("edgekd", "", "", "audit trail is broken", str(log.path), "", trail.broken, ""))
        return Found(boot_id, boot_id == 1, clean, open_parts, unread, trail.broken)

    return log.atomically(begin)


def _mark(log: LogFile, path: Path) -> None:
    marker = path.with_name(MARKER_FILE)
    if not marker.is_file():
        with write_beside(marker) as part:
            part.write_text(f"{_station_id(log)}\n", encoding="ascii")


def _station_id(log: LogFile) -> str:
    return _meta(log, "station_id", "")


def _meta(log: LogFile, name: str, otherwise: str) -> str:
    row = log.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return otherwise if row is None else str(row[0])


def _refusal(path: Path, what: str) -> StationError:
    """The error for a record that cannot be used: it stays where it is, and a copy of it is kept."""
    what = what.partition(": move it away")[0]
    try:
        kept = f"a copy is {_keep_copy(path)}"
    except OSError as error:
        kept = f"it could not be copied ({error.strerror or error})"
    return StationError(
        ErrorCode.ROW_NOT_WRITTEN, f"{what}; {kept}: put a backup in its place, or name another data folder"
    )


def _keep_copy(path: Path) -> Path:
    """Copies a database and what is beside it, once for each state of it."""
    state = path.stat()
    stamp = datetime.fromtimestamp(state.st_mtime, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    folder = path.with_name(f"damaged-{stamp}-{state.st_size}")
    if not folder.is_dir():
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for suffix in SUFFIXES:
            file = path.with_name(path.name + suffix)
            if file.is_file():
                shutil.copy2(file, part / file.name)
        part.rename(folder)
    return folder / path.name
