"""What the parts of a station ask of each other, so that each can be built, read and tested alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from edgekd.station.error_codes import ErrorCode
from edgekd.station.events import Event, EventStream
from edgekd.station.parts import Acquisition, Inspected, Outcome, Part, TriggerSource
from edgekd.station.recipes import CameraSettings, Keep, Recipe
from edgekd.station.snapshot import Counters, Loaded, Snapshot

DEFAULT_KEEP = Keep()


@dataclass(frozen=True)
class Reply:
    """Whether a request was taken, and why not.

    Attributes:
        code: NONE where it was taken.
        text: In one line.
        acquisition_id: Of a trigger that was taken.
    """

    code: ErrorCode = ErrorCode.NONE
    text: str = ""
    acquisition_id: int = 0


@dataclass(frozen=True)
class Person:
    """Somebody who asks for something, for the audit trail.

    Attributes:
        name: Of the person.
        role: Of the person.
        address: Where the request came from.
    """

    name: str
    role: str = ""
    address: str = ""


Who: TypeAlias = str | Person  # Some counterparts know a name alone, or none.


@dataclass(frozen=True)
class Snapped:
    """An image that somebody asked a camera for, to look at it.

    Attributes:
        height, width: In pixels.
        bit_depth: Bits that its values use.
    """

    height: int
    width: int
    bit_depth: int


@dataclass(frozen=True)
class Released:
    """A released recipe as control read it itself, and what its files hash to."""

    recipe: Recipe
    digest: str


@dataclass(frozen=True)
class SelfTestReport:
    """How a self-test went: of each reference what was expected and what came, a line each where they differ."""

    passed: bool
    text: str
    differences: tuple[str, ...] = ()


class StationPort(Protocol):
    """What a counterpart on the line may see and ask; all calls return at once, in the event loop's thread."""

    name: str
    events: EventStream

    def snapshot(self) -> Snapshot:
        """What the station shows now."""

    def trigger(self, part: Part, source: TriggerSource) -> Reply:
        """Asks for an inspection; a refused one is an ERROR on record, under the same part id."""

    def enable_triggers(self, enabled: bool, source: str) -> None:
        """Disabled: the handshake is reset and results that were not read are dropped as unread.

        Only whoever triggers the station may do so: a PLC's coil, which is 0 at first, disables no timer.
        """

    def acknowledge(self, source: str) -> None:
        """The last answer was read; without this none follows."""

    def change_job(self, job: int, source: str, who: Who = "") -> Reply:
        """Asks for another recipe; the events tell when it judges or why it failed. Job 0 is none: nothing judges."""

    def set_online(self, online: bool, source: str, who: Who = "") -> None:
        """Goes online, or offline after the part in work."""

    def clear_error(self, source: str, who: Who = "") -> None:
        """Clears what was missed, and FAULT where its cause is gone."""

    def start_self_test(self, source: str, who: Who = "") -> Reply:
        """Starts the stored self-test."""

    def start_master_test(self, source: str, who: Who = "") -> Reply:
        """Starts the master-part test: the next parts are the recipe's master parts, in their order."""

    def reset_counters(self, source: str, who: Who = "") -> None:
        """Counts from zero."""

    def confirm_reject(self, part_id: int) -> None:
        """The line's sensor saw this part fall out."""

    def simulate(self, on: bool, source: str, who: Who = "") -> None:
        """Marks what follows as simulated: never OK on the wire."""

    def abort(self, source: str, who: Who = "") -> Reply:
        """Ends the part in work at once, with an ERROR that says so; what the inspector still answers is late."""

    def halt(self, source: str, who: Who = "") -> Reply:
        """Ends work so that the power may be switched off."""

    def reset(self, source: str, who: Who = "") -> Reply:
        """Starts anew after `halt`; elsewhere leads to OFFLINE after the part in work, and to no halt any more."""

    def acknowledge_alarm(self, code: ErrorCode, who: Who) -> None:
        """Somebody has seen an alarm; this clears nothing."""

    def hold_triggers(self, cause: ErrorCode, held: bool) -> None:
        """Takes no trigger while this cause holds, and warns of it; one that comes then is refused as not ready."""

    async def review(self, result_id: int, label: str, note: str, who: Person) -> bool:
        """Puts on record what somebody found a part to be. Returns whether it is there."""

    async def audit(self, action: str, subject: str, old: str, new: str, why: str, who: Person) -> bool:
        """Puts a change on record that was made elsewhere, such as a user's. Returns whether it is there."""

    async def snap(self, camera: str, settings: CameraSettings, path: Path, who: Who = "") -> Snapped:
        """Takes an image with a camera and writes it to a file; only while the station judges nothing.

        Raises:
            StationError: TRIGGER_NOT_READY where it may not be now; or the camera's own.
        """

    def watch(self, watched: bool) -> None:
        """Somebody looks at the newest images of the station, or nobody does any more."""

    def report_link(self, name: str, up: bool) -> None:
        """A counterpart came or went."""

    def report_fault(self, code: ErrorCode, text: str, active: bool = True, subject: str = "") -> None:
        """Something fatal began, or ended: a lost GPU, a camera that another program holds.

        Args:
            code: What.
            text: In one line, with what to do.
            active: Whether it began.
            subject: What it is about, such as "camera top"; when that link is up again, it has ended.
        """

    def release(self, who: Who, reason: str) -> Reply:
        """An engineer lets a blocked station run although its self-test failed."""


