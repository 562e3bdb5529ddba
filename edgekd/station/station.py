"""A station: what counterparts on the line see of it and may ask of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from edgekd.station.alarms import Alarms
from edgekd.station.configuration import OneStation
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.events import (
    AlarmChanged,
    Event,
    EventStream,
    ImageStored,
    LinkChanged,
    RecipeChanged,
    Reviewed,
    SelfTestEnded,
)
from edgekd.station.links import Links
from edgekd.station.parts import Inspected, Part, TriggerSource
from edgekd.station.ports import Person, Reply, Snapped, StoredImage, Who
from edgekd.station.production import Production
from edgekd.station.recipes import CameraSettings
from edgekd.station.shared import Shared
from edgekd.station.snapshot import Counters, Snapshot
from edgekd.station.states import State
from edgekd.station.trail import Trail
from edgekd.station.work import Work

HIGHEST_JOB = 999
ACKNOWLEDGE_S = 10.0
IDLE_S = 5.0  # Without a trigger, after which a self-test that is due holds up nobody.
PATIENCE_S = 3600.0  # After which it is done between two parts.
# Where there is no PLC to trigger.
TRIES: tuple[TriggerSource, ...] = ("page", "simulator")


class Station:
    """A place where parts are inspected; implements `edgekd.station.ports.StationPort`.

    Everything here is called in the event loop and returns at once.

    Args:
        configuration: Of this station.
        shared: Inspector, record, clock.
        counters: From before the start.
        acknowledge_s: Seconds after which an answer that nobody has read is a WARNING.

    Attributes:
        name: Of the station.
        events: What happens.
    """

    def __init__(
        self,
        configuration: OneStation,
        shared: Shared,
        counters: Counters | None = None,
        acknowledge_s: float = ACKNOWLEDGE_S,
    ) -> None:
        self.name = configuration.name
        self.events = EventStream()
        self._configuration, self._shared = configuration, shared
        self._trail = Trail(self.name, shared.recorder, self._tell)
        self._alarms = Alarms(self._tell, shared.clock)
        self._work = Work(self.name, shared, self._tell, self._alarms, lambda: self._production.in_work)
        self._work.job = configuration.job
        first = counters or Counters(since_utc_ms=shared.clock.utc_ms())
        self._production = Production(self.name, shared, self._tell, self._alarms, self._work, acknowledge_s, first)
        self._production.enabled = configuration.trigger != "modbus"  # A PLC enables its triggers itself.
        self._links = Links(self._alarms, self._work, configuration.cameras)
        self._free = 1.0
        self._clock_jumped = False
        self._started = shared.clock.now()
        shared.recorder.listen(self._record_writable)

    def start(self) -> None:
        """The process is up: OFFLINE, and online by itself where the configuration says so."""
        self._work.started()
        if self._configuration.start_online:
            self.set_online(True, "configuration")

    async def close(self) -> None:
        """Finishes the part in work and rests."""
        self.set_online(False, "stop")
        await self._production.close()
        await self._work.close()

    def snapshot(self) -> Snapshot:
        """What the station shows now, of one moment."""
        work, production = self._work, self._production
        cycle, tests = production.cycle, work.tests
        return Snapshot(
            station=self.name,
            state=work.state,
            online=work.online,
            trigger_ready=production.ready,
            acquiring=cycle is not None and cycle.in_work and not cycle.exposed,
            exposure_done=cycle is not None and cycle.exposed,
            busy=production.in_work,
            results_ready=production.results_ready,
            outcome=production.outcome,
            missed_trigger=production.missed,
            overrun=production.overrun,
            job_wanted=work.job or 0,
            job_failed=work.job_failed,
            stop_line=production.consequences.stop_line,
            self_test_due=work.judge is not None and tests.due,
            master_due=work.judge is not None and tests.master_due,
            self_test_failed=work.judge is not None and tests.failed,
            self_test_minutes=tests.minutes,
            self_test_last=work.last_test,
            master_test=work.judge is not None and tests.master is not None,
            storage_low=not production.consequences.keeps_images,
            storage_free=self._free,
            simulated=production.simulated,
            simulator=self._shared.simulator,
            clock_jumped=self._clock_jumped,
            recipe=None if work.judge is None else work.judge.loaded,
            counters=production.counters,
            alarms=self._alarms.listed(),
            links=self._links.listed(),
            uptime_s=self._shared.clock.now() - self._started,
        )

    def trigger(self, part: Part, source: TriggerSource) -> Reply:
        """Asks for an inspection; a refused one is an ERROR on record, under the same part id."""
        master = self._configuration.trigger
        if source != master and not (source in TRIES and self._production.simulated):
            return Reply(ErrorCode.TRIGGER_DISABLED, f"station {self.name} takes its triggers from {master}")
        return self._production.trigger(part, source)

    def trigger_by_camera(self, received: float) -> None:
        """Asks for an inspection of the image that came, which is its own trigger.

        Args:
            received: `time.monotonic()` at which it came.
        """
        cycle = self._production.cycle
        if cycle is not None and cycle.acquisition.source in TRIES:
            return  # It is the image of a part that somebody tries.
        self._production.trigger(Part(), "camera", received)

    def enable_triggers(self, enabled: bool, source: str) -> None:
        """Disabled: the handshake is reset and results that were not read are dropped as unread.

        Only whoever triggers the station may do so: a PLC's coil, which is 0 at first, disables no timer.
        """
        if source == self._configuration.trigger:
            self._production.enable(enabled)

    def acknowledge(self, source: str) -> None:
        """The last answer was read; without this none follows."""
        self._production.acknowledge()

    def abort(self, source: str, who: Who = "") -> Reply:
        """Ends the part in work at once, with an ERROR that says so."""
        if not self._production.abort():
            return Reply(ErrorCode.TRIGGER_NOT_READY, "no part is in work")
        self._trail.note("abort", source, who)
        return Reply()

    def change_job(self, job: int, source: str, who: Who = "") -> Reply:
        """Asks for another recipe, after the part in work; the events tell when it judges or why it failed."""
        if not 0 <= job <= HIGHEST_JOB:
            return Reply(ErrorCode.JOB_UNKNOWN, f"a job is 1 to {HIGHEST_JOB}, or 0 for none, got {job}")
        if self._work.state is State.HALTED:
            return Reply(ErrorCode.SYSTEM, "the station is halted: reset it first")
        self._trail.note("change job", source, who, old=str(self._work.job or 0), new=str(job))
        self._trail.expect_loading(source, who)
        self._work.change_job(job or None)
        return Reply()

    def set_online(self, online: bool, source: str, who: Who = "") -> None:
        """Goes online, or offline after the part in work."""
        if online is not self._work.online:
            self._trail.note("online" if online else "offline", source, who)
            self._trail.expect_loading(source, who)
        self._work.set_online(online)

    def clear_error(self, source: str, who: Who = "") -> None:
        """Clears what was missed, and FAULT where its cause is gone."""
        self._trail.note("clear error", source, who, old=self._work.state.name)
        self._trail.expect_loading(source, who)
        self._production.clear()
        self._alarms.end(ErrorCode.CLOCK_JUMPED)
        self._work.clear_fault()

    def start_self_test(self, source: str, who: Who = "") -> Reply:
        """Starts the stored self-test, after the part in work."""
        if self._work.judge is None:
            return Reply(ErrorCode.JOB_UNKNOWN, "no recipe is loaded: choose a job first")
        if self._work.state not in (State.READY, State.RUNNING, State.BLOCKED):
            return Reply(ErrorCode.TRIGGER_NOT_READY, f"the station is {self._work.state.name}: wait until it is ready")
        self._trail.note("self-test", source, who)
        self._work.start_self_test()
        return Reply()

    def start_master_test(self, source: str, who: Who = "") -> Reply:
        """Starts the master-part test: the next parts are the recipe's master parts, in their order."""
        if why_not := self._work.start_master_test():
            return Reply(ErrorCode.TRIGGER_NOT_READY, why_not)
        self._trail.note("master-part test", source, who)
        return Reply()

    def reset_counters(self, source: str, who: Who = "") -> None:
        """Counts from zero."""
        counted = self._production.counters
        old = f"total {counted.total}, OK {counted.ok}, NG {counted.ng}, ERROR {counted.error}"
        self._trail.note("reset counters", source, who, old=old)
        self._production.reset_counters()

    def confirm_reject(self, part_id: int) -> None:
        """The line's sensor saw this part fall out."""
        self._trail.note("reject confirmed", "plc", subject=f"part {part_id}")

    def simulate(self, on: bool, source: str, who: Who = "") -> None:
        """Marks what follows as simulated: never OK on the wire."""
        if on is not self._production.simulating:
            self._trail.note("simulation on" if on else "simulation off", source, who)
        self._production.simulating = on

    def halt(self, source: str, who: Who = "") -> Reply:
        """Ends work so that the power may be switched off."""
        if self._work.state is State.FAULT:
            return Reply(ErrorCode.SYSTEM, "the station is in FAULT: acknowledge the error first")
        self._trail.note("halt", source, who)
        self._work.halt()
        return Reply()

    def reset(self, source: str, who: Who = "") -> Reply:
        """Starts anew: after `halt`, from FAULT where its cause is gone, else to OFFLINE after the part in work."""
        self._trail.note("reset", source, who, old=self._work.state.name)
        self._work.reset()
        self._work.clear_fault()
        return Reply()

    def release(self, who: Who, reason: str) -> Reply:
        """An engineer lets a blocked station run although its self-test failed."""
        if self._work.state is not State.BLOCKED:
            return Reply(ErrorCode.TRIGGER_NOT_READY, f"the station is {self._work.state.name}, and not blocked")
        if not _name(who) or not reason:
            return Reply(ErrorCode.SELF_TEST_FAILED, "a release needs a name and a reason")
        self._trail.note("release", "engineer", who, old=State.BLOCKED.name, new=State.READY.name, why=reason)
        self._work.release()
        return Reply()

    def acknowledge_alarm(self, code: ErrorCode, who: Who) -> None:
        """Somebody has seen an alarm; this clears nothing."""
        if self._alarms.acknowledge(code, _name(who)):
            self._trail.note("acknowledge alarm", "page", who, subject=f"alarm {code.value}")

    async def review(self, result_id: int, label: str, note: str, who: Person) -> bool:
        """Puts on record what somebody found a part to be. Returns whether it is there."""
        recorder = self._shared.recorder
        if not await recorder.put(partial(recorder.record.review, result_id, who.name, label, note)):
            return False
        self._trail.note("review", "page", who, subject=f"result {result_id}", new=label, why=note)
        self._tell(Reviewed(result_id, who.name, label, note))
        return True

    async def audit(self, action: str, subject: str, old: str, new: str, why: str, who: Person) -> bool:
        """Puts a change on record that was made elsewhere, such as a user's. Returns whether it is there."""
        return await self._trail.write(who, action, subject, old, new, why)

    async def snap(self, camera: str, settings: CameraSettings, path: Path, who: Who = "") -> Snapped:
        """Takes an image with a camera and writes it to a file; only while the station judges nothing."""
        if camera not in self._configuration.cameras:
            raise StationError(ErrorCode.SYSTEM, f"station {self.name} has no camera {camera}: name one of its own")
        if self._work.state not in (State.OFFLINE, State.NO_JOB) or self._production.in_work:
            state = self._work.state.name
            raise StationError(ErrorCode.TRIGGER_NOT_READY, f"the station is {state}: take it offline, then try again")
        return await self._shared.inspector.snap(self.name, camera, settings, path)

    def watch(self, watched: bool) -> None:
        """Somebody looks at the newest images of the station, or nobody does any more."""
        self._shared.inspector.watch(self.name, watched)

    def hold_triggers(self, cause: ErrorCode, held: bool) -> None:
        """Takes no trigger while this cause holds, and warns of it."""
        if held:
            self._production.holds.add(cause)
            self._alarms.begin(cause, subject="hold")
        else:
            self._production.holds.discard(cause)
            self._alarms.end(cause, "hold")

    def report_link(self, name: str, up: bool) -> None:
        """A counterpart came or went."""
        if self._links.report(name, up):
            self._tell(LinkChanged(name, up))

    def report_fault(self, code: ErrorCode, text: str, active: bool = True, subject: str = "") -> None:
        """Something fatal began, or ended."""
        if not self._links.concerns(subject):
            return
        if active:
            self._work.fail(code, text, subject)
        else:
            self._alarms.end(code, subject)

    def report_warning(self, code: ErrorCode, text: str, subject: str = "") -> None:
        """Something that people must know, and that stops nothing, until the next start.

        Args:
            code: What.
            text: In one line, with what to do.
            subject: What it is about.
        """
        self._alarms.begin(code, text, subject)

    def report_late(self, inspected: Inspected) -> None:
        """The inspector answered after an ERROR had gone out in place of its answer."""
        self._production.late(inspected)

    def report_stored(self, image: StoredImage) -> bool:
        """An image was stored. Returns whether it is of this station."""
        event = ImageStored(image.result_id, image.kind)
        return self._production.consequences.stored(image, lambda: self._tell(event))

    def report_storage(self, free: float, keep_images: bool) -> None:
        """The share of the disk that is free, and whether images may still be kept."""
        self._free = free
        self._production.consequences.keeps_images = keep_images
        if keep_images:
            self._alarms.end(ErrorCode.STORAGE_FULL)
        else:
            self._alarms.begin(ErrorCode.STORAGE_FULL, "The disk is nearly full: no images are kept. Free some space.")

    def tick(self, clock_jumped: bool = False) -> None:
        """Looks once a second at what nobody reports.

        Args:
            clock_jumped: Whether the wall clock was set since the last time.
        """
        if clock_jumped:
            self._clock_jumped = True
            self._alarms.begin(ErrorCode.CLOCK_JUMPED)
            self.report_link("clock", False)
        work, tests = self._work, self._work.tests
        if work.judge is not None and tests.due:
            self._alarms.begin(ErrorCode.SELF_TEST_DUE)
        else:
            self._alarms.end(ErrorCode.SELF_TEST_DUE)
        idle = self._shared.clock.now() - self._production.last_trigger >= IDLE_S
        if work.takes_parts and tests.overdue_s() >= (0.0 if idle else PATIENCE_S):
            work.start_self_test()

    def _tell(self, event: Event) -> None:
        """Tells everybody who listens, and the record what belongs there."""
        self.events.publish(event)
        if isinstance(event, RecipeChanged) and event.recipe is not None:
            self._trail.note_recipe(event.recipe)
        if isinstance(event, (AlarmChanged, SelfTestEnded)):
            self._shared.recorder.add(partial(self._shared.recorder.record.note, event, self.name))

    def _record_writable(self, writable: bool) -> None:
        if writable:
            self._alarms.end(ErrorCode.ROW_NOT_WRITTEN)
        else:
            self._alarms.begin(ErrorCode.ROW_NOT_WRITTEN)
        self.report_link("disk", writable)


def _name(who: Who) -> str:
    return who.name if isinstance(who, Person) else who
