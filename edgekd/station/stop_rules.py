"""When a station asks the line to stop, and when ERRORs are a FAULT."""

from __future__ import annotations

from collections import deque

from edgekd.result import Verdict
from edgekd.station.recipes import StopRules


class StopWatch:
    """Watches the verdicts of parts by the rules of a recipe.

    Args:
        rules: Of the recipe.
    """

    def __init__(self, rules: StopRules) -> None:
        self._rules = rules
        self._window: deque[Verdict] = deque(maxlen=rules.window)
        self._last: Verdict | None = None
        self._in_a_row = 0

    def saw(self, verdict: Verdict) -> None:
        """Counts a verdict in."""
        self._window.append(verdict)
        self._in_a_row = self._in_a_row + 1 if verdict is self._last else 1
        self._last = verdict

    def why_to_stop(self) -> str:
        """Why the line is to stop, in one line; "" where it is not."""
        most, rate = self._rules.ng_in_a_row, self._rules.reject_rate
        if most and self._last is Verdict.NG and self._in_a_row >= most:
            return f"{self._in_a_row} parts in a row are NG. Stop the line, look at them, then acknowledge."
        rejected = self._window.count(Verdict.NG)
        if rate and len(self._window) == self._rules.window and rejected >= rate * self._rules.window:
            return f"{rejected} of {len(self._window)} parts are NG. Stop the line, look at them, then acknowledge."
        return ""

    def too_many_errors(self) -> bool:
        """Whether so many verdicts in a row are ERROR that the station is not to go on."""
        most = self._rules.errors_in_a_row
        return bool(most) and self._last is Verdict.ERROR and self._in_a_row >= most

    def forget(self) -> None:
        """Begins anew: somebody has looked."""
        self._window.clear()
        self._last, self._in_a_row = None, 0
