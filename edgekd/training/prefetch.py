"""Making what comes next in other threads, while the present one is used."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Prefetch(Generic[Made]):
    """Things by number, asked for one after the other; the next ones are made ahead.

    Args:
        make: What a number stands for; called in several threads at once.
        workers: Threads; 0 makes everything when it is asked for.
    """

    def __init__(self, make: Callable[[int], Made], workers: int) -> None:
        self._make = make
        self._ahead = workers + 1 if workers else 0  # One in reserve, so that no worker waits for the next call.
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="edgekd-batches") if workers else None
        self._coming: dict[int, Future[Made]] = {}

    def get(self, number: int) -> Made:
        """What a number stands for; what its making raised is raised here."""
        if self._pool is None:
            return self._make(number)
        wanted = range(number, number + self._ahead + 1)
        for gone in self._coming.keys() - set(wanted):
            self._coming.pop(gone).cancel()
        for one in wanted:
            if one not in self._coming:
                self._coming[one] = self._pool.submit(self._make, one)
        return self._coming.pop(number).result()

    def close(self) -> None:
        """Ends the threads, after what they are making now."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
