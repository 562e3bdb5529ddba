"""One part, from its trigger to its answer.

    trigger ─┬─ begin: the trigger on record ──┐
             └─ inspect: image, checks, score ─┴─ decide ─ write: the row on record ─ decide again ─ answer

The first decision says what the row is to hold. What goes out is decided again, about the row that was committed: if
that comes out otherwise, because the row came too late or the station failed meanwhile, the row is marked as late and
an ERROR goes out in its place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from edgekd.errors import one_line
from edgekd.station.error_codes import TEXTS, ErrorCode, StationError
from edgekd.station.outcomes import outcome_of
from edgekd.station.parts import Acquisition, Inspected, Outcome
from edgekd.station.ports import Released
from edgekd.station.rule_ok import Decision, Evidence, Row, decide
from edgekd.station.shared import Shared
from edgekd.station.snapshot import Loaded
from edgekd.station.states import State

logger = logging.getLogger(__name__)

ROW_SHARE = 0.05  # Of the time to the answer, kept for its row: 25 ms of 500.
ROW_PATIENCE_S = 0.1  # For a row after the deadline, so that an answer of ERROR 303 is on record too.
INSPECTOR_PATIENCE_S = 0.05  # Beyond its deadline, for an inspector that keeps it to itself.


@dataclass(frozen=True)
class Judge:
    """The recipe that judges, as control read it and as the inspector loaded it."""

    released: Released
    loaded: Loaded

    @property
    def deadline_s(self) -> float:
        """From trigger to answer."""
        return self.released.recipe.deadline_ms / 1000


class Cycle:
    """A part in work, and then its answer until it is read.

    Args:
        shared: Inspector, record, clock.
        acquisition: What is to be taken and judged.
        judge: By what.
        due: `time.monotonic()` at which the answer is due at the latest.
        simulated: Whether image or trigger are not a line's own.
        self_test: Whether it is a part of a master-part test.

    Attributes:
        outcome: The answer; None while the part is in work.
        exposed: Whether the part may move.
        unread: Whether nobody waits for the answer any more: the PLC has reset its handshake.
        late: What the inspector said after its deadline, and before the ERROR in place of it was given out.
    """

    def __init__(
        self,
        shared: Shared,
        acquisition: Acquisition,
        judge: Judge,
        due: float,
        simulated: bool = False,
        self_test: bool = False,
    ) -> None:
        self.acquisition, self.judge = acquisition, judge
        self.outcome: Outcome | None = None
        self.exposed = False
        self.unread = False
        self.late: Inspected | None = None
        self._shared, self._due = shared, due
        self._aborted = asyncio.Event()
        self._marks = {"simulated": simulated, "self_test": self_test}

    @property
    def in_work(self) -> bool:
        """Whether there is no answer yet."""
        return self.outcome is None

    async def run(self, station: Callable[[], tuple[State, ErrorCode]], on_exposed: Callable[[], None]) -> Outcome:
        """Inspects the part and puts the answer on record.

        Args:
            station: The station's state and, in FAULT, why.
            on_exposed: Called when the part may move.

        Returns:
            The answer, which is to be published now.
        """
        recorder = self._shared.recorder
        begun = recorder.begin(self.acquisition, self.judge.loaded)
        inspected = await self._inspect(on_exposed)
        draft = self._outcome(self._decide(station(), inspected, Row.TO_COME), inspected)
        patience = max(self._due - self._shared.clock.now(), 0.0) + ROW_PATIENCE_S
        written = await recorder.write(draft, patience)
        if self._aborted.is_set():
            inspected = self._failed(ErrorCode.ABORTED)
        final = self._decide(station(), inspected, Row.COMMITTED if written and begun.result() else Row.FAILED)
        if final.verdict is draft.verdict and final.error == draft.error:
            self.outcome = draft
        else:
            if written:
                recorder.withdraw(draft)
            self.outcome = self._outcome(final, inspected)
            recorder.add(partial(recorder.record.write, self.outcome))
        return self.outcome

    def abort(self) -> None:
        """Ends the work on the part at once, with an ERROR that says so."""
        self._aborted.set()

    async def _inspect(self, on_exposed: Callable[[], None]) -> Inspected:
        """What the inspector says, at the latest a moment after its deadline whatever becomes of it."""
        inspection = self._shared.inspector.inspect(self.acquisition, partial(self._expose, on_exposed))
        task = asyncio.ensure_future(inspection)
        patience = self.acquisition.deadline - self._shared.clock.now() + INSPECTOR_PATIENCE_S
        aborted = asyncio.ensure_future(self._aborted.wait())
        await asyncio.wait({task, aborted}, timeout=max(patience, 0.0), return_when=asyncio.FIRST_COMPLETED)
        aborted.cancel()
        if not task.done() or self._aborted.is_set():
            task.add_done_callback(_ignore)
            task.cancel()
            return self._failed(ErrorCode.ABORTED if self._aborted.is_set() else ErrorCode.ANSWER_LATE)
        try:
            return task.result()
        except StationError as error:
            return self._failed(error.code, str(error))
        except Exception as error:  # Whatever the inspector's client does, the part gets its answer.
            logger.exception("the inspector's client failed")
            return self._failed(ErrorCode.SYSTEM, f"The inspector's client failed: {one_line(error)}")

    def _failed(self, code: ErrorCode, text: str = "") -> Inspected:
        return Inspected(self.acquisition.acquisition_id, error=code, error_text=text or " ".join(TEXTS[code]))

    def _expose(self, on_exposed: Callable[[], None]) -> None:
        if self.in_work and not self.exposed:
            self.exposed = True
            on_exposed()

    def _decide(self, station: tuple[State, ErrorCode], inspected: Inspected, row: Row) -> Decision:
        state, fault = station
        return decide(
            Evidence(
                acquisition_id=self.acquisition.acquisition_id,
                state=state,
                fault=fault,
                recipe=self.judge.released,
                inspected=inspected,
                now=self._shared.clock.now(),
                due=self._due,
                row=row,
            )
        )

    def _outcome(self, decision: Decision, inspected: Inspected) -> Outcome:
        return outcome_of(self._shared, self.acquisition, self.judge.loaded, decision, inspected, **self._marks)


def _ignore(task: asyncio.Future[Inspected]) -> None:
    """Takes note of an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
