"""How long to wait before a counterpart is tried again."""

from __future__ import annotations

import random

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0


class BackOff:
    """Each wait is twice as long as the one before it, up to a limit.

    A random part of each is left out, so that stations that lost the same counterpart do not return all at once.

    Args:
        first: Seconds of the first wait.
        longest: Seconds that no wait exceeds.
    """

    def __init__(self, first: float = FIRST_SECONDS, longest: float = LONGEST_SECONDS) -> None:
        self._first, self._longest = first, longest
        self._next = first

    def next(self) -> float:
        """Seconds to wait now: between half of what is due and all of it."""
        due, self._next = self._next, min(2 * self._next, self._longest)
        return due * random.uniform(0.5, 1)

    def reset(self) -> None:
        """The counterpart is there: the next wait is the first again."""
        self._next = self._first
