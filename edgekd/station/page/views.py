"""What control tells the page's process of a station: how it is now, and what happened."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from edgekd.station.configuration import OneStation
from edgekd.station.events import (
    AlarmChanged,
    Audited,
    Delivered,
    Event,
    ExposureDone,
    ImageStored,
    Lost,
    Published,
    Refused,
    Reviewed,
    SelfTestEnded,
    Started,
    StateChanged,
)
from edgekd.station.json_lines import Message
from edgekd.station.line import payloads
from edgekd.station.page.advice import advice_of
from edgekd.station.parts import Outcome
from edgekd.station.snapshot import Snapshot


class Viewed:
    """A station as the page shows it.

    Args:
        configuration: Of the station.
        since_utc_ms: When its page began to be served.
    """

    def __init__(self, configuration: OneStation, since_utc_ms: int) -> None:
        self._configuration = configuration
        self._cause, self._since_utc_ms = "", since_utc_ms
        self._outcome: Outcome | None = None
        self._last: Message | None = None

    def saw(self, event: Event, now_utc_ms: int) -> None:
        """Takes note of what a snapshot does not hold."""
        if isinstance(event, StateChanged):
            self._cause, self._since_utc_ms = event.cause, now_utc_ms

    def view(self, snapshot: Snapshot) -> Message:
        """How the station is, as JSON has it; what the page's process adds is not here."""
        station, loaded = snapshot.station, snapshot.recipe
        if snapshot.outcome is not self._outcome:
            self._outcome = snapshot.outcome
            self._last = None if snapshot.outcome is None else {**payloads.result(snapshot.outcome)}
        minutes, last = snapshot.self_test_minutes, snapshot.self_test_last
        return {
            "station": station,
            "state": payloads.state(snapshot, self._cause, self._since_utc_ms),
            "trigger_ready": snapshot.trigger_ready,
            "busy": snapshot.busy,
            "results_ready": snapshot.results_ready,
            "online": snapshot.online,
            "blocked": snapshot.state.name == "BLOCKED",
            "recipe": {
                **payloads.recipe(station, loaded),
                "artifact": loaded.artifact if loaded else "",
                "system": loaded.system if loaded else "",
            },
            "counters": payloads.counters(station, snapshot.counters),
            "alarms": [payloads.alarm(station, alarm) for alarm in snapshot.alarms],
            "links": dict(snapshot.links),
            "self_test": {
                "minutes": None if minutes is None else int(minutes),
                "due": snapshot.self_test_due,
                "failed": snapshot.self_test_failed,
                "last": None if last is None else asdict(last),
                "master_running": snapshot.master_test,
            },
            "storage": {"free": round(snapshot.storage_free, 3), "low": snapshot.storage_low},
            "uptime_s": int(snapshot.uptime_s),
            "last": self._last,
            "advice": advice_of(snapshot),
            "trigger": self._configuration.trigger,
            "cameras": list(self._configuration.cameras),
        }


def differs(view: Message, shown: Message | None) -> bool:
    """Whether a view holds more news than that time passes."""
    if shown is None:
        return True
    return any(view[name] != shown[name] for name in view if name != "uptime_s")


def event_of(station: str, event: Event, now_utc_ms: int) -> Message | None:
    """An event as JSON has it; None for one that views alone tell of.

    Args:
        station: Whose.
        event: What happened.
        now_utc_ms: When.
    """
    if isinstance(event, Published):
        return {"name": "result", "result": payloads.result(event.outcome)}
    if isinstance(event, AlarmChanged):
        return {"name": "alarm", "alarm": payloads.alarm(station, event.alarm)}
    if isinstance(event, SelfTestEnded):
        return {"name": "self_test", "self_test": payloads.self_test(station, event, now_utc_ms)}
    if isinstance(event, Audited):
        return {"name": "audit", "audit": payloads.audit(station, event, now_utc_ms)}
    if isinstance(event, Reviewed):
        review = {"who": event.who, "label": event.label, "note": event.note, "time_utc_ms": now_utc_ms}
        return {"name": "review", "result_id": event.result_id, "review": review}
    return _short(event)


def _short(event: Event) -> Message | None:
    """Events that hold a few values alone."""
    fields: dict[str, Any]
    if isinstance(event, Started):
        name, fields = "started", {"acquisition_id": event.acquisition.acquisition_id}
    elif isinstance(event, ExposureDone):
        name, fields = "exposed", {"acquisition_id": event.acquisition_id}
    elif isinstance(event, Delivered):
        name, fields = "delivered", {"result_id": event.result_id, "how": event.how}
    elif isinstance(event, ImageStored):
        name, fields = "stored", {"result_id": event.result_id, "image": event.kind}
    elif isinstance(event, Refused):
        name, fields = "refused", {"code": int(event.code), "part_id": event.part.part_id}
    elif isinstance(event, StateChanged):
        name, fields = "state", {"state": event.state.name, "cause": event.cause}
    elif isinstance(event, Lost):
        name, fields = "lost", {"count": event.count}
    else:
        return None
    return {"name": name, **fields}
