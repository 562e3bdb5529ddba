"""A record with results of some hours, made by the station's own writer, for what the page reads of it."""

import hashlib
import time
from dataclasses import replace

import cv2
import numpy as np

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.parts import Part
from edgekd.station.ports import StoredImage

from ..record.recording import RECIPE, outcome

HOUR_MS = 3_600_000


def store(record, data, result_id, kind="original", suffix=".png", height=120, width=200):
    """Stores an image of a result as the inspector does."""
    image = np.full((height, width, 3), 90, np.uint8)
    image[10:30, 20:60] = (0, 0, 200)
    name = f"{result_id}_NG{'_heat_map' if kind == 'heat_map' else ''}{suffix}"
    path = data / "images" / "2026-11-27" / "23" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = cv2.imencode(suffix, image)[1].tobytes()
    path.write_bytes(content)
    relative = path.relative_to(data).as_posix()
    stored = StoredImage(result_id, kind, relative, hashlib.sha256(content).hexdigest(), len(content))
    record.stored(stored)
    return content


def day(record, monkeypatch, hours=4, every_s=60, station="line", recipe=RECIPE, severity=None):
    """Results up to now, one in so many seconds: each 10th NG, each 25th an ERROR.

    Returns:
        How many.
    """
    now = time.time_ns() // 1_000_000
    first = record.last_numbers()[0] + 1
    count = int(hours * 3600 / every_s)
    stamp = {"now": 0}

    def write():
        for number in range(first, first + count):
            stamp["now"] = now - (first + count - 1 - number) * every_s * 1000
            record.write(one(number, stamp["now"], station, recipe, severity))

    with monkeypatch.context() as patched:
        patched.setattr(record.log.clock, "now_ms", lambda: stamp["now"])
        record.log.atomically(write)
    return count


def one(number, stamp, station="line", recipe=RECIPE, severity=None):
    """A result at a time, as its number decides."""
    verdict = Verdict.ERROR if number % 25 == 0 else Verdict.NG if number % 10 == 0 else Verdict.OK
    error = ErrorCode.CAMERA_LOST if verdict is Verdict.ERROR else ErrorCode.NONE
    given = outcome(
        number,
        verdict,
        error,
        station=station,
        recipe=recipe,
        part=Part(number, f"S{number}", "L3"),
        triggered_utc_ms=stamp - 50,
        published_utc_ms=stamp,
        total_ms=60.0 + number % 7,
    )
    if given.inspected is None:
        return given
    value = (1.5 if verdict is Verdict.NG else 0.2) if severity is None else severity(number)
    checks = {"level": 100.0 + number % 3, "sharpness": 0.5}
    return replace(given, inspected=replace(given.inspected, severity=value, score=value, checks=checks))
