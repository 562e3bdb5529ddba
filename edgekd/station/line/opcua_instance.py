"""The nodes of one station: a vision system of OPC 40100-1, and values of our own that it has no place for.

NodeIds are text made of the station's name and the path, such as "press.VisionStateMachine.Reset": they are the same
after each start, whatever else is configured.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from asyncua import ua

from edgekd.station.line.opcua_model import EVENT_TYPES, METHODS, OBJECT_TYPES, PARTS, RESULT_TYPE, Step
from edgekd.station.line.opcua_nodes import HAS_PROPERTY, Nodes, structure, variant

# What a station shows beside the companion specification, by the field of `opcua_messages.view_of`: folder and type.
VALUES: dict[str, tuple[str, str]] = {
    "State": ("Station", "String"),
    "StateCode": ("Station", "UInt16"),
    "Online": ("Station", "Boolean"),
    "TriggerReady": ("Station", "Boolean"),
    "Acquiring": ("Station", "Boolean"),
    "ExposureDone": ("Station", "Boolean"),
    "Busy": ("Station", "Boolean"),
    "ResultsReady": ("Station", "Boolean"),
    "MissedTrigger": ("Station", "Boolean"),
    "Overrun": ("Station", "Boolean"),
    "Warning": ("Station", "Boolean"),
    "Fault": ("Station", "UInt16"),
    "JobFailed": ("Station", "UInt16"),
    "StopLine": ("Station", "Boolean"),
    "SelfTestDue": ("Station", "Boolean"),
    "SelfTestFailed": ("Station", "Boolean"),
    "StorageLow": ("Station", "Boolean"),
    "StorageFree": ("Station", "Double"),
    "Simulated": ("Station", "Boolean"),
    "ClockJumped": ("Station", "Boolean"),
    "LinksDown": ("Station", "String[]"),
    "AlarmCodes": ("Alarms", "UInt16[]"),
    "AlarmTexts": ("Alarms", "String[]"),
    "Total": ("Counters", "UInt32"),
    "Ok": ("Counters", "UInt32"),
    "Ng": ("Counters", "UInt32"),
    "Error": ("Counters", "UInt32"),
    "Missed": ("Counters", "UInt32"),
    "NgInARow": ("Counters", "UInt32"),
    "ErrorsInARow": ("Counters", "UInt32"),
    "CountedSince": ("Counters", "UtcTime"),
    "Job": ("Recipe", "UInt16"),
    "RecipeId": ("Recipe", "String"),
    "Revision": ("Recipe", "UInt32"),
    "RecipeDigest": ("Recipe", "String"),
    "Product": ("Recipe", "String"),
}
# Of the last answer, by the field of `opcua_messages.result_of`.
RESULT_VALUES: dict[str, str] = {
    "ResultId": "UInt32",
    "AcquisitionId": "UInt32",
    "PartId": "UInt32",
    "Serial": "String",
    "Lot": "String",
    "Verdict": "String",
    "VerdictCode": "UInt16",
    "ErrorCode": "UInt16",
    "ErrorText": "String",
    "Score": "Double",
    "Threshold": "Double",
    "Severity": "Double",
    "AnomalousArea": "Double",
    "TotalMs": "Double",
    "Simulated": "Boolean",
}


class Instance:
    """Makes the nodes of a station, and finds them again by their paths.

    Args:
        nodes: Where.
        station: Its name.
    """

    def __init__(self, nodes: Nodes, station: str) -> None:
        self._nodes, self._station = nodes, station
        objects = ua.NodeId(ua.ObjectIds.ObjectsFolder)
        definition = self.of_spec(OBJECT_TYPES["VisionSystemType"][0])
        self.node = nodes.add(
            objects,
            self.id(""),
            self._own(station),
            ua.ObjectAttributes(EventNotifier=1),
            ua.NodeClass.Object,
            ua.ObjectIds.Organizes,
            definition,
        )
        self.objects: set[ua.NodeId] = {self.node}
        for path, owner, part in (
            ("VisionStateMachine", "", "VisionStateMachine"),
            ("VisionStateMachine.AutomaticModeStateMachine", "VisionStateMachine", "AutomaticModeStateMachine"),
            ("RecipeManagement", "", "RecipeManagement"),
            ("ResultManagement", "", "ResultManagement"),
            ("ResultManagement.Results", "ResultManagement", "Results"),
        ):
            self._part(path, owner, part)
        for machine in ("VisionStateMachine", "VisionStateMachine.AutomaticModeStateMachine"):
            self._machine_variables(machine)
        state = structure("SystemStateDescriptionDataType", State=ua.SystemStateDataType(6))
        self._variable("SystemState", "", "SystemStateDescriptionDataType", state)
        for kind in EVENT_TYPES.values():
            nodes.refer(self.node, ua.ObjectIds.GeneratesEvent, self.of_spec(kind.node), both=False)
        self._own_values()

    def id(self, path: str) -> ua.NodeId:
        """The node at a path below the station."""
        return ua.NodeId(f"{self._station}.{path}" if path else self._station, self._nodes.own)

    def of_spec(self, number: int) -> ua.NodeId:
        """A node of the companion specification."""
        return ua.NodeId(number, self._nodes.vision)

    def add_result(self, result_id: int, value: Any) -> None:
        """Adds a result to the folder of results."""
        path = f"ResultManagement.Results.{result_id}"
        self._nodes.variable(
            self.id("ResultManagement.Results"),
            self.id(path),
            self._own(str(result_id)),
            "ResultDataType",
            value,
            self.of_spec(RESULT_TYPE),
        )

    def remove_result(self, result_id: int) -> None:
        """Takes it out again."""
        self._nodes.remove(self.id("ResultManagement.Results"), self.id(f"ResultManagement.Results.{result_id}"))

    async def write(self, path: str, kind: str, value: Any) -> None:
        """Writes a value."""
        now = datetime.now(timezone.utc)
        await self._write(path, ua.DataValue(variant(kind, value), SourceTimestamp=now))

    async def write_step(self, path: str, name: str, step: Step) -> None:
        """Writes a state or a transition, by its name, node and number."""
        await self.write(path, "LocalizedText", ua.LocalizedText(name))
        await self.write(f"{path}.Id", "NodeId", self.of_spec(step.node))
        await self.write(f"{path}.Number", "UInt32", step.number)

    async def write_inactive(self, path: str) -> None:
        """Says that a state machine is not active."""
        for end in ("", ".Id", ".Number"):
            await self._write(path + end, ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadStateNotActive)))

    async def _write(self, path: str, value: ua.DataValue) -> None:
        space = self._nodes.server.iserver.aspace
        await space.write_attribute_value(self.id(path), ua.AttributeIds.Value, value)

    def _own(self, name: str) -> ua.QualifiedName:
        return ua.QualifiedName(name, self._nodes.own)

    def _vision(self, name: str) -> ua.QualifiedName:
        return ua.QualifiedName(name, self._nodes.vision)

    def _part(self, path: str, owner: str, part: str) -> None:
        definition = PARTS[part][2]
        self._nodes.object(self.id(owner), self.id(path), self._vision(part), self.of_spec(OBJECT_TYPES[definition][0]))
        self.objects.add(self.id(path))
        for name, method in METHODS.get(definition, {}).items():
            inputs = (self.id(f"{path}.{name}.InputArguments"), method.inputs)
            outputs = (self.id(f"{path}.{name}.OutputArguments"), method.outputs)
            self._nodes.method(self.id(path), self.id(f"{path}.{name}"), self._vision(name), inputs, outputs)

    def _machine_variables(self, machine: str) -> None:
        for name, definition in (
            ("CurrentState", ua.ObjectIds.FiniteStateVariableType),
            ("LastTransition", ua.ObjectIds.FiniteTransitionVariableType),
        ):
            path = f"{machine}.{name}"
            node = self._nodes.variable(
                self.id(machine),
                self.id(path),
                ua.QualifiedName(name, 0),
                "LocalizedText",
                definition=ua.NodeId(definition),
            )
            properties = [("Id", "NodeId"), ("Number", "UInt32")]
            if name == "LastTransition":
                properties.append(("TransitionTime", "UtcTime"))
            for label, kind in properties:
                name_0 = ua.QualifiedName(label, 0)
                self._nodes.variable(node, self.id(f"{path}.{label}"), name_0, kind, reference=HAS_PROPERTY)

    def _variable(self, path: str, owner: str, kind: str, value: Any = None) -> None:
        name = path.rpartition(".")[2]
        self._nodes.variable(self.id(owner), self.id(path), self._vision(name), kind, value)

    def _own_values(self) -> None:
        folder = ua.NodeId(ua.ObjectIds.BaseObjectType)
        self._nodes.object(self.node, self.id("Inspection"), self._own("Inspection"), folder)
        folders = sorted({group for group, _ in VALUES.values()} | {"LastResult"})
        for group in folders:
            self._nodes.object(self.id("Inspection"), self.id(f"Inspection.{group}"), self._own(group), folder)
        rows = [(name, group, kind) for name, (group, kind) in VALUES.items()]
        rows += [(name, "LastResult", kind) for name, kind in RESULT_VALUES.items()]
        for name, group, kind in rows:
            path = f"Inspection.{group}"
            self._nodes.variable(self.id(path), self.id(f"{path}.{name}"), self._own(name), kind)
