"""What follows from an answer once it is given out: images that are kept, a line that is to stop, a FAULT."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from edgekd.station.alarms import Alarms
from edgekd.station.cycle import Judge
from edgekd.station.error_codes import ErrorCode
from edgekd.station.keeping import Keeping
from edgekd.station.parts import Outcome
from edgekd.station.ports import StoredImage
from edgekd.station.recipes import Keep, StopRules
from edgekd.station.self_tests import MASTER
from edgekd.station.shared import Shared
from edgekd.station.snapshot import Counters
from edgekd.station.stop_rules import StopWatch
from edgekd.station.work import Work

MOST_REMEMBERED = 1000
Value = TypeVar("Value")


class Consequences:
    """What follows from the answers of a station, by the rules of its recipe.

    Args:
        shared: Inspector, record, clock.
        alarms: Of the station.
        work: What the station does between its parts.

    Attributes:
        stop_line: Whether a stop rule asks the line to stop.
        keeps_images: Whether the disk has room for images.
    """

    def __init__(self, shared: Shared, alarms: Alarms, work: Work) -> None:
        self._shared, self._alarms, self._work = shared, alarms, work
        self.stop_line = False
        self.keeps_images = True
        self._judge: Judge | None = None
        self._stop_watch = StopWatch(StopRules())
        self._keeping = Keeping(Keep())
        self._kept: OrderedDict[int, Keep] = OrderedDict()  # By result, for images that are being stored.

    def follow(self, judge: Judge) -> None:
        """Begins anew with the rules of another recipe."""
        if judge is not self._judge:
            self._judge = judge
            self._stop_watch = StopWatch(judge.released.recipe.stop)
            self._keeping = Keeping(judge.released.recipe.keep)

    def of(self, outcome: Outcome, counters: Counters) -> None:
        """What follows from an answer.

        Args:
            outcome: The answer, which is published.
            counters: With it.
        """
        self._keep_images(outcome)
        if outcome.self_test:
            self._compare(outcome)
            return
        if outcome.error is ErrorCode.DEVICE_LOST:
            self._work.fail(outcome.error, outcome.error_text, active=False)
        self._stop_watch.saw(outcome.verdict)
        if why := self._stop_watch.why_to_stop():
            self.stop_line = True
            self._alarms.begin(ErrorCode.STOP_RULE, why)
        if self._stop_watch.too_many_errors():
            text = f"{counters.errors_in_a_row} parts in a row are ERROR: {outcome.error_text}"
            self._work.fail(outcome.error, text, active=False)

    def forget(self) -> None:
        """Somebody has seen why the line was to stop."""
        self.stop_line = False
        self._alarms.end(ErrorCode.STOP_RULE)
        self._stop_watch.forget()

    def stored(self, image: StoredImage, then: Callable[[], None] | None = None) -> bool:
        """Puts a stored image on record, and calls `then`. Returns whether it is of this station."""
        keep = self._kept.get(image.result_id)
        if keep is not None:
            self._shared.recorder.add(partial(self._shared.recorder.record.stored, image, keep), then)
        return keep is not None

    def _keep_images(self, outcome: Outcome) -> None:
        wanted = self._keeping.wanted(outcome) if self.keeps_images else ()
        if wanted:
            remember(self._kept, outcome.result_id, self._keeping.keep)
        self._shared.inspector.keep(outcome, wanted)

    def _compare(self, outcome: Outcome) -> None:
        """Holds the answer for a master part against the one that was expected."""
        test = self._work.tests.master
        report = test.saw(outcome.verdict) if test is not None else None
        if report is not None:
            self._work.self_test_ended(MASTER, report)


def remember(memory: OrderedDict[int, Value], key: int, value: Value) -> None:
    """Keeps a key and forgets the oldest."""
    memory[key] = value
    if len(memory) > MOST_REMEMBERED:
        memory.popitem(last=False)
