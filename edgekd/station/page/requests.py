"""What the page's process may ask of control, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from pydantic import TypeAdapter

from edgekd.errors import EdgekdError, one_line
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.json_lines import Message
from edgekd.station.parts import Part
from edgekd.station.ports import Person, RecipesPort, Reply, StationPort
from edgekd.station.recipes import CameraSettings
from edgekd.station.states import State
from edgekd.typed import checked, with_tuples

SOURCE: Final = "page"
LABELS = ("good", "bad")
LONGEST_TEXT = 500  # Of what people write.
UNKNOWN = Reply(ErrorCode.SYSTEM, "control knows no such request")
SETTINGS: TypeAdapter[CameraSettings] = TypeAdapter(CameraSettings)
NOT_ON_RECORD = Reply(ErrorCode.ROW_NOT_WRITTEN, "It could not be put on record. Check the disk, then try again.")
Arguments: TypeAlias = Mapping[str, Any]


class Context(Protocol):
    """What answers need beside the station."""

    recipes: RecipesPort

    def snap_path(self, station: str) -> Path:
        """A new file for an image that somebody asks a camera for."""


Answer: TypeAlias = Callable[[StationPort, Arguments, Person, Context], Reply | Awaitable[Reply | Message]]


async def answer(station: StationPort, method: str, arguments: Arguments, who: Person, context: Context) -> Message:
    """Does what is asked for.

    Args:
        station: Of which.
        method: One of REQUESTS.
        arguments: Of the method.
        who: Who asks.
        context: What answers need beside the station.

    Returns:
        `code` and `text`, as `Reply` has them, and what came of it.
    """
    known = REQUESTS.get(method)
    if known is None:
        return _told(UNKNOWN)
    try:
        made = known(station, arguments, who, context)
        reply = made if isinstance(made, Reply) else await made
    except StationError as error:
        reply = Reply(error.code, str(error))
    except (KeyError, TypeError, ValueError, EdgekdError) as error:
        reply = Reply(ErrorCode.SYSTEM, f"{method}: {one_line(error)}")
    return _told(reply) if isinstance(reply, Reply) else {"code": 0, "text": "", **reply}


def _told(reply: Reply) -> Message:
    return {"code": int(reply.code), "text": reply.text, "acquisition_id": reply.acquisition_id}


def _acknowledge_alarm(station: StationPort, arguments: Arguments, who: Person, context: Context) -> Reply:
    code = ErrorCode(arguments["code"])
    if all(alarm.code is not code for alarm in station.snapshot().alarms):
        return Reply(code, "There is no such alarm any more.")
    station.acknowledge_alarm(code, who)
    return Reply()


def _clear_error(station: StationPort, arguments: Arguments, who: Person, context: Context) -> Reply:
    station.clear_error(SOURCE, who)
    after = station.snapshot()
    if after.state is not State.FAULT:
        return Reply()
    return Reply(after.fault or ErrorCode.SYSTEM, next((each.text for each in after.alarms if each.fatal), ""))


def _online(station: StationPort, arguments: Arguments, who: Person, context: Context) -> Reply:
    station.set_online(True, SOURCE, who)
    return Reply()


def _offline(station: StationPort, arguments: Arguments, who: Person, context: Context) -> Reply:
    station.set_online(False, SOURCE, who)
    return Reply()


def _reset_counters(station: StationPort, arguments: Arguments, who: Person, context: Context) -> Reply:
    station.reset_counters(SOURCE, who)
    return Reply()


def _simulate(station: StationPort, arguments: Arguments, who: Person, context: Context) -> Reply:
    station.simulate(bool(arguments["on"]), SOURCE, who)
    return Reply()


def _trigger(station: StationPort, arguments: Arguments, who: Person, context: Context) -> Reply:
    return station.trigger(Part(serial=_text(arguments, "serial"), lot=_text(arguments, "lot")), SOURCE)


def _watch(station: StationPort, arguments: Arguments, who: Person, context: Context) -> Reply:
    station.watch(bool(arguments["on"]))
    return Reply()


async def _change_job(station: StationPort, arguments: Arguments, who: Person, context: Context) -> Reply:
    """Refuses a job without a released recipe, so that nobody stops a line by a wrong button."""
    job = int(arguments["job"])
    if job:
        await asyncio.to_thread(context.recipes.released, job)
    return station.change_job(job, SOURCE, who)


async def _reload_recipes(station: StationPort, arguments: Arguments, who: Person, context: Context) -> Message:
    """Has the newest revision of the loaded job judge, where there is a newer one."""
    loaded = station.snapshot().recipe
    if loaded is None:
        return {"reloaded": False}
    released = await asyncio.to_thread(context.recipes.released, loaded.job)
    now = station.snapshot().recipe
    if released.digest == loaded.digest or now is None or now.digest != loaded.digest:
        return {"reloaded": False}
    reply = station.change_job(loaded.job, SOURCE, who)
    return {**_told(reply), "reloaded": reply.code is ErrorCode.NONE}


async def _review(station: StationPort, arguments: Arguments, who: Person, context: Context) -> Reply:
    label = arguments["label"]
    if label not in LABELS:
        return Reply(ErrorCode.SYSTEM, f"label must be one of {', '.join(LABELS)}")
    written = await station.review(int(arguments["result_id"]), label, _text(arguments, "note"), who)
    return Reply() if written else NOT_ON_RECORD


async def _audit(station: StationPort, arguments: Arguments, who: Person, context: Context) -> Reply:
    action, subject, old, new, why = (_text(arguments, name) for name in ("action", "subject", "old", "new", "why"))
    return Reply() if await station.audit(action, subject, old, new, why, who) else NOT_ON_RECORD


async def _snap(station: StationPort, arguments: Arguments, who: Person, context: Context) -> Message:
    settings = checked(SETTINGS, with_tuples(arguments.get("settings") or {}), "settings", "correct them")
    path = context.snap_path(station.name)
    snap = await station.snap(arguments["camera"], settings, path, who)
    return {"snap": path.stem, "path": str(path), **asdict(snap)}


def _text(arguments: Arguments, name: str) -> str:
    return str(arguments.get(name, ""))[:LONGEST_TEXT]


REQUESTS: Mapping[str, Answer] = {
    "acknowledge_alarm": _acknowledge_alarm,
    "audit": _audit,
    "change_job": _change_job,
    "clear_error": _clear_error,
    "master_test": lambda station, arguments, who, context: station.start_master_test(SOURCE, who),
    "offline": _offline,
    "online": _online,
    "release": lambda station, arguments, who, context: station.release(who, _text(arguments, "reason")),
    "reload_recipes": _reload_recipes,
    "reset_counters": _reset_counters,
    "review": _review,
    "self_test": lambda station, arguments, who, context: station.start_self_test(SOURCE, who),
    "simulate": _simulate,
    "snap": _snap,
    "trigger": _trigger,
    "watch": _watch,
}
