"""What a station does between its parts: step by step toward what is asked of it.

Requests only note what is wanted. `advance` looks at what is wanted and takes the next step, whenever something was
asked or has ended; so no order of requests needs a rule of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from edgekd.station.alarms import Alarms
from edgekd.station.changeover import load
from edgekd.station.cycle import Judge
from edgekd.station.error_codes import CAMERA_GONE, ErrorCode, StationError
from edgekd.station.events import Event, RecipeChanged, SelfTestEnded
from edgekd.station.ports import SelfTestReport
from edgekd.station.self_tests import MASTER, STORED, SelfTestPlan
from edgekd.station.shared import Shared
from edgekd.station.snapshot import SelfTestRun
from edgekd.station.state_machine import StateMachine
from edgekd.station.states import State

logger = logging.getLogger(__name__)

LOADING = "loading"  # What alarms of a failed change of job are about.
AT_REST = (State.STARTING, State.FAULT, State.HALTED)  # Only a request leads out of these.


class Work:
    """Online and offline, change of job, self-test and FAULT.

    Args:
        name: Of the station.
        shared: Inspector, record, clock.
        tell: Told of what happens.
        alarms: Of the station.
        in_work: Whether a part is in work; nothing is begun before it has its answer.

    Attributes:
        online: Whether the station is to run.
        job: That is to judge; None for none.
        job_failed: Why the last change of job failed; NONE where it did not.
        judge: The recipe that judges; None for none.
        tests: Self-tests of that recipe.
        last_test: The last self-test that ended; None for none.
    """

    def __init__(
        self, name: str, shared: Shared, tell: Callable[[Event], None], alarms: Alarms, in_work: Callable[[], bool]
    ) -> None:
        self._name, self._shared, self._tell, self._alarms, self._in_work = name, shared, tell, alarms, in_work
        self._machine = StateMachine(tell)
        self.online = False
        self.job: int | None = None
        self.job_failed = ErrorCode.NONE
        self.judge: Judge | None = None
        self.tests = SelfTestPlan(shared.clock)
        self.last_test: SelfTestRun | None = None
        self._must_load = False
        self._must_test = False
        self._halting = False
        self._inspector = asyncio.Event()
        self._inspector.set()
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        """What the station is doing."""
        return self._machine.state

    @property
    def takes_parts(self) -> bool:
        """Whether a part may be taken, and nothing else comes first."""
        if self.state is not State.READY or self.judge is None or not self._inspector.is_set():
            return False
        return self.online and not (self._must_load or self._must_test)

    def started(self) -> None:
        """The process is up."""
        if self.state is State.STARTING:
            self._machine.to(State.OFFLINE, "started")
        self.advance()

    def reset(self) -> None:
        """Leads to OFFLINE after the part in work, also where a halt was to follow, or was there."""
        self._halting = False
        self.set_online(False)
        if self.state is State.HALTED:
            self._machine.to(State.STARTING, "reset")
            self.started()

    def set_online(self, online: bool) -> None:
        """The station is to run, or to rest after the part in work."""
        self.online = online and self.state is not State.HALTED
        if self.online:
            self._halting = False
            self._must_load = self._must_load or self.state not in (State.READY, State.RUNNING, State.BLOCKED)
        elif self._task is not None:
            self._task.cancel()
        self.advance()

    def change_job(self, job: int | None) -> None:
        """Another recipe is to judge after the part in work; None for none."""
        self.job, self.job_failed, self._must_load = job, ErrorCode.NONE, True
        self._alarms.end_about(LOADING)
        self.advance()

    def start_self_test(self) -> None:
        """The stored self-test is to run after the part in work."""
        self._must_test = True
        self.advance()

    def halt(self) -> None:
        """The station is to end its work, so that the power may be switched off."""
        self._halting = self.state is not State.HALTED  # Once it is, a reset starts it, and it stays started.
        self.set_online(False)

    def inspector_is(self, up: bool) -> None:
        """The inspector's process came, and knows no recipe; or went."""
        if up and not self._inspector.is_set():
            self._inspector.set()
            self._must_load = True
            self.advance()
        elif not up:
            self._inspector.clear()

    def fail(self, code: ErrorCode, text: str = "", subject: str = "", active: bool = True) -> None:
        """Something fatal happened.

        Args:
            code: What.
            text: In one line; "" for the code's own.
            subject: What it is about, such as a camera's name.
            active: Whether its cause stays until `Alarms.end`; else somebody only has to confirm it.
        """
        self._alarms.begin(code, text, subject, fatal=True)
        if not active:
            self._alarms.end(code, subject)
        if self.state not in (State.FAULT, State.HALTED):
            self._halting = False  # From FAULT it leads to OFFLINE, and no farther.
            self._machine.to(State.FAULT, text or code.name)
            if self._task is not None:
                self._task.cancel()

    def clear_fault(self) -> None:
        """Somebody has seen the fault: it is left if its cause is gone."""
        if self._alarms.confirm() and self.state is State.FAULT:
            self._must_load = True  # With the self-test that follows.
            self._machine.to(State.OFFLINE, "fault cleared")
            self.advance()

    def release(self) -> None:
        """An engineer answers for a self-test that failed."""
        self.tests.release()
        self._warn_of_tests()
        if self.state is State.BLOCKED:
            self._machine.to(State.READY, "released")
        self.advance()

    def start_master_test(self) -> str:
        """The next parts are master parts. Returns why not; "" where they are."""
        blocked = self.state is State.BLOCKED and not self.tests.has_failed(STORED)
        if not blocked and not self.takes_parts:
            return "the master-part test needs a station that is ready"
        if not self.tests.start_master():
            return "the recipe has no master parts"
        if blocked:
            self._machine.to(State.READY, "master-part test")
        return ""

    def self_test_ended(self, kind: str, report: SelfTestReport) -> None:
        """A self-test ended."""
        self.tests.ended(kind, report.passed)
        self.last_test = SelfTestRun(kind, report.passed, report.text, self._shared.clock.utc_ms())
        if not report.passed:
            self._alarms.begin(ErrorCode.SELF_TEST_FAILED, f"The self-test failed: {report.text}", kind)
        else:
            self._alarms.end(ErrorCode.SELF_TEST_FAILED, kind)
        self._tell(SelfTestEnded(kind, report.passed, report.text))

    def part_begins(self) -> None:
        """A trigger was taken."""
        self._machine.to(State.RUNNING, "trigger")

    def part_ends(self) -> None:
        """The answer was read, or nobody will read it."""
        if self.state is State.RUNNING:
            self._machine.to(State.READY, "answered")
            if self.tests.failed and self.tests.master is None:
                self._machine.to(State.BLOCKED, "self-test failed")
        self.advance()

    async def close(self) -> None:
        """Ends what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def advance(self) -> None:
        """Takes the next step toward what is wanted, if nothing is under way."""
        if (self._task is not None and not self._task.done()) or self._in_work() or self.state in AT_REST:
            return
        if not self.online:
            self._rest()
        elif self.state is State.RUNNING:
            return  # The answer waits to be read.
        elif self._must_load:
            self._begin(self._change_over())
        elif self._must_test and self.judge is not None:
            self._begin(self._prove())

    def _rest(self) -> None:
        if self.state is not State.OFFLINE:
            self._machine.to(State.OFFLINE, "asked to")
        if self._halting:
            self._halting = False
            self._machine.to(State.HALTED, "asked to")

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.create_task(work, name=f"{self._name}: change-over")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._task = None
        if task.cancelled():
            if self.state in (State.LOADING, State.SELF_TEST):
                self._machine.to(State.OFFLINE, "asked to")
        elif (error := task.exception()) is not None:
            logger.error("the change-over failed", exc_info=error)
            self.fail(ErrorCode.SYSTEM, f"The change-over failed: {error}", active=False)
        self.advance()

    async def _change_over(self) -> None:
        """Loads what is wanted, also where that changes meanwhile, and has it prove itself."""
        self._judges(None)
        self._machine.to(State.LOADING, "no job" if self.job is None else f"job {self.job}")
        judge: Judge | None = None
        while self._must_load:
            self._must_load = False
            try:
                judge = await load(self._shared, self._name, self.job)
            except StationError as error:
                if self._must_load:
                    continue  # Something else is wanted by now.
                if self._inspector.is_set():
                    self._loading_failed(error)
                    return
                await self._inspector.wait()  # It died of this, or beside it; a third time would be a fault.
        if judge is None:
            self._machine.to(State.NO_JOB, "no job was chosen")
            return
        self._judges(judge)
        await self._prove()

    def _loading_failed(self, error: StationError) -> None:
        """No job is loaded then, and never the one before. A camera that is lost is no fault of the job's."""
        if error.code in CAMERA_GONE:
            self.fail(ErrorCode.CAMERA_LOST, str(error), active=False)
            return
        self.job, self.job_failed = None, error.code
        self._alarms.begin(error.code, str(error), LOADING)
        self._machine.to(State.NO_JOB, str(error))

    def _judges(self, judge: Judge | None) -> None:
        self.judge = judge
        if judge is not None:
            self.tests.loaded(judge.released)
            self._warn_of_tests()
        self._tell(RecipeChanged(None if judge is None else judge.loaded))

    def _warn_of_tests(self) -> None:
        """The alarm is about the recipe that is loaded: what another one failed concerns it no more."""
        for kind in (STORED, MASTER):
            if self.tests.has_failed(kind):
                self._alarms.begin(ErrorCode.SELF_TEST_FAILED, subject=kind)
            else:
                self._alarms.end(ErrorCode.SELF_TEST_FAILED, kind)

    async def _prove(self) -> None:
        """The stored self-test."""
        self._must_test = False
        self._machine.to(State.SELF_TEST, "self-test")
        self.self_test_ended(STORED, await self._shared.inspector.self_test(self._name))
        if self.tests.failed:
            self._machine.to(State.BLOCKED, "self-test failed")
        else:
            self._machine.to(State.READY, "self-test passed")
