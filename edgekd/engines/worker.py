"""A thread that runs one piece of work after another, and that a process which ends does not wait for."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Worker:
    """One thread. Those of `concurrent.futures` are waited for when the interpreter ends, however long that takes.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._work: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=_run, args=(self._work,), name=name, daemon=True)
        self._thread.start()
        weakref.finalize(self, self._work.put, None)  # Whoever forgets to close it leaves no thread behind.

    def submit(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Runs a function once what was submitted before is done."""
        future: Future[R] = Future()
        self._work.put((future, function, args, kwargs))
        return future

    def close(self, wait: bool) -> None:
        """Ends the thread once all is done.

        Args:
            wait: Whether to wait until then.
        """
        self._work.put(None)
        if wait:
            self._thread.join()


def _run(work: queue.SimpleQueue[Any]) -> None:
    while (piece := work.get()) is not None:
        future, function, args, kwargs = piece
        try:
            future.set_result(function(*args, **kwargs))
        except BaseException as error:  # For whoever waits for it.
            future.set_exception(error)
        del piece, future, function, args, kwargs  # Until the next piece it would keep the engine and its frames.
