"""Two clocks: one that can be set, for stamps, and one that cannot, for intervals and deadlines."""

from __future__ import annotations

import time
from collections.abc import Callable

JUMP_S = 1.0  # More than a clock that is being slewed gains between two looks.


class Clock:
    """The time, and whether the wall clock was set since the last look.

    Args:
        wall: Seconds since 1970 in UTC.
        monotonic: Seconds that only ever rise.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._apart = wall() - monotonic()

    def now(self) -> float:
        """Seconds for intervals and deadlines: `time.monotonic()`."""
        return self._monotonic()

    def utc_ms(self) -> int:
        """The stamp: milliseconds since 1970 in UTC."""
        return round(self._wall() * 1000)

    def jumped(self) -> bool:
        """Whether the wall clock was set since the last time that this was asked."""
        before, self._apart = self._apart, self._wall() - self._monotonic()
        return abs(self._apart - before) > JUMP_S
