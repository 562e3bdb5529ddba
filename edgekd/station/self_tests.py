"""How a station proves itself: when a self-test is due, which one failed, and the master-part test.

The stored self-test judges reference images, and catches a wrong engine, driver or preprocessing. In the master-part
test the operator sends real parts, a good one and bad ones, and it catches optics and light.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from edgekd.result import Verdict
from edgekd.station.clock import Clock
from edgekd.station.ports import Released, SelfTestReport
from edgekd.station.recipes import SelfTests

STORED, MASTER = "stored", "master"
HOUR_S = 3600.0
NO_TESTS = SelfTests()


class MasterTest:
    """A master-part test under way.

    Args:
        parts: Label and expected verdict of each part, in their order.
    """

    def __init__(self, parts: Sequence[tuple[str, str]]) -> None:
        self._parts = list(parts)
        self._seen = 0

    def saw(self, verdict: Verdict) -> SelfTestReport | None:
        """Compares the next part's verdict. Returns how the test went; None while it goes on."""
        label, expected = self._parts[self._seen]
        self._seen += 1
        if verdict.value != expected:
            difference = f"master part {self._seen} ({label}): {expected} was expected, and it was {verdict.value}"
            return SelfTestReport(False, f"{difference}. Check lens and lamp, then start it again.", (difference,))
        if self._seen == len(self._parts):
            return SelfTestReport(True, f"all {self._seen} master parts were judged as expected")
        return None


class SelfTestPlan:
    """Which self-tests of the loaded recipe passed, failed, or are due.

    Args:
        clock: The time.

    Attributes:
        master: The master-part test under way; None for none.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._digest = ""
        self._plan = NO_TESTS
        self._stored_passed: float | None = None
        self._master_passed: dict[str, float] = {}
        self._failed: defaultdict[str, set[str]] = defaultdict(set)  # By digest: another recipe excuses nothing.
        self.master: MasterTest | None = None

    @property
    def failed(self) -> bool:
        """Whether a self-test of the loaded recipe failed, and has not passed since."""
        return bool(self._failed[self._digest])

    def has_failed(self, kind: str) -> bool:
        """Whether a self-test of this kind failed, and has not passed since."""
        return kind in self._failed[self._digest]

    def loaded(self, released: Released) -> None:
        """Another recipe judges now: a master-part test of it is due."""
        self._digest, self._plan = released.digest, released.recipe.self_tests
        self._master_passed.pop(self._digest, None)
        self.master = None

    def start_master(self) -> bool:
        """Begins the master-part test. Returns whether the recipe has one."""
        if not self._plan.master_parts:
            return False
        self.master = MasterTest(self._plan.master_parts)
        return True

    def ended(self, kind: str, passed: bool) -> None:
        """A self-test ended."""
        if kind == MASTER:
            self.master = None
        if not passed:
            self._failed[self._digest].add(kind)
            return
        self._failed[self._digest].discard(kind)
        if kind == MASTER:
            self._master_passed[self._digest] = self._clock.now()
        else:
            self._stored_passed = self._clock.now()

    def release(self) -> None:
        """An engineer answers for what failed."""
        self._failed[self._digest].clear()

    def overdue_s(self) -> float:
        """For how long the stored self-test has been due; negative where it is not."""
        if self._stored_passed is None:
            return -1.0
        return self._clock.now() - self._stored_passed - self._plan.every_hours * HOUR_S

    @property
    def master_due(self) -> bool:
        """Whether the master-part test is due."""
        if not self._plan.master_parts:
            return False
        passed, hours = self._master_passed.get(self._digest), self._plan.master_every_hours
        return passed is None or (hours > 0 and self._clock.now() - passed >= hours * HOUR_S)

    @property
    def due(self) -> bool:
        """Whether a self-test is overdue."""
        return self.overdue_s() >= 0 or self.master_due

    @property
    def minutes(self) -> float | None:
        """Since the last stored self-test that passed; None where none has."""
        return None if self._stored_passed is None else (self._clock.now() - self._stored_passed) / 60
