"""The methods of OPC 40100-1 that clients call, each as a request to the station.

An output `Error` is 0 where the request was taken, else the negative error code of the station; -1 is an id that is
not known here. A method that does not belong to the present state is refused with Bad_InvalidState.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any

from asyncua import Server, ua

from edgekd.station.error_codes import ErrorCode
from edgekd.station.json_lines import Message
from edgekd.station.line.opcua_model import METHODS, STRUCTURES, Arguments, Method
from edgekd.station.line.opcua_nodes import Nodes, is_structure, structure, variant, variant_type
from edgekd.station.line.opcua_results import as_structure, empty_result, internal_recipe
from edgekd.station.line.opcua_station import ServedStation
from edgekd.station.states import State

UNKNOWN_ID = -1
ANY = 2  # Of three-valued truth.
LONGEST_ID = 64
LONGEST_TEXT = 1000
Outputs = tuple[Any, ...]
Call = Callable[..., Awaitable[Outputs]]


class RefusedCallError(Exception):
    """A call that is answered by a status code alone."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def link_methods(server: Server, nodes: Nodes, stations: list[ServedStation]) -> None:
    """Makes the methods callable, by the node of a station's own method and by that of the type."""
    owners = {node: station for station in stations for node in station.instance.objects}
    for owner, methods in METHODS.items():
        for name, method in methods.items():
            link = _linked(method, _METHODS[name], owners)
            server.iserver.isession.add_method_callback(ua.NodeId(method.node, nodes.vision), link)
            for station in stations:
                path = {
                    "VisionStateMachineType": "VisionStateMachine",
                    "VisionAutomaticModeStateMachineType": "VisionStateMachine.AutomaticModeStateMachine",
                    "RecipeManagementType": "RecipeManagement",
                    "ResultManagementType": "ResultManagement",
                }[owner]
                server.iserver.isession.add_method_callback(station.instance.id(f"{path}.{name}"), link)


def _linked(method: Method, call: Call, owners: dict[ua.NodeId, ServedStation]) -> Callable[..., Awaitable[Any]]:
    async def answer(parent: ua.NodeId, *arguments: ua.Variant) -> Any:
        station = owners.get(parent)
        if station is None:
            return ua.StatusCode(ua.StatusCodes.BadMethodInvalid)
        wrong = _wrong_arguments(method.inputs, arguments)
        if wrong is not None:
            return wrong
        values = [_value(kind, given) for (_, kind), given in zip(method.inputs, arguments, strict=True)]
        try:
            outputs = await call(station, *values)
        except RefusedCallError as refusal:
            return ua.StatusCode(refusal.code)
        except TimeoutError:
            return ua.StatusCode(ua.StatusCodes.BadTimeout)
        return [variant(kind, value) for (_, kind), value in zip(method.outputs, outputs, strict=True)]

    return answer


def _wrong_arguments(expected: Arguments, given: tuple[ua.Variant, ...]) -> Any:
    """How a call is answered whose arguments are too few, too many, or of the wrong type; None where they are right."""
    if len(given) != len(expected):
        few = len(given) < len(expected)
        return ua.StatusCode(ua.StatusCodes.BadArgumentsMissing if few else ua.StatusCodes.BadTooManyArguments)
    results = [
        ua.StatusCode(ua.StatusCodes.Good if _fits(kind, value) else ua.StatusCodes.BadTypeMismatch)
        for (_, kind), value in zip(expected, given, strict=True)
    ]
    if all(result.is_good() for result in results):
        return None
    status = ua.StatusCode(ua.StatusCodes.BadInvalidArgument)
    return ua.CallMethodResult(StatusCode=status, InputArgumentResults=results)


def _fits(kind: str, given: ua.Variant) -> bool:
    if kind.endswith("[]"):
        return given.Value is None or isinstance(given.Value, list)
    if kind in STRUCTURES:
        none = given.Value is None or isinstance(given.Value, ua.ExtensionObject)
        return none or (is_structure(given.Value, kind) and len(given.Value.Id or "") <= LONGEST_ID)
    return given.VariantType == variant_type(kind) and not isinstance(given.Value, list)


