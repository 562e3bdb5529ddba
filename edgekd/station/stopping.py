"""The signals that end a service: it stops in peace, and then ends by the signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator

from edgekd.signals import ENDING_SIGNALS, is_ignored


@contextlib.contextmanager
def asked_to_stop() -> Iterator[asyncio.Future[signal.Signals]]:
    """Within the block, SIGINT, SIGTERM and SIGHUP only note that the process is to end.

    Yields:
        The first that came; whoever handled it before is to get it after the block.
    """
    loop = asyncio.get_running_loop()
    asked: asyncio.Future[signal.Signals] = loop.create_future()

    def note(number: signal.Signals) -> None:
        if not asked.done():
            asked.set_result(number)

    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS if not is_ignored(number)}
    try:
        for number in before:
            loop.add_signal_handler(number, note, number)
        yield asked
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
        asked.cancel()
