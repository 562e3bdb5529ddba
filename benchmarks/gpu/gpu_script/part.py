"""What every part's process begins with: its settings, its time, its file."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from edgekd.errors import EdgekdError, one_line
from gpu_script.record import DONE, FAILED, RUNNING, Record
from gpu_script.settings import Settings, read_settings


class Clock:
    """How much of a part's time is left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds; never below 0."""
        return max(0.0, self._end - time.monotonic())


def run(name: str, work: Callable[[Settings, Clock, Record], None]) -> None:
    """Runs a part: `python -m gpu_script.NAME OUT SECONDS`.

    Args:
        name: Of its file.
        work: The part; an error that leaves it is noted in the file.
    """
    settings, clock = read_settings(Path(sys.argv[1])), Clock(float(sys.argv[2]))
    record = Record(settings.out / f"{name}.json", limit_s=round(clock.left, 1))
    # So that whoever holds children kills them on the way out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        work(settings, clock, record)
    except Exception as error:
        traceback.print_exc()
        reason = str(error) if isinstance(error, EdgekdError) else f"{type(error).__name__}: {one_line(error)}"
        record.end(FAILED, reason)
        sys.exit(1)
    if record.content["status"] == RUNNING:
        record.end(DONE)
