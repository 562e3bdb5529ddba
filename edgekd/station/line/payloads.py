"""What a station tells others as JSON: one schema for MQTT, the webhook and the page, version 1.

Each type below is one object; all times are UTC in milliseconds, all lengths pixels of the image. A number that is not
known is null: NaN and infinity never reach JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from edgekd.station.events import Audited, SelfTestEnded
from edgekd.station.parts import Inspected, Outcome
from edgekd.station.snapshot import Alarm, Counters, Loaded, Snapshot

VERSION = 1
MOST_REGIONS = 16  # The highest peaks; a payload stays small whatever an image holds.
NOTHING_SEEN = Inspected(acquisition_id=0)


class RegionPayload(TypedDict):
    """Where the anomaly map is above its limit: area, box as x, y, width, height, centroid as x, y, highest value."""

    area: int
    box: list[int]
    centroid: list[float | None]
    peak: float | None


class ResultPayload(TypedDict):
    """An answer, as it was put on record. The image is found by `result_id`; it is not sent.

    Attributes:
        result_id: Rises with each answer of this machine; a receiver tells by it what came twice.
        acquisition_id: Of the image; 0 for a trigger that was refused.
        station: Its name.
        part_id: The PLC's number of the part; 0 where it has none.
        serial: Its serial number; "" where it has none. Likewise `lot`.
        job: What the PLC asked for; 0 where no recipe was loaded.
        recipe: Its name.
        revision: Of the recipe.
        recipe_digest: SHA-256 of the recipe and its files.
        verdict: OK, NG, or ERROR, which is everything that is not a clean answer.
        error_code: 0 for none; 1xx acquisition, 2xx image, 3xx inference, 4xx handshake, 5xx recipe, 6xx storage.
        error_text: The same in one line.
        score: Of the image; null where there is none. NG is a score above `threshold`.
        threshold: That was applied.
        severity: 0 for a typical good image, 1 at the threshold.
        uncertain: Whether the score lies in the recipe's grey zone, which is NG.
        regions: The highest peaks first.
        more_regions: How many there are beyond those.
        image_height: Of the image that was judged. Likewise `image_width`.
        checks: Figures of the image checks, by their names.
        timings_ms: By step: acquire, check, pre, inference, post.
        total_ms: From trigger to record.
        camera: That decided.
        frame_id: The camera's own number of the frame.
        source: Who triggered: modbus, opcua, camera, timer, page, simulator.
        triggered_utc_ms: When.
        published_utc_ms: When the answer was put on record.
        simulated: Whether images or triggers were not a line's own: such an OK is worth nothing.
        self_test: Whether this was a part of a master-part test; it is not counted.
    """

    result_id: int
    acquisition_id: int
    station: str
    part_id: int
    serial: str
    lot: str
    job: int
    recipe: str
    revision: int
    recipe_digest: str
    verdict: Literal["OK", "NG", "ERROR"]
    error_code: int
    error_text: str
    score: float | None
    threshold: float | None
    severity: float | None
    uncertain: bool
    regions: list[RegionPayload]
    more_regions: int
    image_height: int | None
    image_width: int | None
    checks: dict[str, float | None]
    timings_ms: dict[str, float | None]
    total_ms: float | None
    camera: str
    frame_id: int | None
    source: str
    triggered_utc_ms: int
    published_utc_ms: int
    simulated: bool
    self_test: bool


class StatePayload(TypedDict):
    """What a station is doing.

    Attributes:
        station: Its name.
        state: STARTING, OFFLINE, NO_JOB, LOADING, SELF_TEST, READY, RUNNING, BLOCKED, FAULT or HALTED.
        code: The state's number, as a PLC reads it.
        cause: Why it was entered, in one line.
        since_utc_ms: When it was entered; when the station's publisher started, where that was later.
        online: Whether somebody asked for it to run.
        fault: The error code that led to FAULT; 0 elsewhere.
        warning: Whether an alarm is active that stops nothing.
        stop_line: Whether a stop rule of the recipe asks the line to stop.
        job_failed: The error code of the last change of job; 0 where it did not fail.
        missed_trigger: Whether a trigger was missed since this was cleared. Likewise `overrun`.
        self_test_due: Whether a self-test is overdue. `self_test_failed`: whether the last one failed.
        storage_low: Whether images are no longer kept for want of room.
        clock_jumped: Whether the wall clock jumped since the start.
        simulated: Whether this is not a line's own station.
        links: Whether each counterpart is there, by its name.
    """

    station: str
    state: str
    code: int
    cause: str
    since_utc_ms: int
    online: bool
    fault: int
    warning: bool
    stop_line: bool
    job_failed: int
    missed_trigger: bool
    overrun: bool
    self_test_due: bool
    self_test_failed: bool
    storage_low: bool
    clock_jumped: bool
    simulated: bool
    links: dict[str, bool]


class RecipePayload(TypedDict):
    """The recipe that judges; job 0 and empty text where none is loaded."""

    station: str
    job: int
    recipe: str
    revision: int
    recipe_digest: str
    product: str


class CountersPayload(TypedDict):
    """Parts since the last reset, `since_utc_ms`; total is always ok + ng + error."""

    station: str
    total: int
    ok: int
    ng: int
    error: int
    missed: int
    ng_in_a_row: int
    errors_in_a_row: int
    since_utc_ms: int


class AlarmPayload(TypedDict):
    """Something that people must know: its error code, what happened and what to do, since when, who has seen it."""

    station: str
    code: int
    text: str
    since_utc_ms: int
    fatal: bool
    active: bool
    acknowledged: bool
    acknowledged_by: str


class SelfTestPayload(TypedDict):
    """A self-test that ended; `kind` is stored (images of the recipe) or master (parts on the line)."""

    station: str
    kind: str
    passed: bool
    text: str
    ended_utc_ms: int


class AuditPayload(TypedDict):
    """Somebody changed something; the audit trail holds the values before and after, and why."""

    station: str
    who: str
    action: str
    subject: str
    changed_utc_ms: int


def result(outcome: Outcome) -> ResultPayload:
    """An answer as JSON has it.

    Args:
        outcome: As it was published.
    """
    seen = outcome.inspected or NOTHING_SEEN
    height, width = seen.pixels or (None, None)
    return {
        "result_id": outcome.result_id,
        "acquisition_id": outcome.acquisition_id,
        "station": outcome.station,
        "part_id": outcome.part.part_id,
        "serial": outcome.part.serial,
        "lot": outcome.part.lot,
        "job": outcome.job,
        "recipe": outcome.recipe_id,
        "revision": outcome.revision,
        "recipe_digest": outcome.recipe_digest,
        "verdict": outcome.verdict.value,
        "error_code": int(outcome.error),
        "error_text": outcome.error_text,
        "score": number(seen.score),
        "threshold": number(seen.threshold),
        "severity": number(seen.severity),
        "uncertain": seen.uncertain,
        "regions": [
            {
                "area": region.area,
                "box": list(region.box),
                "centroid": [number(value) for value in region.centroid],
                "peak": number(region.peak),
            }
            for region in seen.regions[:MOST_REGIONS]
        ],
        "more_regions": max(0, len(seen.regions) - MOST_REGIONS),
        "image_height": height,
        "image_width": width,
        "checks": {name: number(value) for name, value in seen.checks.items()},
        "timings_ms": {name: number(value) for name, value in seen.timings.items()},
        "total_ms": number(outcome.total_ms),
        "camera": seen.camera,
        "frame_id": seen.frame_id,
        "source": outcome.source,
        "triggered_utc_ms": outcome.triggered_utc_ms,
        "published_utc_ms": outcome.published_utc_ms,
        "simulated": outcome.simulated,
        "self_test": outcome.self_test,
    }


def state(snapshot: Snapshot, cause: str, since_utc_ms: int) -> StatePayload:
    """What a station is doing, as JSON has it.

    Args:
        snapshot: Of the station.
        cause: Why the state was entered.
        since_utc_ms: When it was.
    """
    return {
        "station": snapshot.station,
        "state": snapshot.state.name,
        "code": int(snapshot.state),
        "cause": cause,
        "since_utc_ms": since_utc_ms,
        "online": snapshot.online,
        "fault": int(snapshot.fault),
        "warning": snapshot.warning,
        "stop_line": snapshot.stop_line,
        "job_failed": int(snapshot.job_failed),
        "missed_trigger": snapshot.missed_trigger,
        "overrun": snapshot.overrun,
        "self_test_due": snapshot.self_test_due,
        "self_test_failed": snapshot.self_test_failed,
        "storage_low": snapshot.storage_low,
        "clock_jumped": snapshot.clock_jumped,
        "simulated": snapshot.simulated,
        "links": dict(snapshot.links),
    }


def recipe(station: str, loaded: Loaded | None) -> RecipePayload:
    """The recipe that judges, as JSON has it.

    Args:
        station: The station's name.
        loaded: None for no recipe.
    """
    loaded = loaded or Loaded(job=0, recipe_id="", revision=0, digest="")
    return {
        "station": station,
        "job": loaded.job,
        "recipe": loaded.recipe_id,
        "revision": loaded.revision,
        "recipe_digest": loaded.digest,
        "product": loaded.product,
    }


def counters(station: str, counted: Counters) -> CountersPayload:
    """Parts since the last reset, as JSON has them.

    Args:
        station: The station's name.
        counted: Its counters.
    """
    return {
        "station": station,
        "total": counted.total,
        "ok": counted.ok,
        "ng": counted.ng,
        "error": counted.error,
        "missed": counted.missed,
        "ng_in_a_row": counted.ng_in_a_row,
        "errors_in_a_row": counted.errors_in_a_row,
        "since_utc_ms": counted.since_utc_ms,
    }


def alarm(station: str, raised: Alarm) -> AlarmPayload:
    """An alarm as JSON has it.

    Args:
        station: The station's name.
        raised: The alarm.
    """
    return {
        "station": station,
        "code": int(raised.code),
        "text": raised.text,
        "since_utc_ms": raised.since_utc_ms,
        "fatal": raised.fatal,
        "active": raised.active,
        "acknowledged": bool(raised.acknowledged_by),
        "acknowledged_by": raised.acknowledged_by,
    }


def self_test(station: str, ended: SelfTestEnded, ended_utc_ms: int) -> SelfTestPayload:
    """A self-test as JSON has it.

    Args:
        station: The station's name.
        ended: How it ended.
        ended_utc_ms: When.
    """
    return {
        "station": station,
        "kind": ended.kind,
        "passed": ended.passed,
        "text": ended.text,
        "ended_utc_ms": ended_utc_ms,
    }


def audit(station: str, audited: Audited, changed_utc_ms: int) -> AuditPayload:
    """A change as JSON has it.

    Args:
        station: The station's name.
        audited: Who changed what.
        changed_utc_ms: When.
    """
    return {
        "station": station,
        "who": audited.who,
        "action": audited.action,
        "subject": audited.subject,
        "changed_utc_ms": changed_utc_ms,
    }


def number(value: float) -> float | None:
    """A number as JSON has it: None where it is not finite."""
    return float(value) if math.isfinite(value) else None


def to_json(payload: Mapping[str, Any]) -> bytes:
    """A payload as UTF-8 JSON. Characters that UTF-8 does not have, as a PLC may send them, become question marks.

    Args:
        payload: One of the types above.

    Raises:
        ValueError: It holds NaN or infinity.
    """
    text = json.dumps(payload, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", errors="replace")
