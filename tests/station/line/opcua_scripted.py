"""A station that does what a test tells it, for the tests of its counterparts on the line."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

from edgekd.result import Region, Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.events import (
    EventStream,
    ExposureDone,
    LinkChanged,
    Published,
    RecipeChanged,
    Started,
    StateChanged,
)
from edgekd.station.parts import Acquisition, Inspected, Outcome, Part
from edgekd.station.ports import Reply
from edgekd.station.snapshot import Alarm, Loaded, Snapshot
from edgekd.station.states import State

RECIPES = (
    Loaded(1, "bolt", 3, "ab" * 32, "M8 bolt"),
    Loaded(2, "nut", 1, "cd" * 32, "M8 nut"),
)
T0 = 1_700_000_000_000


class ScriptedStation:
    """Implements StationPort; `asked` holds every request, and a part is finished by `finish`."""

    def __init__(self, name: str = "press", state: State = State.OFFLINE) -> None:
        self.name = name
        self.events = EventStream()
        self.asked: list[tuple[Any, ...]] = []
        self.refuse = ErrorCode.NONE
        self._shown = Snapshot(name, state)
        self._results = 100
        self._acquisition: Acquisition | None = None

    def snapshot(self) -> Snapshot:
        return self._shown

    def show(self, **changes: Any) -> None:
        self._shown = replace(self._shown, **changes)

    def go(self, state: State, cause: str = "", **changes: Any) -> None:
        """Changes the state."""
        before = self._shown.state
        self.show(state=state, trigger_ready=state is State.READY, **changes)
        self.events.publish(StateChanged(before, state, cause))

    def load(self, recipe: Loaded | None = RECIPES[0]) -> None:
        """Changes over to a recipe."""
        self.go(State.LOADING, recipe=None)
        self.show(recipe=recipe)
        self.events.publish(RecipeChanged(recipe))
        if recipe is None:
            self.go(State.NO_JOB)
            return
        self.go(State.SELF_TEST)
        self.go(State.READY, online=True)

    def fail(self, code: ErrorCode, text: str) -> None:
        self.go(State.FAULT, text, alarms=(Alarm(code, text, T0, fatal=True),))

    def trigger(self, part: Part, source: Any) -> Reply:
        self.asked.append(("trigger", part, source))
        if self._shown.state is not State.READY or self.refuse:
            return Reply(self.refuse or ErrorCode.TRIGGER_NOT_READY, "not ready")
        recipe = self._shown.recipe
        assert recipe is not None
        number = self._results - 50
        acquisition = Acquisition(
            number, self.name, recipe.job, recipe.digest, part, source, time.monotonic(), T0, time.monotonic() + 0.5
        )
        self._acquisition = acquisition
        self.go(State.RUNNING, busy=True)
        self.events.publish(Started(acquisition))
        return Reply(acquisition_id=number)

    def expose(self) -> None:
        assert self._acquisition is not None
        self.events.publish(ExposureDone(self._acquisition.acquisition_id))

    def finish(self, verdict: Verdict = Verdict.OK, error: ErrorCode = ErrorCode.NONE, score: float = 0.25) -> Outcome:
        """Publishes the answer to the part in work."""
        acquisition, recipe = self._acquisition, self._shown.recipe
        assert acquisition is not None
        assert recipe is not None
        self._results += 1
        seen = Inspected(
            acquisition.acquisition_id,
            recipe.digest,
            error,
            score=math.nan if error else score,
            threshold=0.5,
            severity=score * 2,
            regions=(Region(50, (0, 0, 10, 5), (5.0, 2.5), 0.7),),
            pixels=(10, 20),
            timings={"acquire": 12.5},
        )
        outcome = Outcome(
            self._results,
            acquisition.acquisition_id,
            self.name,
            acquisition.part,
            recipe.job,
            recipe.recipe_id,
            recipe.revision,
            recipe.digest,
            verdict,
            error,
            "it failed" if error else "",
            seen,
            acquisition.source,
            T0,
            T0 + 80,
            80.0,
            self._shown.simulated,
        )
        self._acquisition = None
        counters = self._shown.counters
        counted = verdict.value.lower()
        counters = replace(counters, **{counted: getattr(counters, counted) + 1})
        self.show(outcome=outcome, busy=False, results_ready=True, counters=counters)
        self.events.publish(Published(outcome))
        return outcome

    def acknowledge(self, source: str) -> None:
        self.asked.append(("acknowledge", source))
        if self._shown.results_ready:
            self.go(State.READY, results_ready=False)

    def change_job(self, job: int, source: str, who: str = "") -> Reply:
        self.asked.append(("change_job", job, source, who))
        self.load(next((recipe for recipe in RECIPES if recipe.job == job), None))
        return Reply()

    def set_online(self, online: bool, source: str, who: str = "") -> None:
        self.asked.append(("set_online", online, source, who))
        if online:
            self.load()
        else:
            self.go(State.OFFLINE, online=False)

    def clear_error(self, source: str, who: str = "") -> None:
        self.asked.append(("clear_error", source, who))
        if self._shown.state is State.FAULT and not any(alarm.active for alarm in self._shown.alarms):
            self.go(State.OFFLINE, alarms=())

    def simulate(self, on: bool, source: str, who: str = "") -> None:
        self.asked.append(("simulate", on, source, who))
        self.show(simulated=on)
        self.events.publish(LinkChanged("simulator", on))

    def halt(self, source: str, who: str = "") -> Reply:
        self.asked.append(("halt", source, who))
        self.go(State.HALTED)
        return Reply()

    def reset(self, source: str, who: str = "") -> Reply:
        self.asked.append(("reset", source, who))
        if self._shown.state is State.HALTED:
            self.go(State.STARTING)
        self.go(State.OFFLINE, online=False)
        return Reply()

    def abort(self, source: str, who: str = "") -> Reply:
        self.asked.append(("abort", source, who))
        self.finish(Verdict.ERROR, ErrorCode.ABORTED)
        return Reply()

    def report_link(self, name: str, up: bool) -> None:
        self.asked.append(("report_link", name, up))
        links = dict(self._shown.links)
        links[name] = up
        self.show(links=tuple(links.items()))
        self.events.publish(LinkChanged(name, up))

    def enable_triggers(self, enabled: bool, source: str) -> None:
        self.asked.append(("enable_triggers", enabled, source))
