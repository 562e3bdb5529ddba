"""A queue of messages on disk, for a receiver that may be away. It outlasts the process.

Each queue is a small SQLite database with one owner. A message is removed once the receiver confirmed it, so each
arrives at least once, in order. Where the disk fails, the queue goes on in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from edgekd.errors import one_line

MOST_QUEUED = 10_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, topic TEXT NOT NULL, epoch INTEGER NOT NULL,
    payload TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT OR IGNORE INTO counter VALUES ('dropped', 0);
"""
DISK_ERRORS = (sqlite3.Error, OSError)
Answer = TypeVar("Answer")
logger = logging.getLogger(__name__)


class Queued(NamedTuple):
    """A message that waits.

    Attributes:
        id: Rises with each message of a queue.
        topic: What kind of message it is.
        epoch: Of the connection during which it was queued; 0 where there was none.
        payload: What JSON holds.
    """

    id: int
    topic: str
    epoch: int
    payload: dict[str, Any]


class Outbox:
    """A queue on disk, to be used from one event loop; its database is used in a thread of its own.

    Args:
        path: The database; its folder is made.
        most: Messages that it holds; then the oldest go.
    """

    def __init__(self, path: Path, most: int = MOST_QUEUED) -> None:
        self._rows = _Rows(path, most)  # Its counts are read from elsewhere: they are single numbers.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"outbox {path.stem}")

    async def open(self) -> None:
        """Opens the database: what waits from earlier is counted then."""
        await self._run(self._rows.open)

    async def append(self, topic: str, payload: Mapping[str, Any], epoch: int = 0) -> None:
        """Queues a message behind all others.

        Args:
            topic: What kind of message it is.
            payload: Its content.
            epoch: Of the connection; 0 where there is none.
        """
        await self._run(lambda: self._rows.append(topic, json.dumps(payload, allow_nan=False), epoch))

    async def oldest(self, count: int) -> list[Queued]:
        """The messages that have waited longest, the oldest first; they stay until they are removed.

        Args:
            count: How many at most.
        """
        return await self._run(lambda: self._rows.oldest(count))

    async def remove(self, last_id: int) -> None:
        """Removes what the receiver confirmed: this message and all before it."""
        await self._run(lambda: self._rows.remove(last_id))

    @property
    def waiting(self) -> int:
        """How many messages wait, as far as they were counted by now."""
        return self._rows.waiting

    @property
    def dropped(self) -> int:
        """How many messages went because the queue was full, since its database was made."""
        return self._rows.dropped

    async def close(self) -> None:
        """Closes the database; the messages stay."""
        await self._run(self._rows.close)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class _Rows:
    """The queue itself, for one thread.

    `_in_memory` holds messages that the database could not take. `_removed` is the last message that was confirmed:
    where the disk is full it cannot be deleted, and must not be sent again and again.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._path, self._most = path, most
        self._database: sqlite3.Connection | None = None
        self._in_memory: deque[tuple[int, str, int, str]] = deque()
        self._last_id = self._removed = self._stored = 0
        self._failing = self._full = False
        self.dropped = 0

    @property
    def waiting(self) -> int:
        return self._stored + len(self._in_memory)

    def open(self) -> None:
        try:
            self._open()
        except DISK_ERRORS as error:
            self._report(error)

    def append(self, topic: str, payload: str, epoch: int) -> None:
        row = (self._next_id(), topic, epoch, payload)
        excess = self.waiting + 1 - self._most
        if not self._store(row, excess):
            self._in_memory.append(row)
            if excess > 0:
                self._in_memory.popleft()
                self.dropped += 1
        if excess > 0 and not self._full:
            logger.warning("%s is full: of %d messages the oldest go", self._path, self._most)
        self._full = excess > 0

    def oldest(self, count: int) -> list[Queued]:
        rows = list(itertools.islice(self._in_memory, count))
        try:
            words = "SELECT id, topic, epoch, payload FROM outbox WHERE id > ? ORDER BY id LIMIT ?"
            rows += self._open().execute(words, (self._removed, count))
        except DISK_ERRORS as error:
            self._report(error)
        rows.sort()
        return [Queued(row_id, topic, epoch, json.loads(payload)) for row_id, topic, epoch, payload in rows[:count]]

    def remove(self, last_id: int) -> None:
        self._removed = max(self._removed, last_id)
        while self._in_memory and self._in_memory[0][0] <= last_id:
            self._in_memory.popleft()
        try:
            with self._open() as database:
                gone = database.execute("DELETE FROM outbox WHERE id <= ?", (last_id,)).rowcount
            self._stored -= gone
        except DISK_ERRORS as error:
            self._report(error)

    def close(self) -> None:
        if self._database is not None:
            with contextlib.suppress(*DISK_ERRORS):
                self._database.close()
            self._database = None

    def _next_id(self) -> int:
        """Later than all before it; by the clock, so that it follows what is in a database that cannot be read now."""
        self.open()
        self._last_id = max(self._last_id + 1, time.time_ns() // 1000)
        return self._last_id

    def _store(self, row: tuple[int, str, int, str], excess: int) -> bool:
        gone = 0
        try:
            with self._open() as database:  # One transaction.
                if excess > 0:
                    oldest = "SELECT id FROM outbox ORDER BY id LIMIT ?"
                    gone = database.execute(f"DELETE FROM outbox WHERE id IN ({oldest})", (excess,)).rowcount
                    database.execute("UPDATE counter SET value = value + ? WHERE name = 'dropped'", (gone,))
                database.execute("INSERT INTO outbox VALUES (?, ?, ?, ?)", row)
        except DISK_ERRORS as error:
            self._report(error)
            return False
        self._stored += 1 - gone
        self.dropped += gone
        self._failing = False
        return True

    def _report(self, error: Exception) -> None:
        """Reports that the disk fails, once."""
        if not self._failing:
            logger.warning("%s cannot be used (%s): messages wait in memory meanwhile", self._path, one_line(error))
        self._failing = True

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._database = self._connect()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:  # The file is damaged; the record holds all results in any case.
                self._set_aside(error)
                self._database = self._connect()
        return self._database

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path)
        try:
            # NORMAL outlasts the process, though not a power cut, and does not compete with the record for the disk.
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            if database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("its check failed")
            database.executescript(SCHEMA)
            self._stored, last_id = database.execute("SELECT COUNT(*), MAX(id) FROM outbox").fetchone()
            (dropped,) = database.execute("SELECT value FROM counter WHERE name = 'dropped'").fetchone()
        except BaseException:
            database.close()
            raise
        self._last_id = max(self._last_id, last_id or 0)
        self.dropped += dropped
        return database

    def _set_aside(self, error: Exception) -> None:
        aside = f"{self._path.name}.damaged-{time.time_ns() // 1_000_000}"
        logger.warning("%s is damaged (%s): it is kept as %s, and an empty queue begins", self._path, error, aside)
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self._path.with_name(self._path.name + suffix).rename(self._path.with_name(aside + suffix))
