"""What control and the OPC UA server, which is a process of its own, write to each other: lines of JSON.

The server sees nothing of a station but these, and asks for nothing but the requests that are listed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.events import (
    Event,
    ExposureDone,
    Published,
    RecipeChanged,
    Started,
    StateChanged,
)
from edgekd.station.json_lines import Message
from edgekd.station.parts import Outcome
from edgekd.station.snapshot import Loaded, Snapshot

VERDICT_CODES = {"": 0, "OK": 1, "NG": 2, "ERROR": 3, "SIMULATED": 0}


def view_of(snapshot: Snapshot) -> Message:
    """What the server shows of a station at one moment."""
    counters, recipe = snapshot.counters, snapshot.recipe
    return {
        "State": snapshot.state.name,
        "StateCode": int(snapshot.state),
        "Online": snapshot.online,
        "TriggerReady": snapshot.trigger_ready,
        "Acquiring": snapshot.acquiring,
        "ExposureDone": snapshot.exposure_done,
        "Busy": snapshot.busy,
        "ResultsReady": snapshot.results_ready,
        "MissedTrigger": snapshot.missed_trigger,
        "Overrun": snapshot.overrun,
        "Warning": snapshot.warning,
        "Fault": int(snapshot.fault),
        "JobFailed": int(snapshot.job_failed),
        "StopLine": snapshot.stop_line,
        "SelfTestDue": snapshot.self_test_due,
        "SelfTestFailed": snapshot.self_test_failed,
        "StorageLow": snapshot.storage_low,
        "StorageFree": snapshot.storage_free,
        "Simulated": snapshot.simulated,
        "ClockJumped": snapshot.clock_jumped,
        "LinksDown": [name for name, up in snapshot.links if not up],
        "AlarmCodes": [int(alarm.code) for alarm in snapshot.alarms],
        "AlarmTexts": [alarm.text for alarm in snapshot.alarms],
        "Total": counters.total,
        "Ok": counters.ok,
        "Ng": counters.ng,
        "Error": counters.error,
        "Missed": counters.missed,
        "NgInARow": counters.ng_in_a_row,
        "ErrorsInARow": counters.errors_in_a_row,
        "CountedSince": counters.since_utc_ms,
        "Job": recipe.job if recipe else 0,
        "RecipeId": recipe.recipe_id if recipe else "",
        "Revision": recipe.revision if recipe else 0,
        "RecipeDigest": recipe.digest if recipe else "",
        "Product": recipe.product if recipe else "",
    }


def result_of(outcome: Outcome, simulator: bool, product: str = "") -> Message:
    """An answer as the server shows it.

    Args:
        outcome: The answer.
        simulator: Whether the whole station is one; elsewhere what was simulated is never shown as OK.
        product: What was inspected, in words.
    """
    seen = outcome.inspected
    simulated_ok = outcome.simulated and not simulator and outcome.verdict is Verdict.OK
    area = sum(region.area for region in seen.regions) if seen else 0
    pixels = seen.pixels[0] * seen.pixels[1] if seen and seen.pixels else 0
    timings: Mapping[str, float] = seen.timings if seen else {}
    nan = float("nan")
    return {
        "ResultId": outcome.result_id,
        "AcquisitionId": outcome.acquisition_id,
        "PartId": outcome.part.part_id,
        "Serial": outcome.part.serial,
        "Lot": outcome.part.lot,
        "Job": outcome.job,
        "RecipeId": outcome.recipe_id,
        "Revision": outcome.revision,
        "RecipeDigest": outcome.recipe_digest,
        "Product": product,
        "Verdict": "SIMULATED" if simulated_ok else outcome.verdict.value,
        "ErrorCode": int(outcome.error),
        "ErrorText": outcome.error_text,
        "Aborted": outcome.error is ErrorCode.ABORTED,
        "Score": seen.score if seen else nan,
        "Threshold": seen.threshold if seen else nan,
        "Severity": seen.severity if seen else nan,
        "AnomalousArea": area / pixels if pixels else 0.0,
        "Source": outcome.source,
        "TriggeredUtcMs": outcome.triggered_utc_ms,
        "PublishedUtcMs": outcome.published_utc_ms,
        "TotalMs": outcome.total_ms,
        "AcquireMs": timings.get("acquire", 0.0),
        "Simulated": outcome.simulated,
    }


def recipe_of(recipe: Loaded) -> Message:
    """A recipe that may be asked for."""
    return asdict(recipe)


def event_of(event: Event, snapshot: Snapshot) -> Message | None:
    """An event as the server tells it on; None where its clients learn of it from values alone."""
    if isinstance(event, StateChanged):
        return {"name": "state", "state": int(event.state), "cause": event.cause}
    if isinstance(event, Started):
        return {"name": "started", "acquisition": event.acquisition.acquisition_id}
    if isinstance(event, ExposureDone):
        return {"name": "exposed", "acquisition": event.acquisition_id}
    if isinstance(event, Published):
        loaded = snapshot.recipe
        product = loaded.product if loaded and loaded.digest == event.outcome.recipe_digest else ""
        return {"name": "result", "result": result_of(event.outcome, snapshot.simulator, product)}
    if isinstance(event, RecipeChanged):
        return {"name": "recipe", "recipe": recipe_of(event.recipe) if event.recipe else None}
    return None
