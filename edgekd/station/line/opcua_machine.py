"""A station's state as the two state machines of OPC 40100-1 show it, and the transitions between."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from edgekd.station.line.opcua_model import STATES, TRANSITIONS, Step
from edgekd.station.states import State

TOP, AUTOMATIC = "VisionStateMachineType", "VisionAutomaticModeStateMachineType"
AUTO = 0
# The cause in a transition's number, by the method that asked for it.
CAUSES = {
    "Reset": 1,
    "Halt": 1,
    "SelectModeAutomatic": 1,
    "PrepareRecipe": 1,
    "UnprepareRecipe": 1,
    "StartSingleJob": 1,
    "StartContinuous": 1,
    "Stop": 1,
    "Abort": 2,
}
_TOP_OF = {
    State.STARTING: "Preoperational",
    State.OFFLINE: "Preoperational",
    State.FAULT: "Error",
    State.HALTED: "Halted",
}
_SYSTEM_STATES = {State.READY: 1, State.RUNNING: 1, State.FAULT: 5, State.BLOCKED: 5}
_STANDING_BY = {State.NO_JOB, State.LOADING, State.SELF_TEST}
_BY_NUMBER: dict[int, tuple[str, str, Step]] = {
    step.number: (machine, name, step) for machine, steps in TRANSITIONS.items() for name, step in steps.items()
}


class Modes(NamedTuple):
    """Where the machines are: the upper one's state, and the automatic mode's, "" where that is not active."""

    top: str
    automatic: str = ""


class Change(NamedTuple):
    """A transition that was made."""

    machine: str
    name: str
    step: Step
    before: str
    after: str


def modes_of(state: State, continuous: bool) -> Modes:
    """Where the machines are.

    Args:
        state: Of the station.
        continuous: Whether parts follow each other without being asked for one by one.
    """
    if state in _TOP_OF:
        return Modes(_TOP_OF[state])
    if state in (State.READY, State.RUNNING):
        if continuous:
            return Modes("Operational", "ContinuousExecution")
        return Modes("Operational", "Ready" if state is State.READY else "SingleExecution")
    return Modes("Operational", "Initialized")


def system_state(state: State, simulated: bool) -> int:
    """The station's state by SEMI E10: PRD 1, SBY 2, ENG 3, UDT 5, NST 6."""
    if state in (State.FAULT, State.BLOCKED):
        return 5
    if simulated:
        return 3
    return _SYSTEM_STATES.get(state, 2 if state in _STANDING_BY else 6)


def changes(before: Modes, after: Modes, method: str = "") -> list[Change]:
    """The transitions that lead from one place to another, in their order.

    Args:
        before: Where the machines were.
        after: Where they are now.
        method: Which one asked for it; "" for none.
    """
    made: list[Change] = []
    automatic = before.automatic
    if before.top != after.top:
        top = [before.top, after.top]
        if not _exists(TOP, before.top, after.top):  # Halted is left for Preoperational alone, for one.
            top.insert(1, "Preoperational")
        for first, second in pairwise(top):
            made.append(_change(TOP, first, second, method))
        automatic = "Initialized" if after.automatic else ""
    if after.automatic and automatic != after.automatic:
        path = [automatic, after.automatic]
        if "Ready" not in path:
            path.insert(1, "Ready")
        for first, second in pairwise(path):
            made.append(_change(AUTOMATIC, first, second, method))
    return made


def _number(machine: str, first: str, second: str, cause: int) -> int:
    return STATES[machine][first].number * 100 + STATES[machine][second].number * 10 + cause


def _exists(machine: str, first: str, second: str) -> bool:
    return _number(machine, first, second, AUTO) in _BY_NUMBER


def _change(machine: str, first: str, second: str, method: str) -> Change:
    number = _number(machine, first, second, CAUSES.get(method, AUTO))
    known = _BY_NUMBER.get(number)
    if known is None or not _asks_for(method, known[1]):
        known = _BY_NUMBER[_number(machine, first, second, AUTO)]
    return Change(machine, known[1], known[2], first, second)


def _asks_for(method: str, transition: str) -> bool:
    """Whether a transition is one that a method asks for; others on the way there happen by themselves."""
    wanted = {
        "Reset": "ToPreoperational",
        "Halt": "ToHalted",
        "SelectModeAutomatic": "ToOperational",
        "PrepareRecipe": "InitializedToReadyRecipe",
        "UnprepareRecipe": "ReadyToInitializedRecipe",
        "StartSingleJob": "ReadyToSingleExecution",
        "StartContinuous": "ReadyToContinuousExecution",
        "Stop": "ToReadyStop",
        "Abort": "ToReadyAbort",
    }
    return method in wanted and transition.endswith(wanted[method])
