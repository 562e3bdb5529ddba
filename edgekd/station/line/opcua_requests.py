"""What the OPC UA server may ask of a station, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from edgekd.station.error_codes import ErrorCode
from edgekd.station.parts import Part
from edgekd.station.ports import Reply, StationPort
from edgekd.station.states import State

LINK: Final = "opcua"
DONE = Reply()


def _who(who: str, arguments: Mapping[str, Any]) -> str:
    """Who asks, and why, for the audit trail."""
    cause = arguments.get("cause", "")
    return f"{who}: {cause}" if cause else who


def _trigger(station: StationPort, arguments: Mapping[str, Any], who: str) -> Reply:
    return station.trigger(Part(arguments.get("part_id", 0), arguments.get("serial", "")), LINK)


def _acknowledge(station: StationPort, arguments: Mapping[str, Any], who: str) -> Reply:
    station.acknowledge(LINK)
    return DONE


def _online(station: StationPort, arguments: Mapping[str, Any], who: str) -> Reply:
    station.set_online(True, LINK, _who(who, arguments))
    return DONE


def _offline(station: StationPort, arguments: Mapping[str, Any], who: str) -> Reply:
    station.set_online(False, LINK, _who(who, arguments))
    return DONE


def _confirm(station: StationPort, arguments: Mapping[str, Any], who: str) -> Reply:
    station.clear_error(LINK, _who(who, arguments))
    return DONE


def _simulate(station: StationPort, arguments: Mapping[str, Any], who: str) -> Reply:
    station.simulate(arguments["on"], LINK, _who(who, arguments))
    return DONE


def _reset(station: StationPort, arguments: Mapping[str, Any], who: str) -> Reply:
    """Leads to OFFLINE from wherever the station is; from FAULT where its cause is gone."""
    if station.snapshot().state is not State.FAULT:
        return station.reset(LINK, _who(who, arguments))
    _confirm(station, arguments, who)
    after = station.snapshot()
    return Reply(after.fault or ErrorCode.SYSTEM) if after.state is State.FAULT else DONE


REQUESTS: Mapping[str, Callable[[StationPort, Mapping[str, Any], str], Reply]] = {
    "trigger": _trigger,
    "acknowledge": _acknowledge,
    "change_job": lambda station, arguments, who: station.change_job(arguments["job"], LINK, who),
    "online": _online,
    "offline": _offline,
    "confirm": _confirm,
    "simulate": _simulate,
    "halt": lambda station, arguments, who: station.halt(LINK, _who(who, arguments)),
    "abort": lambda station, arguments, who: station.abort(LINK, _who(who, arguments)),
    "reset": _reset,
}
