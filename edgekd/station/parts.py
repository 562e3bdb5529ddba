"""What travels between the parts of a station: a part to inspect, what the inspector saw, and the published outcome."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgekd.result import Region, Verdict
from edgekd.station.error_codes import ErrorCode

TriggerSource = Literal["modbus", "opcua", "camera", "timer", "page", "simulator"]


@dataclass(frozen=True)
class Part:
    """A part as whoever triggers names it; latched at the trigger.

    Attributes:
        part_id: The PLC's number of it, 0 to 2**32 - 1; 0 where it has none.
        serial: Its serial number, at most 16 ASCII characters on Modbus.
        lot: Likewise.
    """

    part_id: int = 0
    serial: str = ""
    lot: str = ""


@dataclass(frozen=True)
class Acquisition:
    """An image that is to be taken and judged.

    Attributes:
        acquisition_id: Rises by one with each, over restarts too.
        station: Name of the station.
        job: Of the loaded recipe.
        recipe_digest: Of the loaded recipe; the inspector refuses another one.
        part: What is inspected.
        source: Who asked.
        triggered: `time.monotonic()` of the trigger; what came from a camera before it does not count.
        triggered_utc_ms: The same by the wall clock.
        deadline: `time.monotonic()` at which the answer is due.
    """

    acquisition_id: int
    station: str
    job: int
    recipe_digest: str
    part: Part
    source: TriggerSource
    triggered: float
    triggered_utc_ms: int
    deadline: float


@dataclass(frozen=True)
class Inspected:
    """What the inspector says of one acquisition; several cameras of a station make one, of the worst.

    Attributes:
        acquisition_id: Whose it is.
        recipe_digest: Of the recipe that judged.
        error: NONE, or what went wrong; then there is no verdict.
        error_text: In one line.
        score: NaN where there is none.
        threshold: NaN where there is none.
        severity: 0 for a typical good image, 1 at the threshold; NaN where it is not known.
        uncertain: Whether the score lies in the recipe's grey zone, which is NG.
        regions: Where the anomaly map is above its limit, in pixels of the image.
        pixels: Height and width of the image; None where there is none.
        checks: Figures of the image checks, by their names.
        timings: Milliseconds by step: acquire, check, pre, inference, post.
        camera: Name of the camera that decided.
        frame_id: The camera's own number of the frame; None where it has none.
    """

    acquisition_id: int
    recipe_digest: str = ""
    error: ErrorCode = ErrorCode.NONE
    error_text: str = ""
    score: float = math.nan
    threshold: float = math.nan
    severity: float = math.nan
    uncertain: bool = False
    regions: tuple[Region, ...] = ()
    pixels: tuple[int, int] | None = None
    checks: Mapping[str, float] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    camera: str = ""
    frame_id: int | None = None


@dataclass(frozen=True)
class Outcome:
    """An answer as it is put on record and then published; nothing of it changes afterwards.

    Attributes:
        result_id: Rises by one with each, over restarts too.
        acquisition_id: Of the image; 0 for a trigger that was refused.
        station: Name of the station.
        part: What was inspected.
        job: Of the recipe; 0 where none was loaded.
        recipe_id: The recipe's name.
        revision: Of the recipe.
        recipe_digest: Of the recipe and its files.
        verdict: OK, NG or ERROR.
        error: Why it is ERROR.
        error_text: The same in one line.
        inspected: What the inspector said; None where it said nothing in time.
        source: Who triggered.
        triggered_utc_ms: When.
        published_utc_ms: When the answer was put on record.
        total_ms: From trigger to record.
        simulated: Whether images or triggers were not a line's own; never OK on the wire of a line's own station.
        self_test: Whether this was a part of a master-part test: answered like any other, and not counted.
    """

    result_id: int
    acquisition_id: int
    station: str
    part: Part
    job: int
    recipe_id: str
    revision: int
    recipe_digest: str
    verdict: Verdict
    error: ErrorCode
    error_text: str
    inspected: Inspected | None
    source: TriggerSource
    triggered_utc_ms: int
    published_utc_ms: int
    total_ms: float
    simulated: bool = False
    self_test: bool = False
