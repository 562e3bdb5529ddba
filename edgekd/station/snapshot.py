"""What a station shows at one moment; every counterpart reads this and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.parts import Outcome
from edgekd.station.states import State


@dataclass(frozen=True)
class Counters:
    """Parts since the last reset; `total` is always the sum of the three.

    Attributes:
        since_utc_ms: Of the last reset.
        missed: Triggers that came while the station was not ready.
        ng_in_a_row: NG since the last other verdict.
        errors_in_a_row: ERROR since the last other verdict.
    """

    ok: int = 0
    ng: int = 0
    error: int = 0
    missed: int = 0
    ng_in_a_row: int = 0
    errors_in_a_row: int = 0
    since_utc_ms: int = 0

    @property
    def total(self) -> int:
        """All verdicts."""
        return self.ok + self.ng + self.error


@dataclass(frozen=True)
class Alarm:
    """Something that people must know; it stays until its cause is gone and, where it stopped the line, confirmed.

    Attributes:
        code: What it is.
        text: What happened and what to do, in one line.
        since_utc_ms: When it began.
        fatal: Whether it led to FAULT.
        active: Whether its cause is still there.
        acknowledged_by: Who has seen it; "" for nobody.
    """

    code: ErrorCode
    text: str
    since_utc_ms: int
    fatal: bool = False
    active: bool = True
    acknowledged_by: str = ""


@dataclass(frozen=True)
class SelfTestRun:
    """A self-test that ended.

    Attributes:
        kind: "stored" or "master".
        passed: Whether all was as expected.
        text: How it went, in one line.
        ended_utc_ms: When.
    """

    kind: str
    passed: bool
    text: str
    ended_utc_ms: int


@dataclass(frozen=True)
class Loaded:
    """The recipe that judges.

    Attributes:
        job: What the PLC asks for.
        recipe_id: Its name.
        revision: Of it.
        digest: Of the recipe and its files.
        product: In words.
        artifact: Name of the detector's file.
        artifact_sha256: Its hash.
        system: Such as "hkt".
    """

    job: int
    recipe_id: str
    revision: int
    digest: str
    product: str = ""
    artifact: str = ""
    artifact_sha256: str = ""
    system: str = ""


@dataclass(frozen=True)
class Snapshot:
    """One consistent view of a station.

    Attributes:
        station: Its name.
        state: What it is doing.
        online: Whether somebody asked for it to run.
        trigger_ready: Whether a trigger would be taken now.
        acquiring: Whether the image is being taken.
        exposure_done: Whether the part of the acquisition under way may move.
        busy: Whether a part is in work.
        results_ready: Whether `outcome` waits to be acknowledged.
        outcome: The last published answer; None after a start.
        missed_trigger: Whether a trigger was missed since this was cleared.
        overrun: Whether a trigger came while a result waited.
        job_wanted: The job that is to judge, loaded or not yet; 0 for none. None where that is not known.
        job_failed: Why the last change of job failed; NONE where it did not.
        stop_line: Whether a stop rule of the recipe asks the line to stop.
        self_test_due: Whether a self-test is overdue.
        master_due: Whether the master-part test is due; then `self_test_due` is set too.
        self_test_failed: Whether the last one failed.
        self_test_minutes: Minutes since the last that passed; None where there was none.
        self_test_last: The last that ended, of either kind; None after a start.
        master_test: Whether the next parts are those of a master-part test.
        storage_low: Whether images are no longer kept for want of room.
        storage_free: Share of the disk that is free, 0 to 1.
        simulated: Whether what happens here is not a line's own.
        simulator: Whether the whole station is a simulator, as `edgekd station --simulate` starts it.
        clock_jumped: Whether the wall clock jumped since the start.
        recipe: What is loaded; None for nothing.
        counters: Since their reset.
        alarms: Those that are active or not confirmed, the oldest first.
        links: Whether each counterpart is there, by its name: plc, camera NAME, inspector, broker, disk, clock.
        uptime_s: Seconds since the start.
    """

    station: str
    state: State = State.STARTING
    online: bool = False
    trigger_ready: bool = False
    acquiring: bool = False
    exposure_done: bool = False
    busy: bool = False
    results_ready: bool = False
    outcome: Outcome | None = None
    missed_trigger: bool = False
    overrun: bool = False
    job_wanted: int | None = None
    job_failed: ErrorCode = ErrorCode.NONE
    stop_line: bool = False
    self_test_due: bool = False
    master_due: bool = False
    self_test_failed: bool = False
    self_test_minutes: float | None = None
    self_test_last: SelfTestRun | None = None
    master_test: bool = False
    storage_low: bool = False
    storage_free: float = 1.0
    simulated: bool = False
    simulator: bool = False
    clock_jumped: bool = False
    recipe: Loaded | None = None
    counters: Counters = field(default_factory=Counters)
    alarms: tuple[Alarm, ...] = ()
    links: tuple[tuple[str, bool], ...] = ()
    uptime_s: float = 0.0

    @property
    def fault(self) -> ErrorCode:
        """What led to FAULT; NONE elsewhere."""
        return next((alarm.code for alarm in self.alarms if alarm.fatal), ErrorCode.NONE)

    @property
    def shows_ok(self) -> bool:
        """Whether a PLC may see the last answer as OK: never a simulated one, unless the PLC is simulated too."""
        if self.outcome is None or (self.outcome.simulated and not self.simulator):
            return False
        return self.outcome.verdict is Verdict.OK

    @property
    def warning(self) -> bool:
        """Whether an alarm is active that stops nothing."""
        return any(alarm.active and not alarm.fatal for alarm in self.alarms)
