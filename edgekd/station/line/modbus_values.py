"""What a station shows, as the values of the Modbus map."""

from __future__ import annotations

import math

from edgekd.result import Region, Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.line.handshake import Bits
from edgekd.station.line.modbus_map import (
    CHECK_FLOAT,
    CHECK_INTEGER,
    DISCRETE_SIGNALS,
    INPUT_REGISTERS,
    INPUT_SIGNALS,
    MAP_VERSION,
    Value,
    WordOrder,
    bit,
    encode,
)
from edgekd.station.parts import Inspected, Outcome
from edgekd.station.snapshot import Snapshot
from edgekd.station.states import State

UINT_MOST, UDINT_MOST = 0xFFFF, 0xFFFF_FFFF
NO_SCORE = (2 - 2**-23) * 2.0**127  # The largest float32: above every threshold, and a number for PLCs that fear NaN.
NO_VERDICT, VERDICTS = 0, {Verdict.OK: 1, Verdict.NG: 2, Verdict.ERROR: 3}
NOT_ONLINE = (State.STARTING, State.OFFLINE, State.FAULT, State.HALTED)
NOTHING = Inspected(acquisition_id=0)


def input_registers(snapshot: Snapshot, bits: Bits, order: WordOrder) -> list[int]:
    """All input registers, of one moment.

    Args:
        snapshot: What the station shows.
        bits: What the handshake adds.
        order: Of the words of a value that takes several registers.
    """
    status = _status(snapshot, bits)
    values = {**_station_values(snapshot), **_result_values(snapshot.outcome)}
    values["STATUS_LOW"], values["STATUS_HIGH"] = status & UINT_MOST, status >> 16
    if bits.results_ready and snapshot.outcome is not None:
        values["VERDICT"] = _shown_verdict(snapshot, snapshot.outcome)
        values["ERROR_CODE"] = snapshot.outcome.error.value
    elif bits.job_failed:
        values["ERROR_CODE"] = bits.job_failed.value
    return encode(INPUT_SIGNALS, values, INPUT_REGISTERS, order)


def _shown_verdict(snapshot: Snapshot, outcome: Outcome) -> int:
    """The number of a verdict; 0, which is never OK, for an OK that is not to be shown as one."""
    hidden = outcome.verdict is Verdict.OK and not snapshot.shows_ok
    return NO_VERDICT if hidden else VERDICTS[outcome.verdict]


def _status(snapshot: Snapshot, bits: Bits) -> int:
    """The discrete inputs."""
    shown = {**_result_bits(snapshot, bits), **_station_bits(snapshot)}
    shown["TRIGGER_ACK"], shown["RESULTS_READY"] = bits.trigger_ack, bits.results_ready
    shown["JOB_ACK"], shown["JOB_FAILED"] = bits.job_ack, bits.job_failed is not ErrorCode.NONE
    return sum(bit(signal.name) for signal in DISCRETE_SIGNALS if shown[signal.name])


def _result_bits(snapshot: Snapshot, bits: Bits) -> dict[str, bool]:
    """At most one way out: OK alone, or NG, which an ERROR sets too, so that a PLC that looks at one bit rejects."""
    outcome = snapshot.outcome if bits.results_ready else None
    shown = NO_VERDICT if outcome is None else _shown_verdict(snapshot, outcome)
    return {
        "RESULT_OK": shown == VERDICTS[Verdict.OK],
        "RESULT_NG": outcome is not None and shown != VERDICTS[Verdict.OK],
        "RESULT_ERROR": shown == VERDICTS[Verdict.ERROR],
        "SIMULATED": snapshot.simulated or (outcome is not None and outcome.simulated),
    }


def _station_bits(snapshot: Snapshot) -> dict[str, bool]:
    return {
        "ONLINE": snapshot.online and snapshot.state not in NOT_ONLINE,
        "TRIGGER_READY": snapshot.trigger_ready,
        "ACQUIRING": snapshot.acquiring,
        "BUSY": snapshot.busy,
        "EXPOSURE_DONE": snapshot.exposure_done,
        "MISSED_TRIGGER": snapshot.missed_trigger,
        "OVERRUN": snapshot.overrun,
        "FAULT": snapshot.state is State.FAULT,
        "HEARTBEAT": bool(int(snapshot.uptime_s) % 2),
        "WARNING": snapshot.warning,
        "STOP_LINE": snapshot.stop_line,
        "SELFTEST_DUE": snapshot.self_test_due,
        "SELFTEST_FAILED": snapshot.self_test_failed,
        "STORAGE_LOW": snapshot.storage_low,
        "CLOCK": snapshot.clock_jumped,
        "NOT_RELEASED": snapshot.recipe is None,
    }


