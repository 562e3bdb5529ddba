"""What somebody beside the line does now, in one sentence."""

from __future__ import annotations

from typing import TypedDict

from edgekd.station.error_codes import ErrorCode
from edgekd.station.snapshot import Alarm, Snapshot
from edgekd.station.states import State

# Of states in which nothing is wrong.
STATES = {
    State.STARTING: "The station is starting: wait.",
    State.OFFLINE: "The station is offline: let it go online.",
    State.NO_JOB: "No recipe is loaded: choose one.",
    State.LOADING: "The recipe is being loaded: wait.",
    State.SELF_TEST: "The self-test is running: wait.",
    State.READY: "Ready for the next part.",
    State.RUNNING: "A part is being inspected.",
    State.BLOCKED: "The self-test failed: clean lens and lamp, then start it again.",
    State.FAULT: "The cause is gone: acknowledge the error.",
    State.HALTED: "The station is halted: the power may be switched off.",
}
MASTER_DUE = "A master-part test is due: start it, then let the parts pass."
MASTER_TEST = "Master-part test: let the master parts pass in their order."
NOT_READY = "The station waits for the PLC to enable its triggers."


class Advice(TypedDict):
    """What to do now.

    Attributes:
        code: The error code that it is about; 0 where nothing is wrong.
        text: In one sentence.
        key: What it is about, for translations: an error code such as "103", or a name such as "OFFLINE".
    """

    code: int
    text: str
    key: str


def advice_of(snapshot: Snapshot) -> Advice:
    """What somebody beside the line does now.

    Args:
        snapshot: Of the station.
    """
    alarm = _most_urgent(snapshot)
    if alarm is not None and alarm.code is ErrorCode.SELF_TEST_DUE and snapshot.master_due:
        return {"code": int(alarm.code), "text": MASTER_DUE, "key": "MASTER_DUE"}
    if alarm is not None:
        return {"code": int(alarm.code), "text": alarm.text, "key": str(int(alarm.code))}
    if snapshot.master_test and snapshot.state in (State.READY, State.RUNNING):
        return {"code": 0, "text": MASTER_TEST, "key": "MASTER_TEST"}
    if snapshot.state is State.READY and not snapshot.trigger_ready:
        return {"code": 0, "text": NOT_READY, "key": "NOT_ENABLED"}
    return {"code": 0, "text": STATES[snapshot.state], "key": snapshot.state.name}


def _most_urgent(snapshot: Snapshot) -> Alarm | None:
    """The alarm that somebody has to look at first: what stops the line, then what nobody has seen yet."""
    active = [alarm for alarm in snapshot.alarms if alarm.active]
    if snapshot.master_test:  # What is due is being done.
        active = [alarm for alarm in active if alarm.code is not ErrorCode.SELF_TEST_DUE]

    def rank(alarm: Alarm) -> tuple[bool, bool, bool]:
        stops = alarm.code is ErrorCode.STOP_RULE or (
            alarm.code is ErrorCode.SELF_TEST_FAILED and snapshot.state is State.BLOCKED
        )
        return alarm.fatal, stops, not alarm.acknowledged_by

    return max(active, key=rank, default=None)
