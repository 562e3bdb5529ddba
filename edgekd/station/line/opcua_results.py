"""A station's last results, as OPC 40100-1 describes a result, and how a client finds one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from asyncua import ua

from edgekd.station.json_lines import Message
from edgekd.station.line.opcua_messages import VERDICT_CODES
from edgekd.station.line.opcua_nodes import structure, variant

COMPLETED, ABORTED, FAILED = 1, 3, 4  # NG is a completed inspection, ERROR a failed one.
MOST_RESULTS = 100
NO_CONFIGURATION = "edgekd"  # Configuration Management is not served: one id for all.


def utc(milliseconds: int) -> datetime:
    """A time as OPC UA has it."""
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc)


def external_recipe(recipe: Message) -> Any:
    """The name under which others know a recipe."""
    return structure("RecipeIdExternalDataType", **_recipe_fields(recipe, recipe["recipe_id"]))


def internal_recipe(recipe: Message) -> Any:
    """The name of one revision of it."""
    name = f"{recipe['recipe_id']}@{recipe['revision']}" if recipe["recipe_id"] else ""
    return structure("RecipeIdInternalDataType", **_recipe_fields(recipe, name))


def _recipe_fields(recipe: Message, name: str) -> dict[str, Any]:
    if not name:
        return {"Id": ""}
    digest = bytes.fromhex(recipe["digest"]) if recipe["digest"] else b""
    return {"Id": name, "Version": str(recipe["revision"]), "Hash": digest, "HashAlgorithm": "SHA-256"}


def part_name(result: Message) -> str:
    """How a client knows a part: its serial number, or its number."""
    return str(result["Serial"] or result["PartId"])


def result_state(result: Message) -> int:
    """Completed, Aborted or Failed."""
    if result["Verdict"] == "ERROR":
        return ABORTED if result["Aborted"] else FAILED
    return COMPLETED


def fields_of(result: Message, job_id: str, measurement: str) -> dict[str, tuple[str, Any]]:
    """The fields of a result with their types, for its structure and for its event.

    Args:
        result: As control tells it.
        job_id: Of the job that it belongs to.
        measurement: The client's own name for the measurement; "" for none.
    """
    recipe = {"recipe_id": result["RecipeId"], "revision": result["Revision"], "digest": result["RecipeDigest"]}
    times = structure(
        "ProcessingTimesDataType",
        StartTime=utc(result["TriggeredUtcMs"]),
        EndTime=utc(result["PublishedUtcMs"]),
        AcquisitionDuration=float(result["AcquireMs"]),
        ProcessingDuration=float(result["TotalMs"]),
    )
    content = [
        variant("String", result["Verdict"]),
        variant("Double", result["Score"]),
        variant("Double", result["Threshold"]),
        variant("UInt16", result["ErrorCode"]),
        variant("Double", result["AnomalousArea"]),
    ]
    configuration = structure("ConfigurationIdDataType", Id=NO_CONFIGURATION)
    return {
        "ResultId": ("ResultIdDataType", structure("ResultIdDataType", Id=str(result["ResultId"]))),
        "HasTransferableDataOnFile": ("Boolean", False),
        "IsPartial": ("Boolean", False),
        "IsSimulated": ("Boolean", result["Simulated"]),
        "ResultState": ("ResultStateDataType", result_state(result)),
        "MeasId": ("MeasIdDataType", structure("MeasIdDataType", Id=measurement)),
        "PartId": ("PartIdDataType", structure("PartIdDataType", Id=part_name(result))),
        "ExternalRecipeId": ("RecipeIdExternalDataType", external_recipe(recipe)),
        "InternalRecipeId": ("RecipeIdInternalDataType", internal_recipe(recipe)),
        "ProductId": ("ProductIdDataType", structure("ProductIdDataType", Id=result["Product"])),
        "ExternalConfigurationId": ("ConfigurationIdDataType", configuration),
        "InternalConfigurationId": ("ConfigurationIdDataType", configuration),
        "JobId": ("JobIdDataType", structure("JobIdDataType", Id=job_id)),
        "CreationTime": ("UtcTime", utc(result["PublishedUtcMs"])),
        "ProcessingTimes": ("ProcessingTimesDataType", times),
        "ResultContent": ("BaseDataType[]", content),
    }


def last_result(result: Message) -> Message:
    """The values of the last answer."""
    return {**result, "VerdictCode": VERDICT_CODES[result["Verdict"]]}


class Results:
    """The last results, by their ids."""

    def __init__(self) -> None:
        self._results: OrderedDict[str, dict[str, tuple[str, Any]]] = OrderedDict()

    def add(self, result_id: str, fields: dict[str, tuple[str, Any]]) -> str | None:
        """Adds a result.

        Returns:
            The id of one that is too old now.
        """
        self._results[result_id] = fields
        return self._results.popitem(last=False)[0] if len(self._results) > MOST_RESULTS else None

    def __contains__(self, result_id: str) -> bool:
        return result_id in self._results

    def fields(self, result_id: str) -> dict[str, tuple[str, Any]] | None:
        """A result's fields; None where it is not known, or too old."""
        return self._results.get(result_id)

    def matching(self, state: int, names: dict[str, str]) -> Iterator[Any]:
        """Results with a state (0 for any) whose named fields have these ids ("" for any), the latest first."""
        for fields in reversed(self._results.values()):
            if state and fields["ResultState"][1] != state:
                continue
            if all(not wanted or fields[name][1].Id == wanted for name, wanted in names.items()):
                yield as_structure(fields)


def as_structure(fields: dict[str, tuple[str, Any]]) -> Any:
    """A result in one value."""
    return structure("ResultDataType", **{name: value for name, (_, value) in fields.items()})


def empty_result() -> Any:
    """What is returned where there is none."""
    return ua.ResultDataType()