class InspectorPort(Protocol):
    """The process of cameras and engines, as control sees it. Nothing here raises but `StationError`, or hangs.

    What happens there unasked, such as a camera that is lost, it tells whoever it was made with.
    """

    @property
    def silent_for(self) -> float:
        """Seconds since its last sign of life; infinity while there is no process."""

    async def start(self) -> None:
        """Starts the process and opens the cameras."""

    async def load(self, station: str, job: int) -> Loaded:
        """Loads a released recipe, or takes the preloaded one, and warms it up. Checks its digest first.

        Raises:
            StationError: JOB_UNKNOWN, DIGEST_DIFFERS, LOADING_FAILED; then nothing is loaded for this station.
        """

    async def unload(self, station: str) -> None:
        """Judges nothing more for this station."""

    async def self_test(self, station: str) -> SelfTestReport:
        """Judges the references of the loaded recipe by the whole path."""

    async def inspect(self, acquisition: Acquisition, exposed: Callable[[], None]) -> Inspected:
        """Takes an image and judges it.

        Returns at the latest at the deadline, with an ERROR where there is no answer; a late one goes to `on_late`.

        Args:
            acquisition: What to take.
            exposed: Called when the part may move.
        """

    def keep(self, outcome: Outcome, wanted: Sequence[str]) -> None:
        """Asks for images of an acquisition ("original", "heat_map") to be stored; `on_stored` tells when they are."""

    async def snap(self, station: str, camera: str, settings: CameraSettings, path: Path) -> Snapped:
        """Takes an image with a camera, and writes it losslessly to a file; the recipe has to be loaded anew then.

        Raises:
            StationError: The camera's own.
        """

    def watch(self, station: str, watched: bool) -> None:
        """Has small images of a station's newest parts written, for somebody who looks at them, or no longer."""

    async def stop(self) -> None:
        """Closes cameras and engines and ends the process."""


@dataclass(frozen=True)
class StoredImage:
    """An image that was written to the disk.

    Attributes:
        result_id: Whose.
        kind: "original" or "heat_map".
        path: Relative to the data folder.
        sha256: Of the file.
        bytes: Its length.
    """

    result_id: int
    kind: str
    path: str
    sha256: str
    bytes: int


class RecordPort(Protocol):
    """The durable record; what returns has outlasted a power cut. Called from one thread of its own."""

    def begin(self, acquisition: Acquisition, recipe: Loaded) -> None:
        """Puts a trigger on record, so that its part is an ERROR if the station dies before it is judged."""

    def write(self, outcome: Outcome) -> None:
        """Puts an answer on record.

        Raises:
            MachineError: It cannot be written.
        """

    def deliver(self, result_id: int, how: str) -> None:
        """What became of an answer: acked, unread, late."""

    def late(self, result_id: int, inspected: Inspected) -> None:
        """Keeps what the inspector said of a part after its ERROR was published under this result id."""

    def note(self, event: Event, station: str = "") -> None:
        """Puts alarms and self-tests of a station on record."""

    def stored(self, image: StoredImage, keep: Keep = DEFAULT_KEEP) -> None:
        """Puts a stored image on record, beside its answer; `keep` is the recipe's, and says for how long."""

    def last_numbers(self) -> tuple[int, int]:
        """The highest result id and acquisition id on record; 0 for none."""

    def counters(self, station: str) -> Counters:
        """A station's counters, counted from its published answers since the last reset, those of self-tests left out.

        `missed` are those with the codes 401 to 403; they are errors too, but break and make no row of errors.
        """

    def reset_counters(self, station: str, since_utc_ms: int) -> None:
        """Counts from here."""

    def close(self) -> None:
        """Ends the record cleanly."""

    def audit(self, who: str, role: str, address: str, action: str, subject: str, old: str, new: str, why: str) -> None:
        """Puts a change on record, chained to the one before it."""

    def review(self, result_id: int, who: str, label: str, note: str = "") -> None:
        """Puts on record what a person found a part to be."""


class RecipesPort(Protocol):
    """Where recipes are kept."""

    def released(self, job: int) -> Released:
        """Reads the released recipe of a job and hashes its files; called in a thread.

        Raises:
            StationError: JOB_UNKNOWN, DIGEST_DIFFERS.
        """


class LinePort(Protocol):
    """A counterpart of the line: Modbus, OPC UA, MQTT, a webhook, outputs. Its failure is a warning and no more."""

    async def run(self) -> None:
        """Serves until it is cancelled."""
