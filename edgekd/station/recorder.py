"""The record's thread, as the event loop uses it: what is written in its order, and what waits for a full disk."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from edgekd.errors import EdgekdError, one_line
from edgekd.station.parts import Acquisition, Outcome
from edgekd.station.ports import RecordPort
from edgekd.station.snapshot import Loaded
from edgekd.station.tasks import within

logger = logging.getLogger(__name__)

RETRY_S = 0.5
MOST_WAITING = 10_000  # Entries; beyond, the oldest is lost. No OK is among them: its row is written or it is none.
DISK_TROUBLES = (EdgekdError, OSError, sqlite3.Error)


@dataclass
class _Entry:
    """Something to put on record.

    Attributes:
        write: Puts it there.
        done: Whether it is there.
        again: Whether it is tried until it is.
    """

    write: Callable[[], object]
    done: asyncio.Future[bool]
    again: bool


class Recorder:
    """The one writer of a process's record; all its stations share it. Everything here is the event loop's.

    What cannot be written is tried again, in its order, until it can be; an answer is not, since another one has gone
    out in its place by then. Until then `writable` is False, and no station takes a part.

    Args:
        record: Where to write.
        call: Calls something in the record's thread.

    Attributes:
        record: Where to write.
        task: Writes what waits; it ends with `close` alone.
    """

    def __init__(self, record: RecordPort, call: Callable[[Callable[[], object]], Awaitable[object]]) -> None:
        self.record = record
        self._call = call
        self._waiting: deque[_Entry] = deque()
        self._arrived = asyncio.Event()
        self._listeners: list[Callable[[bool], None]] = []
        self._writable = True
        self.task = asyncio.create_task(self._run(), name="recorder")

    @property
    def writable(self) -> bool:
        """Whether the last that was to be written was."""
        return self._writable

    def listen(self, listener: Callable[[bool], None]) -> None:
        """Has a listener told when the record can no longer be written, and when it can again."""
        self._listeners.append(listener)

    def begin(self, acquisition: Acquisition, recipe: Loaded) -> asyncio.Future[bool]:
        """Puts a trigger on record. The future says whether it is there."""
        return self._put(partial(self.record.begin, acquisition, recipe), again=False)

    async def write(self, outcome: Outcome, patience_s: float) -> bool:
        """Puts an answer on record.

        Args:
            outcome: The answer.
            patience_s: How long this may take.

        Returns:
            Whether it is there. If it gets there afterwards, it is marked as late.
        """
        written = self._put(partial(self.record.write, outcome), again=False)
        await asyncio.wait({written}, timeout=patience_s)
        if written.done():
            return written.result()
        logger.warning("the record took more than %.0f ms for an answer: check the disk", patience_s * 1000)
        self._tell(writable=False)
        self.withdraw(outcome, written)
        return False

    def withdraw(self, outcome: Outcome, written: asyncio.Future[bool] | None = None) -> None:
        """Marks an answer as late: it is not, and never will be, given out.

        Args:
            outcome: The answer.
            written: Whether it is on record; None where it is.
        """
        mark = partial(self.record.deliver, outcome.result_id, "late")
        if written is None:
            self.add(mark)
        else:
            written.add_done_callback(lambda done: self.add(mark) if done.result() else None)

    def add(self, write: Callable[[], object], then: Callable[[], None] | None = None) -> None:
        """Puts something on record in its turn, when the disk lets it.

        Args:
            write: Puts it there; called in the record's thread.
            then: Called in the event loop once it is there.
        """
        done = self._put(write, again=True)
        if then is not None:
            done.add_done_callback(lambda done: then())

    async def put(self, write: Callable[[], object]) -> bool:
        """Puts something on record in its turn, and waits until the disk lets it. Returns whether it is there."""
        return await asyncio.shield(self._put(write, again=True))

    async def flush(self, patience_s: float) -> bool:
        """Waits for everything that waits to be written. Returns whether it was."""
        last = self._put(lambda: None, again=True)
        await asyncio.wait({last}, timeout=patience_s)
        return last.done()

    async def close(self, patience_s: float = 5.0) -> None:
        """Writes what waits, as far as the disk lets it, and closes the record."""
        if not await self.flush(RETRY_S) and self._writable:
            await self.flush(patience_s)
        self.task.cancel()
        await asyncio.wait({self.task})
        try:
            await within(patience_s, self._call(self.record.close))
        except Exception as error:
            logger.warning("the record could not be closed: %s", one_line(error))

    def _put(self, write: Callable[[], object], again: bool) -> asyncio.Future[bool]:
        entry = _Entry(write, asyncio.get_running_loop().create_future(), again)
        if not again and self._waiting and not self._writable:  # Nothing overtakes what waits for the disk.
            entry.done.set_result(False)
            return entry.done
        if len(self._waiting) >= MOST_WAITING:
            logger.error("the record lost an entry: the disk could not be written for too long")
            self._waiting.popleft().done.set_result(False)
        self._waiting.append(entry)
        self._arrived.set()
        return entry.done

    async def _run(self) -> None:
        """Writes what waits, one after the other."""
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            entry = self._waiting[0]
            written = False
            try:
                await self._call(entry.write)
                written = True
            except DISK_TROUBLES as error:
                self._complain(error)
                if entry.again:
                    await asyncio.sleep(RETRY_S)
                    continue
            except Exception:  # A fault of ours, which no waiting mends.
                logger.exception("an entry could not be put on record")
            if self._waiting and self._waiting[0] is entry:
                self._waiting.popleft()
            if not entry.done.done():
                entry.done.set_result(written)
            if written and not self._waiting:  # What goes out in place of an answer is on record by now, too.
                self._tell(writable=True)

    def _complain(self, error: Exception) -> None:
        if self._writable:
            logger.warning("the record cannot be written: %s", error)
        self._tell(writable=False)

    def _tell(self, writable: bool) -> None:
        if writable is not self._writable:
            self._writable = writable
            for listener in self._listeners:
                listener(writable)
