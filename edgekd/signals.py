"""The signals that end a command, and how they wait until a step is done."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

# Ctrl-C; a service manager, a container or `kill`; a terminal that was closed, which Windows does not tell.
ENDING_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def is_ignored(number: signal.Signals) -> bool:
    """Whether a signal is ignored, as shells start jobs in the background and `nohup` does; or is not Python's."""
    return signal.getsignal(number) in (signal.SIG_IGN, None)


@contextlib.contextmanager
def held_signals() -> Iterator[Callable[[], bool]]:
    """Holds the signals that end a process back until the block has ended, so that no step is saved half done.

    After the block each is delivered to whoever would have got it: the process then ends as it would have, only later.
    Nothing is held outside the main thread, where Python delivers no signals, and none that are ignored.

    Yields:
        Whether such a signal came.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS if not is_ignored(number)}
    try:
        for number in before:
            signal.signal(number, lambda number, frame: came.append(number))
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