def _station_values(snapshot: Snapshot) -> dict[str, Value]:
    counters, recipe = snapshot.counters, snapshot.recipe
    minutes = snapshot.self_test_minutes
    return {
        "JOB": 0 if recipe is None else recipe.job,
        "STATE": snapshot.state.value,
        "RESULTS_WAITING": int(snapshot.results_ready),
        "MISSED_TRIGGERS": _uint(counters.missed),
        "TOTAL": _udint(counters.total),
        "COUNT_OK": _udint(counters.ok),
        "COUNT_NG": _udint(counters.ng),
        "COUNT_ERROR": _udint(counters.error),
        "NG_IN_A_ROW": _uint(counters.ng_in_a_row),
        "ERRORS_IN_A_ROW": _uint(counters.errors_in_a_row),
        "FAULT_CODE": snapshot.fault.value,
        "UPTIME": _udint(snapshot.uptime_s),
        "STORAGE_FREE": _uint(100 * snapshot.storage_free),
        "SELFTEST_MINUTES": UINT_MOST if minutes is None else _uint(minutes),
        "MAP_VERSION": MAP_VERSION,
        "RECIPE_REVISION": 0 if recipe is None else _uint(recipe.revision),
        "RECIPE_DIGEST": b"" if recipe is None else _digest(recipe.digest),
        "STATION_NAME": snapshot.station,
        "CHECK_INTEGER": CHECK_INTEGER,
        "CHECK_FLOAT": CHECK_FLOAT,
    }


def _result_values(outcome: Outcome | None) -> dict[str, Value]:
    """The last result; it stays when it was acknowledged, but for the verdict."""
    if outcome is None:
        return {"SCORE": NO_SCORE, "SEVERITY": UINT_MOST}
    inspected = outcome.inspected or NOTHING
    strongest = inspected.regions[0].centroid if inspected.regions else (0.0, 0.0)
    return {
        "RESULT_ID": outcome.result_id & UDINT_MOST,
        "ACQUISITION_ID": outcome.acquisition_id & UDINT_MOST,
        "PART_ID": outcome.part.part_id & UDINT_MOST,
        "SCORE": _real(inspected.score, NO_SCORE),
        "THRESHOLD": _real(inspected.threshold, 0.0),
        "SEVERITY": UINT_MOST if math.isnan(inspected.severity) else _uint(1000 * inspected.severity),
        "AREA": _area(inspected.regions, inspected.pixels),
        "CENTER_X": _uint(strongest[0]),
        "CENTER_Y": _uint(strongest[1]),
        "MILLISECONDS": _uint(outcome.total_ms),
        "RESULT_TIME": outcome.published_utc_ms,
    }


def _area(regions: tuple[Region, ...], pixels: tuple[int, int] | None) -> int:
    """The anomalous share of an image in 1/1000; where there is any, at least 1."""
    area = sum(region.area for region in regions)
    return min(1000, math.ceil(1000 * area / (pixels[0] * pixels[1]))) if pixels and area else 0


def _digest(digest: str) -> bytes:
    """Its first bytes; none where it is no hexadecimal number."""
    try:
        return bytes.fromhex(digest[:16])
    except ValueError:
        return b""


def _real(value: float, none: float) -> float:
    """As far as a float32 reaches; `none` where it is not finite."""
    return max(-NO_SCORE, min(value, NO_SCORE)) if math.isfinite(value) else none


def _uint(value: float) -> int:
    """Rounded, and as far as 16 bits reach."""
    return round(min(max(value, 0), UINT_MOST))


def _udint(value: float) -> int:
    """The whole part, as far as 32 bits reach."""
    return int(min(max(value, 0), UDINT_MOST))