def _value(kind: str, given: ua.Variant) -> Any:
    """What a method works with: the id of a structure, text, numbers."""
    if kind in STRUCTURES:
        return "" if given.Value is None or isinstance(given.Value, ua.ExtensionObject) else given.Value.Id or ""
    if kind == "LocalizedText":
        return ((given.Value.Text if given.Value else None) or "")[:LONGEST_TEXT]
    if kind == "String":
        return (given.Value or "")[:LONGEST_TEXT]
    return [] if given.Value is None else given.Value


def _require(allowed: bool) -> None:
    if not allowed:
        raise RefusedCallError(ua.StatusCodes.BadInvalidState)


def _state(station: ServedStation) -> State:
    return State(station.view["StateCode"])


async def _asking(station: ServedStation, method: str, request: str, **arguments: Any) -> Message:
    """Asks for what leads to a transition, so that this says which method led to it."""
    station.asked = method
    reply = await station.ask(request, **arguments)
    if reply["code"]:
        station.asked = ""
    return reply


async def _reset(station: ServedStation, cause: int, text: str) -> Outputs:
    method = "" if station.modes.top == "Preoperational" else "Reset"  # There it changes nothing.
    return (-(await _asking(station, method, "reset", cause=_cause(cause, text)))["code"],)


async def _halt(station: ServedStation, cause: int, text: str) -> Outputs:
    return (-(await _asking(station, "Halt", "halt", cause=_cause(cause, text)))["code"],)


async def _select_mode_automatic(station: ServedStation) -> Outputs:
    _require(_state(station) is State.OFFLINE)
    return (-(await _asking(station, "SelectModeAutomatic", "online"))["code"],)


async def _confirm_all(station: ServedStation, comment: str) -> Outputs:
    await station.ask("confirm", cause=comment)
    return ()


async def _start_single_job(
    station: ServedStation, measurement: str, part: str, recipe: str, product: str, parameters: list[Any]
) -> Outputs:
    if not _may_start(station, recipe, product, parameters):
        return structure("JobIdDataType", Id=""), -int(ErrorCode.JOB_UNKNOWN)
    reply = await _asking(station, "StartSingleJob", "trigger", **_part(part))
    if reply["code"]:
        return structure("JobIdDataType", Id=""), -reply["code"]
    station.measured(reply["acquisition_id"], measurement)
    return structure("JobIdDataType", Id=str(reply["acquisition_id"])), 0


async def _start_continuous(
    station: ServedStation, measurement: str, part: str, recipe: str, product: str, parameters: list[Any]
) -> Outputs:
    if not _may_start(station, recipe, product, parameters):
        return structure("JobIdDataType", Id=""), -int(ErrorCode.JOB_UNKNOWN)
    station.asked = "StartContinuous"
    code, job = await station.start_repeating(_part(part), measurement)
    return structure("JobIdDataType", Id=job), -code


def _may_start(station: ServedStation, recipe: str, product: str, parameters: list[Any]) -> bool:
    """Whether what is loaded is what a client wants inspected; refuses the call where nothing can start."""
    if parameters:
        raise RefusedCallError(ua.StatusCodes.BadInvalidArgument)
    _require(station.modes.automatic == "Ready")
    return recipe in ("", station.view["RecipeId"]) and product in ("", station.view["Product"])


def _part(name: str) -> dict[str, Any]:
    """A client's name of a part: a number where it is one that a PLC could give, else a serial number."""
    number = int(name) if name.isascii() and name.isdigit() else 0
    return {"part_id": number} if 0 < number < 1 << 32 else {"serial": name}


def _cause(number: int, text: str) -> str:
    return f"{text} ({number})" if text and number else text or (str(number) if number else "")


async def _stop(station: ServedStation, cause: int, text: str) -> Outputs:
    _require(station.modes.automatic in ("SingleExecution", "ContinuousExecution"))
    if station.by_opcua:
        station.asked = "Stop"
        await station.stop_repeating()
        return (0,)
    return (-(await station.ask("offline", cause=_cause(cause, text)))["code"],)


async def _abort(station: ServedStation, cause: int, text: str) -> Outputs:
    _require(station.modes.automatic in ("SingleExecution", "ContinuousExecution"))
    reply = await _asking(station, "Abort", "abort", cause=_cause(cause, text))
    if station.by_opcua:
        await station.stop_repeating()
    return (-reply["code"],)


async def _simulation_mode(station: ServedStation, activate: bool, cause: int, text: str) -> Outputs:
    return (-(await station.ask("simulate", on=activate, cause=_cause(cause, text)))["code"],)


