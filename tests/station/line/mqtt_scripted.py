"""A station that shows what a test wants, for the counterparts that publish it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from edgekd.result import Region, Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.events import CountersChanged, EventStream, Published
from edgekd.station.parts import Inspected, Outcome, Part
from edgekd.station.ports import Reply
from edgekd.station.snapshot import Alarm, Counters, Loaded, Snapshot
from edgekd.station.states import State

RECIPE = Loaded(job=7, recipe_id="cap", revision=3, digest="ab" * 32, product="Bottle cap")
CAMERA_LOST = Alarm(ErrorCode.CAMERA_LOST, "The camera does not answer.", since_utc_ms=1000, fatal=True)


class ScriptedStation:
    """A `StationPort` that keeps what it was asked for."""

    def __init__(self, name: str = "press1") -> None:
        self.name = name
        self.events = EventStream()
        self.shown = Snapshot(name, state=State.READY, online=True, recipe=RECIPE)
        self.links: list[tuple[str, bool]] = []
        self.asked: list[tuple[Any, ...]] = []
        self.answer = Reply()

    def snapshot(self) -> Snapshot:
        return self.shown

    def show(self, event: Any, **changes: Any) -> None:
        self.shown = dataclasses.replace(self.shown, **changes)
        self.events.publish(event)

    def publish(self, result_id: int, verdict: Verdict = Verdict.OK) -> None:
        """Publishes an answer and counts it."""
        counted = dataclasses.replace(self.shown.counters, ok=self.shown.counters.ok + 1)
        self.events.publish(Published(outcome_of(result_id, verdict, self.name)))
        self.show(CountersChanged(counted), counters=counted)

    def report_link(self, name: str, up: bool) -> None:
        self.links.append((name, up))

    def change_job(self, job: int, source: str, who: str = "") -> Reply:
        self.asked.append(("job", job, source, who))
        return self.answer

    def start_self_test(self, source: str, who: str = "") -> Reply:
        self.asked.append(("selftest", source, who))
        return self.answer


def outcome_of(result_id: int, verdict: Verdict = Verdict.OK, station: str = "press1") -> Outcome:
    """An answer; an ERROR has no score."""
    clean = verdict is not Verdict.ERROR
    inspected = Inspected(
        acquisition_id=result_id,
        score=0.25 if clean else math.nan,
        threshold=0.5,
        severity=0.4 if clean else math.inf,
        regions=tuple(Region(10 + n, (1, 2, 3, 4), (2.5, 4.0), 0.9 - n / 100) for n in range(18)),
        pixels=(480, 640),
        checks={"sharpness": 12.5, "shift": math.nan},
        timings={"acquire": 20.0, "inference": 5.0},
        camera="top",
        frame_id=result_id,
    )
    return Outcome(
        result_id=result_id,
        acquisition_id=result_id,
        station=station,
        part=Part(1000 + result_id, f"S{result_id}", "L1"),
        job=7,
        recipe_id="cap",
        revision=3,
        recipe_digest="ab" * 32,
        verdict=verdict,
        error=ErrorCode.NONE if clean else ErrorCode.ANSWER_LATE,
        error_text="" if clean else "The answer came too late.",
        inspected=inspected,
        source="modbus",
        triggered_utc_ms=1_700_000_000_000 + result_id,
        published_utc_ms=1_700_000_000_040 + result_id,
        total_ms=40.0,
    )


def counted(ok: int) -> Counters:
    """Counters after so many OK."""
    return Counters(ok=ok, since_utc_ms=5)
