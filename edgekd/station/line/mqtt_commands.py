"""Commands that arrive by MQTT: only those that the configuration allows, each with a reply."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from edgekd.station.error_codes import ErrorCode
from edgekd.station.ports import Reply, StationPort

SOURCE = "mqtt"
MOST_BYTES = 4096
LONGEST_TEXT = 128
JOBS = range(1, 1000)
logger = logging.getLogger(__name__)


class CommandReply(TypedDict):
    """The answer to a command; `correlation_id` is that of the command, null where it had none.

    Attributes:
        accepted: Whether the station took it; what comes of it is told by the other topics.
        code: The error code where it did not; 0 for a command that was not understood.
        text: The same in one line.
    """

    correlation_id: str | None
    accepted: bool
    code: int
    text: str


class CommandError(Exception):
    """A command that was not understood."""


def execute(name: str, payload: bytes, station: StationPort, rebirth: Callable[[], None]) -> CommandReply:
    """Does what a command asks for.

    Args:
        name: Of the command: rebirth, selftest or job.
        payload: As it arrived: nothing, or a JSON object with `correlation_id`, `who`, and `job` for a job.
        station: That is asked.
        rebirth: Publishes everything anew.
    """
    correlation_id = None
    try:
        fields = _fields(payload)
        correlation_id = _text(fields, "correlation_id")
        who = _text(fields, "who") or ""
        reply = _run(name, fields, who, station, rebirth)
    except CommandError as error:
        return {"correlation_id": correlation_id, "accepted": False, "code": 0, "text": str(error)}
    accepted = reply.code is ErrorCode.NONE
    logger.info("MQTT command %s of '%s' was %s", name, who, "accepted" if accepted else f"refused: {reply.text}")
    return {"correlation_id": correlation_id, "accepted": accepted, "code": int(reply.code), "text": reply.text}


def _run(name: str, fields: Mapping[str, Any], who: str, station: StationPort, rebirth: Callable[[], None]) -> Reply:
    if name == "rebirth":
        rebirth()
        return Reply()
    if name == "selftest":
        return station.start_self_test(SOURCE, who)
    if name != "job":
        raise CommandError(f"unknown command '{name}'")
    job = fields.get("job")
    if type(job) is not int or job not in JOBS:
        raise CommandError(f"'job' must be an integer from {JOBS[0]} to {JOBS[-1]}")
    return station.change_job(job, SOURCE, who)


def _fields(payload: bytes) -> dict[str, Any]:
    if len(payload) > MOST_BYTES:
        raise CommandError(f"a command has at most {MOST_BYTES} bytes")
    if not payload.strip():
        return {}
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError):
        raise CommandError("a command is a JSON object") from None
    if not isinstance(fields, dict):
        raise CommandError("a command is a JSON object")
    return fields


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or not value.isprintable():
        raise CommandError(f"'{name}' must be printable text of at most {LONGEST_TEXT} characters")
    return value
