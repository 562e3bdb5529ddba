"""What the parts of a station ask of each other, so that each can be built, read and tested alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgekd.station.error_codes import ErrorCode
from edgekd.station.events import Event, EventStream
from edgekd.station.parts import Acquisition, Inspected, Outcome, Part, TriggerSource
from edgekd.station.snapshot import Loaded, Snapshot


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

    def enable_triggers(self, enabled: bool) -> None:
        """Disabled: the handshake is reset and results that were not read are dropped as unread."""

    def acknowledge(self, source: str) -> None:
        """The last answer was read; without this none follows."""

    def change_job(self, job: int, source: str, who: str = "") -> Reply:
        """Asks for another recipe; the events tell when it judges or why it failed."""

    def set_online(self, online: bool, source: str, who: str = "") -> None:
        """Goes online, or offline after the part in work."""

    def clear_error(self, source: str, who: str = "") -> None:
        """Clears what was missed, and FAULT where its cause is gone."""

    def start_self_test(self, source: str, who: str = "") -> Reply:
        """Starts the stored self-test."""

    def reset_counters(self, source: str, who: str = "") -> None:
        """Counts from zero."""

    def confirm_reject(self, part_id: int) -> None:
        """The line's sensor saw this part fall out."""

    def simulate(self, on: bool, source: str, who: str = "") -> None:
        """Marks what follows as simulated: never OK on the wire."""

    def halt(self, source: str, who: str = "") -> Reply:
        """Ends work so that the power may be switched off."""

    def reset(self, source: str, who: str = "") -> Reply:
        """Starts anew after `halt`."""

    def hold_triggers(self, cause: ErrorCode, held: bool) -> None:
        """Takes no trigger while this cause holds, and warns of it; one that comes then is refused as not ready."""

    def report_link(self, name: str, up: bool) -> None:
        """A counterpart came or went."""

    def release(self, who: str, reason: str) -> Reply:
        """An engineer lets a blocked station run although its self-test failed."""


class InspectorPort(Protocol):
    """The process of cameras and engines, as control sees it. Nothing here raises but `StationError`, or hangs."""

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

    def note(self, event: Event) -> None:
        """Puts alarms and self-tests on record."""

    def audit(self, who: str, role: str, address: str, action: str, subject: str, old: str, new: str, why: str) -> None:
        """Puts a change on record, chained to the one before it."""


class LinePort(Protocol):
    """A counterpart of the line: Modbus, OPC UA, MQTT, a webhook, outputs. Its failure is a warning and no more."""

    async def run(self) -> None:
        """Serves until it is cancelled."""
