"""How long an inference may take: one that is late is an error, and one that does not end ends the process.

A thread inside a back end cannot be stopped from outside. So what waits for it gives up, the engine counts as broken,
and what it holds is kept until the process ends, which it then does without waiting for that thread.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator

from edgekd.errors import EdgekdError, MachineError

FIRST = 120.0  # Seconds that the first inference of a batch size may take, into which a back end may put compiling.
LEAST = 10.0  # The shortest limit that is derived: a machine may be busy with something else for that long.
TIMES = 50  # As often as the slowest of the first inferences takes, a later one may take.
FIRST_ANSWERS = 10
TURN = 0.5  # Seconds that a back end is asked to wait at once.
LOOKS = 1.0  # Seconds between two looks at a wait that nothing can interrupt.

logger = logging.getLogger("edgekd.engines")
_kept: list[tuple[Callable[[], bool], object]] = []


class LateInferenceError(MachineError):
    """An inference that took longer than its limit."""


class InferenceLimit:
    """Waits for the inferences of one engine.

    Args:
        seconds: That an inference may take; None to derive it from the first ones: fifty times the slowest of them,
            and at least ten seconds.

    Attributes:
        seconds: As given.
        broken: Why the engine counts as broken, once an inference did not end; None while all did.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = seconds
        self.broken: str | None = None
        self._first: dict[int, list[float]] = {}
        self._since: tuple[float, float] | None = None  # When a wait began that is watched, and when to give up.
        self._watcher: threading.Thread | None = None

    def of(self, size: int) -> float:
        """Seconds that an inference of a batch size may take now."""
        if self.seconds is not None:
            return self.seconds
        first = self._first.get(size)
        return max(LEAST, TIMES * max(first)) if first else FIRST

    def require_working(self) -> None:
        """Refuses to go on once an inference did not end.

        Raises:
            MachineError: One did not.
        """
        if self.broken is not None:
            raise MachineError(self.broken)

    def wait(self, size: int, ended: Callable[[float], bool], engine: object) -> None:
        """Waits for an inference.

        Args:
            size: Of its batch.
            ended: Waits so many seconds at most, and returns whether it has ended.
            engine: Kept as long as the process lives, if it does not end.

        Raises:
            LateInferenceError: It took longer than the limit and ended then.
            MachineError: It does not end, or an earlier one did not: the engine is broken.
        """
        self.require_working()
        limit, start = self.of(size), time.perf_counter()
        if _ends(ended, limit):
            self._note(size, time.perf_counter() - start)
            return
        logger.warning("an inference takes longer than its limit of %g s", limit)
        if _ends(ended, _grace(limit)):
            raise _late(time.perf_counter() - start, limit)
        self.broken = f"an inference does not end: {limit + _grace(limit):g} s, and its limit is {limit:g} s"
        _keep(lambda: not ended(0), engine)
        raise MachineError(self.broken)

    @contextlib.contextmanager
    def watch(self, size: int) -> Iterator[None]:
        """Watches a wait that nothing can interrupt, such as CUDA's; if it does not end, the process is ended.

        Args:
            size: Of the batch.

        Raises:
            LateInferenceError: It took longer than the limit and ended then.
        """
        limit, start = self.of(size), time.monotonic()
        self._since = start, start + limit + _grace(limit)
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._look, name="inference limit", daemon=True)
            self._watcher.start()
        try:
            yield
        finally:
            self._since = None
        taken = time.monotonic() - start
        if taken > limit:
            raise _late(taken, limit)
        self._note(size, taken)

    def close(self) -> None:
        """Ends the watching, with the engine."""
        self._watcher = None

    def _note(self, size: int, seconds: float) -> None:
        first = self._first.setdefault(size, [])
        if len(first) < FIRST_ANSWERS:
            first.append(seconds)

    def _look(self) -> None:
        while self._watcher is threading.current_thread():
            time.sleep(LOOKS)
            since = self._since
            if since is not None and time.monotonic() > since[1]:
                seconds = time.monotonic() - since[0]
                logger.critical("an inference does not end (%.0f s): this process ends; start again", seconds)
                _end_process()


def check_limit(seconds: float | None) -> None:
    """Refuses a limit that is not a positive number of seconds.

    Raises:
        EdgekdError: It is not.
    """
    if seconds is not None and not 0 < seconds < float("inf"):
        raise EdgekdError(f"the inference limit must be a positive number of seconds, got {seconds}")


def _ends(ended: Callable[[float], bool], seconds: float) -> bool:
    """Waits in short turns: Python handles a signal, such as Ctrl-C, only between two of them."""
    until = time.perf_counter() + seconds
    while (left := until - time.perf_counter()) > 0:
        if ended(min(left, TURN)):
            return True
    return ended(0)


def _grace(limit: float) -> float:
    """Seconds beyond the limit after which an inference counts as one that does not end."""
    return max(LEAST, 2 * limit)


def _late(seconds: float, limit: float) -> LateInferenceError:
    return LateInferenceError(f"the inference took {seconds:.1f} s, longer than its limit of {limit:g} s")


def _keep(is_running: Callable[[], bool], engine: object) -> None:
    """Keeps what an inference uses that does not end; the process will not wait for it when it ends."""
    if not _kept:
        atexit.register(_end_if_running)
    _kept.append((is_running, engine))


def _end_if_running() -> None:
    for is_running, _ in _kept:
        with contextlib.suppress(Exception):  # What fails has ended.
            if is_running():
                _end_process()


def _end_process() -> None:
    """Ends the process at once: the interpreter and the back end would wait for the thread that does not end."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(MachineError.exit_code)
