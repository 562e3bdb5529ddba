"""The thread that writes the record, so that the event loop of control never waits for a disk."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

Made = TypeVar("Made")
NOW, IDLE, LAST = range(3)


class _Call(NamedTuple):
    """A call that waits. They are ordered by what comes first; no two have the same number."""

    rank: int
    number: int
    work: Callable[[], Any] | None  # None ends the thread.
    answer: asyncio.Future[Any] | None = None


class RecordThread:
    """Runs calls in a thread of its own, one after the other, for an event loop that awaits them.

    A call that was made is run, in the order of the calls, whether or not somebody still waits for it: what is
    cancelled is the waiting. Make it in the event loop.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.PriorityQueue[_Call] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Calls that have not begun."""
        return self._waiting.qsize()

    def call(self, work: Callable[..., Made], *arguments: object) -> asyncio.Future[Made]:
        """Runs a call before all that may wait; await what it returns, which raises what the call raised."""
        return self._put(NOW, work, *arguments)

    def call_when_idle(self, work: Callable[..., Made], *arguments: object) -> asyncio.Future[Made]:
        """Runs a call when no other waits: tidying up, which must not hold up an answer."""
        return self._put(IDLE, work, *arguments)

    async def stop(self, timeout_s: float = 10.0) -> bool:
        """Runs what was asked for and ends the thread.

        Args:
            timeout_s: A disk that does not answer is not waited for any longer.

        Returns:
            Whether it ended.
        """
        if not self._ended:
            self._ended = True
            self._waiting.put(_Call(LAST, next(self._numbers), None))
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, timeout_s)
        return not self._thread.is_alive()

    def _put(self, rank: int, work: Callable[..., Made], *arguments: object) -> asyncio.Future[Made]:
        if self._ended:
            raise RuntimeError("the record was closed")
        answer: asyncio.Future[Made] = self._loop.create_future()
        self._waiting.put(_Call(rank, next(self._numbers), lambda: work(*arguments), answer))
        return answer

    def _run(self) -> None:
        while True:
            call = self._waiting.get()
            if call.work is None or call.answer is None:
                return
            try:
                made, error = call.work(), None
            except BaseException as caught:
                made, error = None, caught
            with contextlib.suppress(RuntimeError):  # The loop was closed: nobody waits any more.
                self._loop.call_soon_threadsafe(_resolve, call.answer, made, error)


def _resolve(answer: asyncio.Future[Any], made: object, error: BaseException | None) -> None:
    if answer.done():  # Cancelled.
        return
    if error is None:
        answer.set_result(made)
    else:
        answer.set_exception(error)