async def _recipes(station: ServedStation) -> list[Message]:
    recipes: list[Message] = (await station.ask("recipes"))["recipes"]
    return recipes


async def _prepare_recipe(station: ServedStation, external: str, internal: str) -> Outputs:
    _require(station.modes.top == "Operational")
    nothing = structure("RecipeIdInternalDataType", Id="")
    for recipe in await _recipes(station):
        made = internal_recipe(recipe)
        if (internal or external) and internal in ("", made.Id) and external in ("", recipe["recipe_id"]):
            if station.view["RecipeDigest"] == recipe["digest"]:
                return made, True, 0
            reply = await _asking(station, "PrepareRecipe", "change_job", job=recipe["job"])
            return made, False, -reply["code"]
    return nothing, False, -int(ErrorCode.JOB_UNKNOWN)


async def _unprepare_recipe(station: ServedStation, external: str, internal: str) -> Outputs:
    _require(station.modes.top == "Operational")
    view = station.view
    loaded = {"recipe_id": view["RecipeId"], "revision": view["Revision"], "digest": view["RecipeDigest"]}
    made = internal_recipe(loaded)
    if not view["Job"] or external not in ("", view["RecipeId"]) or internal not in ("", made.Id):
        return structure("RecipeIdInternalDataType", Id=""), -int(ErrorCode.JOB_UNKNOWN)
    reply = await _asking(station, "UnprepareRecipe", "change_job", job=0)
    return made, -reply["code"]


async def _get_recipe_list(
    station: ServedStation, external: str, product: str, prepared: int, most: int, start: int, timeout: int
) -> Outputs:
    found = []
    for recipe in await _recipes(station):
        is_prepared = int(recipe["digest"] == station.view["RecipeDigest"])
        if (
            external in ("", recipe["recipe_id"])
            and product in ("", recipe["product"])
            and prepared in (2, is_prepared)
        ):
            found.append(internal_recipe(recipe))
    page = found[start : start + most if most else None]
    return start + len(page) >= len(found), len(page), 0, page, 0


async def _get_result_by_id(station: ServedStation, result_id: str, timeout: int) -> Outputs:
    fields = station.results.fields(result_id)
    if fields is None:
        return 0, empty_result(), UNKNOWN_ID
    return 0, as_structure(fields), 0


async def _get_result_components_by_id(station: ServedStation, result_id: str, timeout: int) -> Outputs:
    fields = station.results.fields(result_id)
    order = [name for name, _ in METHODS["ResultManagementType"]["GetResultComponentsById"].outputs[2:-1]]
    if fields is None:
        empty = empty_result()
        nothing = [getattr(empty, name) for name in order]
        kinds = [kind for _, kind in METHODS["ResultManagementType"]["GetResultComponentsById"].outputs[2:-1]]
        return False, 0, *map(_or_empty, kinds, nothing), UNKNOWN_ID
    return False, 0, *(fields[name][1] for name in order), 0


def _or_empty(kind: str, value: Any) -> Any:
    return structure(kind) if value is None and kind in STRUCTURES else value


async def _get_result_list(station: ServedStation, state: int, *filters: Any) -> Outputs:
    *names, most, start, _ = filters
    labels = [name for name, _ in METHODS["ResultManagementType"]["GetResultListFiltered"].inputs[1:-3]]
    matching = list(station.results.matching(state, dict(zip(labels, names, strict=True))))
    page = list(islice(matching, start, start + most if most else None))
    return start + len(page) >= len(matching), len(page), 0, page, 0


_METHODS: dict[str, Call] = {
    "Reset": _reset,
    "Halt": _halt,
    "SelectModeAutomatic": _select_mode_automatic,
    "ConfirmAll": _confirm_all,
    "StartSingleJob": _start_single_job,
    "StartContinuous": _start_continuous,
    "Stop": _stop,
    "Abort": _abort,
    "SimulationMode": _simulation_mode,
    "PrepareRecipe": _prepare_recipe,
    "UnprepareRecipe": _unprepare_recipe,
    "GetRecipeListFiltered": _get_recipe_list,
    "GetResultById": _get_result_by_id,
    "GetResultComponentsById": _get_result_components_by_id,
    "GetResultListFiltered": _get_result_list,
}
