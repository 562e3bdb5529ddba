"""A station that does what a test says: it takes triggers and publishes outcomes, without a camera or an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.events import EventStream, Published, RecipeChanged, StateChanged
from edgekd.station.parts import Inspected, Outcome, Part, TriggerSource
from edgekd.station.ports import Reply
from edgekd.station.snapshot import Alarm, Loaded, Snapshot
from edgekd.station.states import State

DIGEST = "00112233445566778899" + "ab" * 22


def loaded(job: int = 7) -> Loaded:
    return Loaded(job=job, recipe_id="brackets", revision=3, digest=DIGEST)


def outcome_of(part: Part, verdict: Verdict = Verdict.OK, result_id: int = 1, **fields) -> Outcome:
    known = {
        "result_id": result_id,
        "acquisition_id": result_id + 100,
        "station": "left",
        "part": part,
        "job": 7,
        "recipe_id": "brackets",
        "revision": 3,
        "recipe_digest": DIGEST,
        "verdict": verdict,
        "error": ErrorCode.ENGINE_FAILED if verdict is Verdict.ERROR else ErrorCode.NONE,
        "error_text": "",
        "inspected": Inspected(result_id + 100, DIGEST, score=0.25, threshold=0.5, severity=0.4),
        "source": "modbus",
        "triggered_utc_ms": 1_700_000_000_000,
        "published_utc_ms": 1_700_000_000_050,
        "total_ms": 50.4,
    }
    return Outcome(**{**known, **fields})


class ScriptedStation:
    """Is ready as soon as triggers are enabled, until a test says otherwise.

    Args:
        name: Its name.
        answers: Verdicts that follow triggers at once, again and again; without any a test calls `finish`.
    """

    def __init__(self, name: str = "left", answers: Sequence[Verdict] = ()) -> None:
        self.name = name
        self.events = EventStream()
        self.requests: list[tuple[object, ...]] = []
        self.part: Part | None = None
        self.enabled = False
        self.held: set[ErrorCode] = set()
        self.results = 0
        self.jobs = {7, 8}
        self.loads_at_once = True
        self.shows = Snapshot(name, State.READY, online=True, recipe=loaded())
        self._answers = list(answers)

    def snapshot(self) -> Snapshot:
        free = self.part is None and not self.shows.results_ready
        return replace(self.shows, trigger_ready=self.enabled and free and not self.held)

    def trigger(self, part: Part, source: TriggerSource) -> Reply:
        self.requests.append(("trigger", part, source))
        if not self.snapshot().trigger_ready:
            missed = replace(self.shows.counters, missed=self.shows.counters.missed + 1)
            self.show(missed_trigger=True, counters=missed)
            return Reply(ErrorCode.TRIGGER_NOT_READY if self.enabled else ErrorCode.TRIGGER_DISABLED)
        self.part = part
        self.show(State.RUNNING, busy=True, acquiring=True)
        if self._answers:
            self._answers.append(verdict := self._answers.pop(0))
            self.finish(verdict)
        return Reply(acquisition_id=self.results + 101)

    def finish(self, verdict: Verdict = Verdict.OK, **fields) -> Outcome:
        """The part in work is judged."""
        assert self.part is not None
        self.results += 1
        outcome = outcome_of(self.part, verdict, self.results, **{"simulated": self.shows.simulated, **fields})
        self.part = None
        counters, name = self.shows.counters, verdict.value.lower()
        counters = replace(counters, **{name: getattr(counters, name) + 1})
        self.show(busy=False, acquiring=False, results_ready=True, outcome=outcome, counters=counters)
        self.events.publish(Published(outcome))
        return outcome

    def show(self, state: State | None = None, **fields) -> None:
        before, state = self.shows.state, state or self.shows.state
        self.shows = replace(self.shows, state=state, **fields)
        if state is not before:
            self.events.publish(StateChanged(before, state, "test"))

    def load(self, job: int) -> None:
        """A change of job ends well."""
        self.show(State.READY, recipe=loaded(job))
        self.events.publish(RecipeChanged(self.shows.recipe))

    def enable_triggers(self, enabled: bool, source: str) -> None:
        self.requests.append(("enable_triggers", enabled, source))
        self.enabled = enabled
        if not enabled:
            self.show(results_ready=False)

    def acknowledge(self, source: str) -> None:
        self.requests.append(("acknowledge", source))
        if self.shows.results_ready:
            self.show(State.READY, results_ready=False)

    def change_job(self, job: int, source: str, who: str = "") -> Reply:
        self.requests.append(("change_job", job))
        if job not in self.jobs:
            self.show(State.NO_JOB, job_failed=ErrorCode.JOB_UNKNOWN, recipe=None)
            return Reply(ErrorCode.JOB_UNKNOWN)
        self.show(State.LOADING, job_failed=ErrorCode.NONE, recipe=None)
        if self.loads_at_once:
            self.load(job)
        return Reply()

    def set_online(self, online: bool, source: str, who: str = "") -> None:
        self.requests.append(("set_online", online))
        self.show(online=online)

    def clear_error(self, source: str, who: str = "") -> None:
        self.requests.append(("clear_error",))
        self.show(missed_trigger=False, overrun=False)

    def start_self_test(self, source: str, who: str = "") -> Reply:
        self.requests.append(("start_self_test",))
        return Reply()

    def reset_counters(self, source: str, who: str = "") -> None:
        self.requests.append(("reset_counters",))

    def confirm_reject(self, part_id: int) -> None:
        self.requests.append(("confirm_reject", part_id))

    def simulate(self, on: bool, source: str, who: str = "") -> None:
        self.show(simulated=on)

    def start_master_test(self, source: str, who: str = "") -> Reply:
        return Reply()

    def halt(self, source: str, who: str = "") -> Reply:
        return Reply()

    def abort(self, source: str, who: str = "") -> Reply:
        return Reply()

    def acknowledge_alarm(self, code: ErrorCode, who: str) -> None:
        pass

    def report_fault(self, code: ErrorCode, text: str, active: bool = True, subject: str = "") -> None:
        pass

    def reset(self, source: str, who: str = "") -> Reply:
        return Reply()

    def hold_triggers(self, cause: ErrorCode, held: bool) -> None:
        self.requests.append(("hold_triggers", cause, held))
        (self.held.add if held else self.held.discard)(cause)
        self.show(alarms=tuple(Alarm(each, "", 0) for each in self.held))

    def report_link(self, name: str, up: bool) -> None:
        self.requests.append(("report_link", name, up))

    def release(self, who: str, reason: str) -> Reply:
        return Reply()
