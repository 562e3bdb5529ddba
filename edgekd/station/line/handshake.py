"""The handshake with a PLC: edges of its bits become requests, what the station shows becomes bits. No input or output.

A trigger: TRIGGER rises, TRIGGER_ACK follows and falls with it; RESULTS_READY rises, the PLC reads, RESULTS_ACK rises,
RESULTS_READY falls, RESULTS_ACK falls. No time ends a step: what the PLC does not answer waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from edgekd.station.error_codes import ErrorCode
from edgekd.station.line.modbus_map import bit
from edgekd.station.parts import Part
from edgekd.station.snapshot import Snapshot
from edgekd.station.states import State

TRIGGER_ENABLE, TRIGGER, RESULTS_ACK = bit("TRIGGER_ENABLE"), bit("TRIGGER"), bit("RESULTS_ACK")
JOB_CHANGE, SET_ONLINE, CLEAR_ERROR = bit("JOB_CHANGE"), bit("SET_ONLINE"), bit("CLEAR_ERROR")
SELF_TEST, RESET_COUNTERS, REJECT_CONFIRMED = bit("SELF_TEST"), bit("RESET_COUNTERS"), bit("REJECT_CONFIRMED")
PLC_HEARTBEAT = bit("PLC_HEARTBEAT")
NO_JOB = 0  # May be asked for, and is what there is then.
WITHOUT_JOB = (State.NO_JOB, State.OFFLINE, State.FAULT, State.HALTED)  # Where a change of job that failed ends.
NOT_LOADING = (State.STARTING, *WITHOUT_JOB)  # Where it waits, so that going on from there is no failure.


@dataclass(frozen=True)
class EnableTriggers:
    """TRIGGER_ENABLE changed."""

    enabled: bool


@dataclass(frozen=True)
class TriggerPart:
    """TRIGGER rose."""

    part: Part


@dataclass(frozen=True)
class Acknowledge:
    """RESULTS_ACK rose after the result had been read."""


@dataclass(frozen=True)
class ChangeJob:
    """JOB_CHANGE rose."""

    job: int


@dataclass(frozen=True)
class SetOnline:
    """SET_ONLINE changed."""

    online: bool


@dataclass(frozen=True)
class ClearError:
    """CLEAR_ERROR rose."""


@dataclass(frozen=True)
class StartSelfTest:
    """SELF_TEST rose."""


@dataclass(frozen=True)
class ResetCounters:
    """RESET_COUNTERS rose."""


@dataclass(frozen=True)
class ConfirmReject:
    """REJECT_CONFIRMED rose."""

    part_id: int


Request: TypeAlias = (
    EnableTriggers
    | TriggerPart
    | Acknowledge
    | ChangeJob
    | SetOnline
    | ClearError
    | StartSelfTest
    | ResetCounters
    | ConfirmReject
)


@dataclass(frozen=True)
class Bits:
    """What the handshake itself shows the PLC, beside what the station shows."""

    trigger_ack: bool = False
    results_ready: bool = False
    job_ack: bool = False
    job_failed: ErrorCode = ErrorCode.NONE


class Handshake:
    """The handshake with one PLC; it knows its bits from before, so that it sees edges.

    Attributes:
        coils: What the PLC wrote last, a bit a coil.
    """

    def __init__(self) -> None:
        self.coils = 0
        self._trigger_ack = False
        self._read_result: int | None = None
        self._job: int | None = None  # That is being loaded.
        self._job_ack = False
        self._job_failed = ErrorCode.NONE
        self._failed_before = ErrorCode.NONE  # What the station said of a change of job before this one.

    def write(self, coils: int, job: int, part: Part, snapshot: Snapshot) -> list[Request]:
        """What the PLC asks for by writing its coils.

        Where it writes several at once, what prepares comes first and the trigger last.

        Args:
            coils: All of them, as they are now.
            job: That stands in its register.
            part: Likewise.
            snapshot: What the station shows.
        """
        before, self.coils = self.coils, coils
        rising, changed = coils & ~before, coils ^ before
        falling = before & ~coils
        if falling & (TRIGGER | TRIGGER_ENABLE):
            self._trigger_ack = False
        if falling & (JOB_CHANGE | TRIGGER_ENABLE):
            self._job, self._job_ack, self._job_failed = None, False, ErrorCode.NONE
        requests: list[Request] = []
        if changed & SET_ONLINE:
            requests.append(SetOnline(bool(coils & SET_ONLINE)))
        if changed & TRIGGER_ENABLE:
            requests.append(EnableTriggers(bool(coils & TRIGGER_ENABLE)))
        if rising & CLEAR_ERROR:
            requests.append(ClearError())
        if rising & RESET_COUNTERS:
            requests.append(ResetCounters())
        if rising & RESULTS_ACK and self._was_read(snapshot):
            requests.append(Acknowledge())
        if rising & REJECT_CONFIRMED:
            requests.append(ConfirmReject(part.part_id))
        if rising & JOB_CHANGE:
            self._job_ack, self._job_failed = False, ErrorCode.NONE
            requests.append(ChangeJob(job))
        if rising & SELF_TEST:
            requests.append(StartSelfTest())
        if rising & TRIGGER:
            self._trigger_ack = False
            requests.append(TriggerPart(part))
        return requests

    def read(self, snapshot: Snapshot) -> None:
        """The PLC read its inputs: a result that they showed may be acknowledged from now on."""
        if snapshot.outcome is not None and self._results_ready(snapshot):
            self._read_result = snapshot.outcome.result_id

    def trigger_answered(self, taken: bool) -> None:
        """The station took the trigger, or refused it."""
        self._trigger_ack = taken

    def job_answered(self, job: int, code: ErrorCode, snapshot: Snapshot) -> None:
        """The station began to load the job, or refused to.

        Args:
            job: That the PLC asked for.
            code: NONE, or why not.
            snapshot: What the station shows since then.
        """
        self._failed_before = snapshot.job_failed
        if code is ErrorCode.NONE:
            self._job = job
        else:
            self._job, self._job_failed = None, code

    def recipe_changed(self, job: int) -> None:
        """Another recipe judges now; 0 for none."""
        if self._job is not None and job == self._job:
            self._job, self._job_ack = None, True

    def state_changed(self, before: State, snapshot: Snapshot) -> None:
        """The station does something else now; the change of job failed where it dropped its recipe meanwhile.

        Likewise where another counterpart has asked for another job: the PLC would wait for its own without end.

        Args:
            before: What it did.
            snapshot: What it shows now, which may be something later.
        """
        if self._job is None:
            return
        overtaken = snapshot.job_wanted not in (None, self._job)
        if not overtaken and (before in NOT_LOADING or snapshot.state not in WITHOUT_JOB):
            return
        if self._job == NO_JOB and snapshot.state is State.NO_JOB:
            self.recipe_changed(NO_JOB)
        else:
            self._job, self._job_failed = None, snapshot.job_failed or ErrorCode.LOADING_FAILED

    def caught_up(self, snapshot: Snapshot) -> None:
        """Some of what happened was missed: what the station shows now has to do."""
        if snapshot.recipe is not None and snapshot.state is not State.LOADING:
            self.recipe_changed(snapshot.recipe.job)
        self.state_changed(State.LOADING, snapshot)

    def bits(self, snapshot: Snapshot) -> Bits:
        """What the PLC reads."""
        return Bits(
            trigger_ack=self._trigger_ack,
            results_ready=self._results_ready(snapshot),
            job_ack=self._job_ack,
            job_failed=self._failure(snapshot),
        )

    def _failure(self, snapshot: Snapshot) -> ErrorCode:
        """Why the last change of job failed, whoever asked for it; while one is under way nothing of the one before."""
        if self._job_ack:
            return ErrorCode.NONE
        if self._job is not None and snapshot.job_failed is self._failed_before:
            return ErrorCode.NONE
        return self._job_failed or snapshot.job_failed

    def _results_ready(self, snapshot: Snapshot) -> bool:
        """A result shows only while RESULTS_ACK is 0, so that an ack of the one before never counts for it."""
        return snapshot.results_ready and not self.coils & RESULTS_ACK

    def _was_read(self, snapshot: Snapshot) -> bool:
        result = snapshot.outcome.result_id if snapshot.outcome is not None else None
        return snapshot.results_ready and result is not None and result == self._read_result


class HeartbeatWatch:
    """Whether a PLC that promised to toggle a bit still does.

    Args:
        limit_s: Seconds of silence that are allowed; 0 where nothing is watched.
        now: `time.monotonic()`; from then on the PLC is expected.
    """

    def __init__(self, limit_s: float, now: float) -> None:
        self._limit_s = limit_s
        self._toggled = now

    def toggled(self, now: float) -> None:
        """The bit changed."""
        self._toggled = now

    def silent(self, now: float) -> bool:
        """Whether it has not changed for too long."""
        return self._limit_s > 0 and now - self._toggled > self._limit_s
