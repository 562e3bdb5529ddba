"""The types of OPC 40100-1 in the address space: made here, or imported from the OPC Foundation's own NodeSet2 file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from asyncua import Server, ua

from edgekd.errors import EdgekdError, one_line
from edgekd.station.line.opcua_model import (
    ALIASES,
    ENUMERATIONS,
    EVENT_TYPES,
    METHODS,
    NAMESPACE,
    OBJECT_TYPES,
    OWN_NAMESPACE,
    PARTS,
    RESULT_TYPE,
    STATES,
    STRUCTURES,
    SYSTEM_STATE,
    TRANSITIONS,
    Step,
)
from edgekd.station.line.opcua_nodes import HAS_COMPONENT, HAS_PROPERTY, HAS_SUBTYPE, Nodes

MANDATORY, OPTIONAL = ua.ObjectIds.ModellingRule_Mandatory, ua.ObjectIds.ModellingRule_Optional


async def add_types(server: Server, nodeset: Path | None) -> Nodes:
    """Adds the types that a station uses.

    Args:
        server: Whose address space, after its `init`.
        nodeset: The OPC Foundation's file; None makes those types that are used.

    Raises:
        EdgekdError: The file is not that NodeSet.
    """
    vision = await server.register_namespace(NAMESPACE)
    if nodeset is not None:
        await _import(server, nodeset, vision)
    nodes = Nodes(server, vision, await server.register_namespace(OWN_NAMESPACE))
    if nodeset is None:
        await _Maker(nodes).make()
    await _define_structures(nodes)
    for name in STRUCTURES:  # Of the import, which made them without that.
        if hasattr(ua, name):
            delattr(ua, name)
    await server.load_data_type_definitions()
    return nodes


async def _import(server: Server, nodeset: Path, vision: int) -> None:
    try:
        await server.import_xml(str(nodeset))
    except Exception as error:  # Whatever the file holds.
        raise EdgekdError(f"{nodeset}: cannot be imported as a NodeSet: {one_line(error)}") from error
    if ua.NodeId(OBJECT_TYPES["VisionSystemType"][0], vision) not in server.iserver.aspace:
        raise EdgekdError(f"{nodeset}: is not the NodeSet of {NAMESPACE}; use Opc.Ua.MachineVision.NodeSet2.xml")


async def _define_structures(nodes: Nodes) -> None:
    """Says how structures are encoded.

    The importer leaves optional fields that a structure inherits without their encoding mask, hence for both ways.
    """
    for structure in STRUCTURES.values():
        definition = ua.StructureDefinition(
            DefaultEncodingId=ua.NodeId(structure.encoding, nodes.vision), BaseDataType=nodes.type_id(structure.base)
        )
        definition.StructureType = ua.StructureType.Structure
        for name, kind in structure.fields:
            if name.endswith("?"):
                definition.StructureType = ua.StructureType.StructureWithOptionalFields
            array = kind.endswith("[]")
            # OPC UA has since got a type of this name, and asyncua takes one for the other.
            trimmed = kind == "TrimmedString"
            definition.Fields.append(
                ua.StructureField(
                    Name=name.rstrip("?"),
                    DataType=ua.NodeId(ua.ObjectIds.TrimmedString) if trimmed else nodes.type_id(kind),
                    IsOptional=name.endswith("?"),
                    ValueRank=ua.ValueRank.OneDimension if array else ua.ValueRank.Scalar,
                    ArrayDimensions=[ua.UInt32(0)] if array else [],
                )
            )
        node = nodes.server.get_node(ua.NodeId(structure.node, nodes.vision))
        await node.write_data_type_definition(definition)


class _Maker:
    """Makes the types, one kind after the other."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    async def make(self) -> None:
        await self._data_types()
        self._event_types()
        self._object_types()
        self._parts()

    def _id(self, number: int) -> ua.NodeId:
        return ua.NodeId(number, self._nodes.vision)

    def _name(self, name: str) -> ua.QualifiedName:
        return ua.QualifiedName(name, self._nodes.vision)

    def _rule(self, node: ua.NodeId, mandatory: bool) -> None:
        rule = ua.NodeId(MANDATORY if mandatory else OPTIONAL)
        self._nodes.refer(node, ua.ObjectIds.HasModellingRule, rule, both=False)

    async def _data_types(self) -> None:
        simple = [(name, number, base) for name, (number, base) in ALIASES.items()]
        simple += [(name, number, "Enumeration") for name, (number, _) in ENUMERATIONS.items()]
        simple += [(name, structure.node, structure.base) for name, structure in STRUCTURES.items()]
        for name, number, base in simple:
            self._nodes.add(
                self._nodes.type_id(base),
                self._id(number),
                self._name(name),
                ua.DataTypeAttributes(),
                ua.NodeClass.DataType,
                HAS_SUBTYPE,
            )
        for number, values in ENUMERATIONS.values():
            definition = ua.EnumDefinition(
                Fields=[
                    ua.EnumField(Name=name, Value=value, DisplayName=ua.LocalizedText(name)) for name, value in values
                ]
            )
            await self._nodes.server.get_node(self._id(number)).write_data_type_definition(definition)
        for structure in STRUCTURES.values():
            self._nodes.add(
                self._id(structure.node),
                self._id(structure.encoding),
                ua.QualifiedName("Default Binary", 0),
                ua.ObjectAttributes(),
                ua.NodeClass.Object,
                ua.ObjectIds.HasEncoding,
                ua.NodeId(ua.ObjectIds.DataTypeEncodingType),
            )

    def _event_types(self) -> None:
        for name, event in EVENT_TYPES.items():
            node = self._object_type(name, event.node, getattr(ua.ObjectIds, event.base))
            for field, kind, number in event.fields:
                self._nodes.variable(node, self._id(number), self._name(field), kind, reference=HAS_PROPERTY)
                self._rule(self._id(number), mandatory=True)

    def _object_type(self, name: str, number: int, base: int) -> ua.NodeId:
        return self._nodes.add(
            ua.NodeId(base),
            self._id(number),
            self._name(name),
            ua.ObjectTypeAttributes(),
            ua.NodeClass.ObjectType,
            HAS_SUBTYPE,
        )

    def _object_types(self) -> None:
        for name, (number, base) in OBJECT_TYPES.items():
            node = self._object_type(name, number, getattr(ua.ObjectIds, base))
            for label, method in METHODS.get(name, {}).items():
                inputs = (self._id(method.input_node), method.inputs)
                outputs = (self._id(method.output_node), method.outputs)
                self._nodes.method(node, self._id(method.node), self._name(label), inputs, outputs)
                self._rule(self._id(method.node), mandatory=True)
            self._steps(node, STATES.get(name, {}), "StateNumber", ua.ObjectIds.StateType)
            self._steps(node, TRANSITIONS.get(name, {}), "TransitionNumber", ua.ObjectIds.TransitionType)
        for transitions in TRANSITIONS.values():
            self._ends_of(transitions)
        attributes = ua.VariableTypeAttributes(
            DataType=self._nodes.type_id("ResultDataType"), ValueRank=ua.ValueRank.Scalar
        )
        base_variable = ua.NodeId(ua.ObjectIds.BaseDataVariableType)
        self._nodes.add(
            base_variable,
            self._id(RESULT_TYPE),
            self._name("ResultType"),
            attributes,
            ua.NodeClass.VariableType,
            HAS_SUBTYPE,
        )

    def _steps(self, owner: ua.NodeId, steps: Mapping[str, Step], label: str, definition: int) -> None:
        for name, step in steps.items():
            node = self._nodes.object(owner, self._id(step.node), self._name(name), ua.NodeId(definition))
            name_0 = ua.QualifiedName(label, 0)
            number = self._id(step.number_node)
            self._nodes.variable(node, number, name_0, "UInt32", step.number, reference=HAS_PROPERTY)

    def _ends_of(self, transitions: Mapping[str, Step]) -> None:
        states = {step.number: step.node for machine in STATES.values() for step in machine.values()}
        for step in transitions.values():
            ends = ((ua.ObjectIds.FromState, step.number // 100), (ua.ObjectIds.ToState, step.number // 10 % 10))
            for reference, number in ends:
                self._nodes.refer(self._id(step.node), reference, self._id(states[number]))

    def _parts(self) -> None:
        for name, (owner, number, definition, mandatory) in PARTS.items():
            parent, kind = self._id(OBJECT_TYPES[owner][0]), self._id(OBJECT_TYPES[definition][0])
            self._nodes.object(parent, self._id(number), self._name(name), kind)
            self._rule(self._id(number), mandatory)
        parent = self._id(OBJECT_TYPES["VisionSystemType"][0])
        system_state = self._id(SYSTEM_STATE)
        self._nodes.variable(
            parent, system_state, self._name("SystemState"), "SystemStateDescriptionDataType", reference=HAS_COMPONENT
        )
        self._rule(system_state, mandatory=False)
