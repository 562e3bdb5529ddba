"""How the process of the long work tells how far it is."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator

from edgekd.station.clock import Clock
from edgekd.station.page.teaching.work_files import MOST_POINTS, STEPS, Order, State, Step, WorkFolder

EVERY_S = 0.5  # Between two reports of how far a step is.


class Report:
    """Tells how far the work is, and keeps count of the time over restarts.

    Args:
        work: Its folder.
        order: What is done.
    """

    def __init__(self, work: WorkFolder, order: Order) -> None:
        before = work.state()
        self._work, self._start = work, time.monotonic()
        self._earlier = 0.0 if before is None else before.elapsed_s
        self._state = State(order.id, steps=[Step(name) for name in STEPS[order.kind]], pid=os.getpid())
        self._reported = self._drawn = 0.0
        self._counted: tuple[str, float, int] = ("", 0.0, 0)
        if before is not None:
            self.note("goes on where it was interrupted")
        self._put()

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """A step, from its begin to its end; what the block sets as its text is shown."""
        step = next(each for each in self._state.steps if each.name == name)
        step.state = "running"
        self._state.done, self._state.total, self._state.left_s = 0, None, None
        self._put()
        try:
            yield step
        except Exception:
            step.state = "failed"
            raise
        step.state = "done"
        self._put()

    def expect(self, seconds: float) -> None:
        """Says how long the running step will take, until that can be told by how far it is."""
        self._state.left_s = seconds
        self._put()

    def progress(self, step: str, done: int, total: int | None = None, loss: float | None = None) -> None:
        """Takes note of how far a step is; see `edgekd.progress.Progress`."""
        now = time.monotonic()
        due = now - self._drawn >= max(EVERY_S, self._elapsed() / MOST_POINTS)
        if loss is not None and (due or done == total):
            self._drawn = now
            self._work.note({"t": round(self._elapsed(), 2), "loss": loss, "iteration": done})
        if step != self._counted[0]:
            self._counted = (step, now, done)
            self.note(step)
        _, since, first = self._counted
        self._state.done, self._state.total = done, total
        if total is not None and done > first:
            self._state.left_s = (total - done) * (now - since) / (done - first)
        if now - self._reported >= EVERY_S:
            self._put()

    def note(self, text: str) -> None:
        """Adds a line to what people read."""
        self._work.note({"time_utc_ms": Clock().utc_ms(), "text": text})

    def end(self, state: str, error: str = "") -> None:
        """Tells that the work is over: "done", "failed" or "stopped"."""
        assert state in ("done", "failed", "stopped")
        self._state.state, self._state.error = state, error  # type: ignore[assignment]
        self._state.left_s, self._state.ended_utc_ms = None, Clock().utc_ms()
        if error:
            self.note(error)
        self._put()

    def interrupted(self) -> None:
        """Tells how far it was when the process had to end; whoever starts it again goes on from there."""
        self._put()

    def _elapsed(self) -> float:
        return self._earlier + time.monotonic() - self._start

    def _put(self) -> None:
        self._reported = time.monotonic()
        self._state.elapsed_s = round(self._elapsed(), 2)
        self._work.put_state(self._state)


class NotesLog(logging.Handler):
    """Lets people read what edgekd logs while it works.

    Args:
        report: Where it goes.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(logging.INFO)
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        self._report.note(record.getMessage())
