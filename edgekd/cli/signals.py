"""SIGINT, SIGTERM and SIGHUP end a command alike: with everything kept that was done, and an exit code of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from edgekd.signals import ENDING_SIGNALS, is_ignored

ASKED_TWICE = 1.0  # Seconds: `timeout` and closing terminals send a signal twice within moments, and mean it once.


class Ending:
    """What asked a command to end.

    Attributes:
        received: The first such signal; None while there was none.
        over: Whether the command has ended: what it says last is said.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.over = False
        self._since = 0.0

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as shells count; 130 for an interruption without a signal."""
        return 128 + (self.received or signal.SIGINT)

    @property
    def message(self) -> str:
        """What ended the command, for a line on stderr."""
        by = self.received
        return "interrupted" if by is None or by is signal.SIGINT else f"interrupted by {by.name}"

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signals: interrupts at the first one, and ends the process at one that comes later."""
        if self.over:
            return
        if self.received is None:
            self.received, self._since = signal.Signals(number), time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - self._since < ASKED_TWICE:
            return  # What is being saved for the first one must not be interrupted by its echo.
        with contextlib.suppress(Exception):
            print("edgekd: ended at once: it was asked to end twice", file=sys.stderr, flush=True)
        os._exit(self.exit_code)  # What it waits for, such as a read from a share that is gone, may never come.


@contextlib.contextmanager
def ending_signals() -> Iterator[Ending]:
    """Lets SIGINT, SIGTERM and SIGHUP interrupt the block with a KeyboardInterrupt.

    As process 1 of a container too, where a signal without a handler is ignored. One that the process was started to
    ignore, as `nohup` does with SIGHUP, stays ignored. Outside the main thread, where Python delivers no signals,
    nothing is changed.

    Yields:
        Which signal came.
    """
    ending = Ending()
    if threading.current_thread() is not threading.main_thread():
        yield ending
        return
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS if not is_ignored(number)}
    try:
        for number in before:
            signal.signal(number, ending.handle)
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
