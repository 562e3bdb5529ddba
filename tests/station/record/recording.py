"""Triggers and answers for a record."""

import time

from edgekd.result import Region, Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.parts import Acquisition, Inspected, Outcome, Part
from edgekd.station.record.opening import open_record
from edgekd.station.snapshot import Loaded

RECIPE = Loaded(7, "cell", 3, "ab" * 32, "solar cell", "detector.onnx", "cd" * 32, "hkt")
REGIONS = (Region(6, (1, 2, 3, 2), (2.0, 2.5), 4.5), Region(4, (9, 9, 2, 2), (9.5, 9.5), 5.5))
ERRORS = {Verdict.ERROR: ErrorCode.ENGINE_FAILED}


def opened(data):
    """The record alone."""
    return open_record(data, "0.1.0")[0]


def acquisition(number, station="line", recipe=RECIPE):
    now = time.monotonic()
    part = Part(1000 + number, f"S{number}", "L3")
    stamp = time.time_ns() // 1_000_000
    return Acquisition(number, station, recipe.job, recipe.digest, part, "modbus", now, stamp, now + 0.5)


def outcome(number, verdict=Verdict.OK, error=None, acquired=None, station="line", recipe=RECIPE, **more):
    """An answer whose acquisition has the same number, where no other is given."""
    error = ERRORS.get(verdict, ErrorCode.NONE) if error is None else error
    acquired = number if acquired is None else acquired
    seen = Inspected(
        acquired,
        recipe.digest,
        score=0.5,
        threshold=1.0,
        severity=0.25,
        regions=REGIONS if verdict is Verdict.NG else (),
        pixels=(480, 640),
        checks={"level": 100.0},
        timings={"acquire": 40.0, "check": 1.0, "pre": 2.0, "inference": 7.0, "post": 1.0},
        camera="top",
        frame_id=number,
    )
    now = time.time_ns() // 1_000_000
    known = {
        **{"result_id": number, "acquisition_id": acquired, "station": station, "job": recipe.job},
        **{"part": Part(1000 + number, f"S{number}", "L3"), "recipe_id": recipe.recipe_id},
        **{"revision": recipe.revision, "recipe_digest": recipe.digest, "verdict": verdict, "error": error},
        **{"error_text": "" if error == 0 else "it failed", "inspected": None if error else seen, "source": "modbus"},
        **{"triggered_utc_ms": now - 50, "published_utc_ms": now, "total_ms": 50.0},
    }
    return Outcome(**{**known, **more})


def judged(record, number, verdict=Verdict.OK, **more):
    """A part from trigger to acknowledgement."""
    record.begin(acquisition(number), RECIPE)
    record.write(outcome(number, verdict, **more))
    record.deliver(number, "acked")
