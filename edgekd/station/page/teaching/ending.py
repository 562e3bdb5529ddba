"""How the process of the long work ended where it did so before its time: it cannot write that down itself."""

from __future__ import annotations

import datetime
import logging
import signal

from edgekd.station.clock import Clock
from edgekd.station.page.teaching.work_files import FINAL, STEPS, Ending, State, Step, WorkFolder

INTERRUPTED = 130  # The exit code of a process that was asked to end, which it notes itself.
logger = logging.getLogger(__name__)


def ending_of(code: int) -> Ending | None:
    """How a process ended, by what `subprocess` calls its return code; None where it was asked to.

    Args:
        code: The exit code; the number of the signal that ended it, below zero.
    """
    if code in (INTERRUPTED, -signal.SIGTERM):
        return None
    if code == -signal.SIGKILL:
        return Ending("killed", -code, f"ended by signal {-code} (perhaps the system ran out of memory)")
    if code < 0:
        return Ending("signal", -code, f"ended by signal {-code}{_name(-code)}")
    return Ending("exit", code, f"ended with exit code {code}; see worker.log in the project's folder")


def note_ending(work: WorkFolder, code: int) -> None:
    """Writes down how a process ended that left its work undone: for the page, in the notes and in its log.

    Args:
        work: Its folder; the lock is the caller's.
        code: As `ending_of` takes it.
    """
    order, ending = work.order(), ending_of(code)
    state = work.state()
    if order is None or ending is None or work.stop_asked or (state is not None and state.state in FINAL):
        return
    state = state or State(order.id, steps=[Step(name) for name in STEPS[order.kind]])
    state.ending, state.left_s = ending, None
    work.put_state(state, durable=True)
    text = f"the process of the work {ending.text}"
    work.note({"time_utc_ms": Clock().utc_ms(), "text": text})
    with work.log.open("a", encoding="utf-8") as log:
        log.write(f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S} WARNING {__name__}: {text}\n")
    logger.warning("%s: %s", work.folder.parent.name, text)


def _name(number: int) -> str:
    try:
        return f", {signal.Signals(number).name}"
    except ValueError:  # A real-time signal.
        return ""
