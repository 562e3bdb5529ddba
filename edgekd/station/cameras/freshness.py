"""Tells frames that come as they are taken from frames that waited in a buffer on their way.

After a stall a stream hands out what was buffered, as fast as it can, or once in a while from its decoder. Such frames
are received after the trigger and show what was before it. Two things give them away: their pace, which is not that
of the stream, and their own time stamps, which lag behind the clock.
"""

from __future__ import annotations

import statistics
from collections import deque

GAP_PERIODS, GAP_S = 3, 0.2  # A longer pause is a stall.
BURST = 0.5  # Of a period: what follows a stall faster was buffered.
ON_PACE = 3  # Frames in a row, after which a stall is over.
SETTLE_S, SETTLE_FRAMES = 1.0, 5  # Until a stream's own pace is known.
LAG_S = 0.2
IMPROVED_S = 0.05  # The least lag was not known yet if a frame comes with so much less.
WINDOW_S = 30.0  # Clocks drift apart: the least lag is that of one to two such windows.
ANOTHER_PACE_S = 3.0  # A stream that keeps a pace for so long has it.


class Freshness:
    """Judges the frames of one stream, in their order."""

    def __init__(self) -> None:
        self._started: float | None = None
        self._previous = 0.0
        self._periods: deque[float] = deque(maxlen=31)
        self._doubtful = 0
        self._odd_since: float | None = None
        self._lag = _Lag()
        self.lagging_since: float | None = None

    @property
    def settled(self) -> bool:
        """Whether the stream's pace is known; nothing is fresh before."""
        return self._period is not None

    @property
    def _period(self) -> float | None:
        if len(self._periods) < SETTLE_FRAMES or self._started is None:
            return None
        return statistics.median(self._periods)

    def staleness(self, received: float, stamp: float | None = None) -> str:
        """Why a frame may be older than its arrival tells.

        Args:
            received: `time.monotonic()` of its arrival.
            stamp: Seconds on the clock of whoever took it; None where that is not known.

        Returns:
            The reason in words; "" for a frame that is fresh.
        """
        reason = self._off_pace(received)
        lag = self._lag.of(received, stamp)
        if lag <= max(LAG_S, GAP_PERIODS * (self._period or 0)):
            self.lagging_since = None
        else:
            self.lagging_since = self.lagging_since or received
            reason = reason or f"it is {lag:.1f} s late"
        return reason or self._unsettled(received)

    def _unsettled(self, received: float) -> str:
        assert self._started is not None
        settled = self.settled and max(self._started, self._lag.improved) + SETTLE_S <= received
        return "" if settled else "the stream has only begun"

    def _off_pace(self, received: float) -> str:
        if self._started is None:
            self._started = self._previous = received
            return ""
        interval, self._previous = received - self._previous, received
        period = self._period
        if period is None or received - self._started < SETTLE_S:
            # What was buffered while the stream was opened comes first; the last ones tell the pace.
            self._periods.append(interval)
            while len(self._periods) > SETTLE_FRAMES:
                self._periods.popleft()
            return ""
        stalled, burst = interval > max(GAP_PERIODS * period, GAP_S), interval < BURST * period
        if stalled or (burst and self._doubtful):
            self._doubtful = ON_PACE
        elif self._doubtful:
            self._doubtful -= 1
        if not self._doubtful:
            self._odd_since = None
            self._periods.append(interval)
            return ""
        return self._odd(received)

    def _odd(self, received: float) -> str:
        self._odd_since = self._odd_since or received
        if received - self._odd_since > ANOTHER_PACE_S:
            self._periods.clear()
            self._started, self._doubtful, self._odd_since = received, 0, None
        return "it was buffered while the stream stalled"


class _Lag:
    """How far a frame lags behind the quickest of late."""

    def __init__(self) -> None:
        self._least: float | None = None
        self._before: float | None = None
        self._since = 0.0
        self._stamp: float | None = None
        self.improved = 0.0

    def of(self, received: float, stamp: float | None) -> float:
        """Seconds; 0 where the stamp tells nothing."""
        if stamp is None or stamp == self._stamp:
            return 0
        self._stamp = stamp
        offset = received - stamp
        if self._least is None or received - self._since > WINDOW_S:
            self._before, self._least, self._since = self._least, offset, received
        known = self._least if self._before is None else min(self._least, self._before)
        if offset < known - IMPROVED_S or not self.improved:
            self.improved = received
        self._least = min(self._least, offset)
        return max(offset - known, 0)
