"""How long a station keeps images and rows: by age, and images by the room on the disk too; what is held never goes.

Everything is done in steps of a few milliseconds, so that no answer waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable
from typing import NamedTuple

from edgekd.errors import EdgekdError
from edgekd.station.configuration import Storage
from edgekd.station.record.record import DAY_MS, Record, add_event
from edgekd.station.record.recovery import note_answered
from edgekd.station.record.thread import RecordThread
from edgekd.verdicts.retention import megabytes, remove_image_file

logger = logging.getLogger(__name__)

EVERY_SECONDS = 10.0  # The room on the disk is looked at.
STEP_SECONDS = 0.005
ROWS_AT_ONCE = 200
SLACK = 0.02  # Of the disk: so much more is freed at once, so that not every new image removes another one.
COUNTERS_EVERY_SECONDS = 3600.0
# Rows go by the day, and so a clock that was set years ahead costs days before somebody sees it, and not all.
ROWS_FIRST_SECONDS, ROWS_EVERY_SECONDS = 3600.0, 86_400.0
HELD = "SELECT verdict_id FROM (SELECT verdict_id, held, max(id) FROM hold GROUP BY verdict_id) WHERE held"
OLD_IMAGES = f"""SELECT id, path, bytes FROM image WHERE removed_ms IS NULL AND expires_ms < ?
    AND verdict_id NOT IN ({HELD}) ORDER BY expires_ms LIMIT ?"""
FIRST_IMAGES = f"""SELECT id, path, bytes FROM image WHERE removed_ms IS NULL
    AND verdict_id NOT IN ({HELD}) ORDER BY rank, id LIMIT ?"""
# Verdicts without images that are still there; one that was ever held stays, and so does the last acquisition.
# Only the first are looked at, of millions.
FIRST = f"LIMIT {5 * ROWS_AT_ONCE} + (SELECT count(*) FROM hold)"
OLD_VERDICTS = f"""SELECT id FROM (SELECT id, time_ms FROM verdict ORDER BY id {FIRST}) AS first
    WHERE time_ms < ? AND id NOT IN (SELECT verdict_id FROM hold)
    AND NOT EXISTS (SELECT 1 FROM image WHERE verdict_id = first.id AND removed_ms IS NULL)
    ORDER BY id LIMIT {ROWS_AT_ONCE}"""
OLD_ACQUISITIONS = f"""SELECT id FROM (SELECT id, time_ms FROM acquisition ORDER BY id LIMIT {ROWS_AT_ONCE})
    WHERE time_ms < ? AND id < (SELECT max(id) FROM acquisition)"""


class Room(NamedTuple):
    """What is free on the record's disk.

    Attributes:
        free: Share of it, 0 to 1.
        keep_images: Whether images may still be written.
    """

    free: float
    keep_images: bool


class Retention:
    """Removes images and rows that are beyond the limits, in steps. Called in the record's thread.

    Args:
        record: Which images and rows there are; only those images are ever removed.
        storage: The limits.

    Attributes:
        removed: How many images were removed.
    """

    def __init__(self, record: Record, storage: Storage) -> None:
        self._log, self._folder, self._storage = record.log, record.log.path.parent, storage
        self._stuck: set[int] = set()
        self._rows_due = time.monotonic() + ROWS_FIRST_SECONDS
        self._making_room = False
        self._before_ms: int | None = None  # Of rows that are being removed.
        # A clock that is set ahead meanwhile makes nothing older.
        self._started_ms, self._started = self._log.clock.now_ms(), time.monotonic()
        self.removed = 0

    def room(self) -> Room:
        """What is free now."""
        free = self._free()
        return Room(free, free >= self._storage.least)

    def remove_old_images(self) -> bool:
        """Removes images that are older than their recipe keeps them.

        Returns:
            Whether there are more to be removed.
        """
        now = self._started_ms + int(1000 * (time.monotonic() - self._started))
        return self._remove("their days were over", OLD_IMAGES, (now,), lambda: True)

    def make_room(self) -> bool:
        """Removes images, of OK parts first, then of ERROR, then of NG, while too little of the disk is free.

        Returns:
            Whether there are more to be removed.
        """
        self._making_room = self._making_room or self._free() < self._storage.low
        if self._making_room:
            enough = self._storage.low + SLACK
            why = f"less than {self._storage.low:.0%} of the disk was free"
            self._making_room = self._remove(why, FIRST_IMAGES, (), lambda: self._free() < enough)
        return self._making_room

    def remove_old_rows(self) -> bool:
        """Removes verdicts that are older than the record keeps them, those of one day a day.

        Returns:
            Whether there are more to be removed.
        """
        if self._before_ms is None:
            if time.monotonic() < self._rows_due:
                return False
            self._rows_due = time.monotonic() + ROWS_EVERY_SECONDS
            self._before_ms = self._expire()
        if self._before_ms is not None and not self._remove_rows(self._before_ms):
            self._before_ms = None
        return self._before_ms is not None

    def _expire(self) -> int | None:
        """Puts on record that the oldest day of verdicts may go; None where none is old enough."""
        oldest = self._log.execute("SELECT time_ms FROM verdict ORDER BY id LIMIT 1").fetchone()
        newest = self._log.execute("SELECT time_ms FROM verdict ORDER BY id DESC LIMIT 1").fetchone()
        if oldest is None:
            return None
        allowed = newest[0] - int(self._storage.rows_days * DAY_MS)
        if oldest[0] >= allowed:
            return None
        before = min(oldest[0] + DAY_MS, allowed)
        row = (self._log.clock.now_ms(), before, self._storage.rows_days)
        self._log.insert("INSERT INTO expiry (time_ms, before_ms, days) VALUES (?, ?, ?)", row)
        return int(before)

    def _remove_rows(self, before_ms: int) -> bool:
        verdicts = [row[0] for row in self._log.execute(OLD_VERDICTS, (before_ms,))]
        acquisitions = [row[0] for row in self._log.execute(OLD_ACQUISITIONS, (before_ms,))]

        def remove() -> None:
            for number in verdicts:
                for table in ("image", "delivery", "late", "review"):
                    self._log.execute(f"DELETE FROM {table} WHERE verdict_id = ?", (number,))
                self._log.execute("DELETE FROM result WHERE id = ?", (number,))
                self._log.execute("DELETE FROM verdict WHERE id = ?", (number,))
            for number in acquisitions:
                self._log.execute("DELETE FROM acquisition WHERE id = ?", (number,))
            if verdicts:
                days = f"removed {len(verdicts)} verdicts: older than {self._storage.rows_days:g} days"
                add_event(self._log, None, "verdicts_removed", days, len(verdicts))

        self._log.atomically(remove)
        return bool(verdicts or acquisitions)

    def _remove(self, why: str, query: str, values: tuple[int, ...], is_wanted: Callable[[], bool]) -> bool:
        """Removes images for a few milliseconds; True where there is more to do."""
        end = time.monotonic() + STEP_SECONDS
        gone, total = [], 0
        for number, path, size in self._log.execute(query, (*values, 64 + len(self._stuck))).fetchall():
            if number in self._stuck:
                continue
            if not is_wanted():
                break
            if self._unlink(number, path):
                gone.append(number)
                total += size
            if time.monotonic() > end:
                break
        if gone:
            self._put_on_record(gone, total, why)
        return bool(gone)

    def _put_on_record(self, gone: list[int], total: int, why: str) -> None:
        now = self._log.clock.now_ms()

        def note() -> None:
            for number in gone:
                self._log.execute("UPDATE image SET removed_ms = ? WHERE id = ?", (now, number))
            images = "1 image" if len(gone) == 1 else f"{len(gone)} images"
            text = f"removed {images} ({megabytes(total)}): {why}"
            add_event(self._log, None, "images_removed", text, len(gone))

        self._log.atomically(note)
        self.removed += len(gone)

    def _unlink(self, number: int, path: str) -> bool:
        try:
            remove_image_file(self._folder, path)
        except OSError as error:
            self._stuck.add(number)
            if len(self._stuck) == 1:
                logger.warning("cannot remove %s: %s", self._folder / path, error.strerror or error)
            return False
        return True

    def _free(self) -> float:
        usage = shutil.disk_usage(self._folder)
        return usage.free / usage.total


async def keep_tidy(
    retention: Retention, record: Record, thread: RecordThread, on_room: Callable[[Room], None] = lambda room: None
) -> None:
    """Tidies up until it is cancelled.

    Args:
        retention: What goes.
        record: Whose counters are saved now and then, so that the next start has little to read.
        thread: Where it runs, while nothing else does.
        on_room: Called in the loop's thread with what is free.
    """
    counters_due = time.monotonic() + COUNTERS_EVERY_SECONDS
    while True:
        try:
            on_room(await thread.call_when_idle(retention.room))
            await thread.call_when_idle(record.checkpoint)
            for step in (retention.remove_old_images, retention.make_room, retention.remove_old_rows):
                while await thread.call_when_idle(step):
                    pass
            if time.monotonic() > counters_due:
                counters_due = time.monotonic() + COUNTERS_EVERY_SECONDS
                await thread.call_when_idle(record.save_counters)
                await thread.call_when_idle(note_answered, record.log)
        except (EdgekdError, OSError, sqlite3.Error) as error:  # Which the next answer reports, if it goes on.
            logger.warning("cannot tidy up: %s", error)
        await asyncio.sleep(EVERY_SECONDS)
