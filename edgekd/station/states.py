"""The states of a station, and which follows which."""

from __future__ import annotations

import enum
from collections.abc import Mapping


class State(enum.IntEnum):
    """What a station is doing; the number is what a PLC reads."""

    STARTING = 1
    OFFLINE = 2
    NO_JOB = 3
    LOADING = 4
    SELF_TEST = 5
    READY = 6
    RUNNING = 7
    BLOCKED = 8
    FAULT = 9
    HALTED = 10


# A fatal cause leads from anywhere to FAULT. Offline, asked for during a part, waits for the part's end.
FOLLOWING: Mapping[State, frozenset[State]] = {
    State.STARTING: frozenset({State.OFFLINE, State.FAULT}),
    State.OFFLINE: frozenset({State.LOADING, State.NO_JOB, State.HALTED, State.FAULT}),
    State.NO_JOB: frozenset({State.LOADING, State.OFFLINE, State.FAULT}),
    State.LOADING: frozenset({State.SELF_TEST, State.NO_JOB, State.OFFLINE, State.FAULT}),
    State.SELF_TEST: frozenset({State.READY, State.BLOCKED, State.OFFLINE, State.FAULT}),
    State.READY: frozenset({State.RUNNING, State.LOADING, State.SELF_TEST, State.BLOCKED, State.OFFLINE, State.FAULT}),
    State.RUNNING: frozenset({State.READY, State.OFFLINE, State.FAULT}),
    State.BLOCKED: frozenset({State.SELF_TEST, State.READY, State.LOADING, State.OFFLINE, State.FAULT}),
    State.FAULT: frozenset({State.OFFLINE}),
    State.HALTED: frozenset({State.STARTING}),
}
