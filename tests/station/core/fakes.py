"""An inspector whose answers the test decides, a record and recipes in memory, and a station with them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgekd.errors import MachineError
from edgekd.station.clock import Clock
from edgekd.station.configuration import OneStation
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.events import Event
from edgekd.station.parts import Acquisition, Inspected, Outcome, Part
from edgekd.station.ports import Released, SelfTestReport, Snapped
from edgekd.station.recipes import CameraSettings, Detector, Recipe, Release, SelfTests, StopRules
from edgekd.station.recorder import Recorder
from edgekd.station.shared import Numbers, Shared
from edgekd.station.snapshot import Counters, Loaded
from edgekd.station.states import State
from edgekd.station.station import Station

SECONDS = 5.0
JOB = 7
GOOD, BAD = 0.2, 0.9
THRESHOLD = 0.5


def run(test: Coroutine[Any, Any, None]) -> None:
    """Runs a test in an event loop, for a few seconds at most."""
    asyncio.run(asyncio.wait_for(test, 2 * SECONDS))


async def until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Waits until something holds, turn by turn of the event loop."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        await asyncio.sleep(0)


@dataclass
class FakeRecipes:
    """Released recipes by their jobs."""

    recipes: dict[int, Released] = field(default_factory=dict)

    def put(self, job: int = JOB, deadline_ms: float = 2000, **fields: Any) -> None:
        recipe = Recipe(
            id=f"part-{job}",
            job=job,
            revision=1,
            status=fields.pop("status", "released"),
            release=Release(by="engineer", at="2026-11-27", reason="first"),
            detector=Detector(artifact="detector.onnx"),
            cameras={"top": CameraSettings()},
            deadline_ms=deadline_ms,
            **fields,
        )
        self.recipes[job] = Released(recipe, f"digest of {job}")

    def released(self, job: int) -> Released:
        if job not in self.recipes:
            raise StationError(ErrorCode.JOB_UNKNOWN, f"no released recipe for job {job}")
        return self.recipes[job]


@dataclass
class FakeInspector:
    """Answers as the test decides: at once by `answer`, or, where that is None, by `resolve` or never."""

    answer: Inspected | None = None
    loading: Exception | None = None
    load_waits: asyncio.Event | None = None
    passes: bool = True
    digest: str = ""
    loads: list[int] = field(default_factory=list)
    unloads: int = 0
    tests: int = 0
    kept: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    under_way: dict[int, asyncio.Future[Inspected]] = field(default_factory=dict)
    exposed: Callable[[], None] = lambda: None
    silent_for: float = 0.0
    watched: set[str] = field(default_factory=set)
    snaps: list[tuple[str, str, CameraSettings, Path]] = field(default_factory=list)

    async def start(self) -> None:
        pass

    async def load(self, station: str, job: int) -> Loaded:
        self.loads.append(job)
        if self.load_waits is not None:
            await self.load_waits.wait()
        if self.loading is not None:
            raise self.loading
        return Loaded(job, f"part-{job}", 1, self.digest or f"digest of {job}")

    async def unload(self, station: str) -> None:
        self.unloads += 1

    async def self_test(self, station: str) -> SelfTestReport:
        self.tests += 1
        return SelfTestReport(self.passes, "as expected" if self.passes else "ok.png: OK was expected, and it was NG")

    async def inspect(self, acquisition: Acquisition, exposed: Callable[[], None]) -> Inspected:
        self.exposed = exposed
        if self.answer is not None:
            return replace(
                self.answer, acquisition_id=acquisition.acquisition_id, recipe_digest=acquisition.recipe_digest
            )
        answer = self.under_way[acquisition.acquisition_id] = asyncio.get_running_loop().create_future()
        return await answer

    def keep(self, outcome: Outcome, wanted: tuple[str, ...]) -> None:
        self.kept.append((outcome.result_id, tuple(wanted)))

    async def snap(self, station: str, camera: str, settings: CameraSettings, path: Path) -> Snapped:
        self.snaps.append((station, camera, settings, path))
        if self.loading is not None:
            raise self.loading
        path.write_bytes(b"an image")
        return Snapped(480, 640, 8)

    def watch(self, station: str, watched: bool) -> None:
        (self.watched.add if watched else self.watched.discard)(station)

    async def stop(self) -> None:
        pass


@dataclass
class FakeRecord:
    """Rows in lists; `full` makes it refuse them, `writes` may make it slow."""

    full: bool = False
    slow: Callable[[], None] = lambda: None
    begun: list[Acquisition] = field(default_factory=list)
    rows: list[Outcome] = field(default_factory=list)
    delivered: list[tuple[int, str]] = field(default_factory=list)
    kept_late: list[tuple[int, Inspected]] = field(default_factory=list)
    notes: list[tuple[Event, str]] = field(default_factory=list)
    audits: list[tuple[str, ...]] = field(default_factory=list)
    resets: list[str] = field(default_factory=list)
    reviews: list[tuple[int, str, str, str]] = field(default_factory=list)
    closed: bool = False

    def _room(self) -> None:
        if self.full:
            raise MachineError("the disk is full")

    def begin(self, acquisition: Acquisition, recipe: Loaded) -> None:
        self._room()
        self.begun.append(acquisition)

    def write(self, outcome: Outcome) -> None:
        self._room()
        self.slow()
        self.rows.append(outcome)

    def deliver(self, result_id: int, how: str) -> None:
        self._room()
        assert result_id in {row.result_id for row in self.rows}
        self.delivered.append((result_id, how))

    def late(self, result_id: int, inspected: Inspected) -> None:
        self._room()
        self.kept_late.append((result_id, inspected))

    def note(self, event: Event, station: str = "") -> None:
        self._room()
        self.notes.append((event, station))

    def audit(self, *words: str) -> None:
        self._room()
        self.audits.append(words)

    def review(self, result_id: int, who: str, label: str, note: str = "") -> None:
        self._room()
        if result_id not in {row.result_id for row in self.rows}:
            raise RuntimeError("no such answer")
        self.reviews.append((result_id, who, label, note))

    def reset_counters(self, station: str, since_utc_ms: int) -> None:
        self._room()
        self.resets.append(station)

    def close(self) -> None:
        self.closed = True


async def call(work: Callable[[], object]) -> object:
    """Calls the record at the next turn of the loop, in place of its thread."""
    await asyncio.sleep(0)
    return work()


async def call_in_thread(work: Callable[[], object]) -> object:
    """Calls the record in a thread, as a station does."""
    return await asyncio.to_thread(work)


def inspected(score: float = GOOD, **fields: Any) -> Inspected:
    """An answer without errors, for whichever part and recipe is asked."""
    return Inspected(0, score=score, threshold=fields.pop("threshold", THRESHOLD), **fields)


@dataclass
class Bench:
    """A station and what is around it."""

    station: Station
    inspector: FakeInspector
    record: FakeRecord
    recipes: FakeRecipes
    shared: Shared
    events: list[Event]

    @property
    def state(self) -> State:
        return self.station.snapshot().state

    def alarms(self) -> set[ErrorCode]:
        return {alarm.code for alarm in self.station.snapshot().alarms if alarm.active}

    def saw(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def ready(self) -> None:
        """Goes online and waits for READY."""
        self.station.enable_triggers(True, "modbus")
        self.station.set_online(True, "modbus")
        await until(lambda: self.station.snapshot().trigger_ready)

    async def part(self, part_id: int = 1, acknowledge: bool = True) -> Outcome:
        """Sends a part and waits for its answer."""
        reply = self.station.trigger(Part(part_id), "modbus")
        assert reply.code is ErrorCode.NONE, reply
        await until(lambda: self.station.snapshot().results_ready)
        outcome = self.station.snapshot().outcome
        assert outcome is not None
        assert outcome.acquisition_id == reply.acquisition_id
        if acknowledge:
            self.station.acknowledge("modbus")
        return outcome

    async def written(self) -> None:
        """Waits until everything is on record."""
        assert await self.shared.recorder.flush(SECONDS)


@contextlib.asynccontextmanager
async def bench(
    *,
    trigger: str = "modbus",
    job: int | None = JOB,
    stop: StopRules | None = None,
    self_tests: SelfTests | None = None,
    deadline_ms: float = 2000,
    clock: Clock | None = None,
    simulator: bool = False,
    counters: Counters | None = None,
    in_thread: bool = False,
    acknowledge_s: float = 10.0,
    answer: Inspected | None = None,
    online: bool = True,
) -> AsyncIterator[Bench]:
    """A station beside a PLC with one recipe, READY unless told otherwise."""
    inspector, record, recipes = FakeInspector(answer=answer), FakeRecord(), FakeRecipes()
    recipes.put(deadline_ms=deadline_ms, stop=stop or StopRules(), self_tests=self_tests or SelfTests())
    recorder = Recorder(record, call_in_thread if in_thread else call)
    shared = Shared(inspector, recorder, recipes, Numbers(), clock or Clock(), simulator)
    configuration = OneStation(name="press", cameras=("top",), trigger=trigger, job=job)
    station = Station(configuration, shared, counters, acknowledge_s)
    events: list[Event] = []
    publish = station.events.publish
    station.events.publish = lambda event: (events.append(event), publish(event))[1]
    made = Bench(station, inspector, record, recipes, shared, events)
    try:
        station.start()
        if online:
            await made.ready()
        yield made
    finally:
        record.full = False
        for answer in inspector.under_way.values():
            if not answer.done():
                answer.set_result(inspected())
        await station.close()
        await recorder.close()
