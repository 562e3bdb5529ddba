"""Adding nodes to the address space of an OPC UA server, each with the NodeId that it must have."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from asyncua import Server, ua

from edgekd.station.line.opcua_model import ALIASES, ENUMERATIONS, STRUCTURES, Arguments

HAS_COMPONENT, HAS_PROPERTY, HAS_SUBTYPE = (
    ua.ObjectIds.HasComponent,
    ua.ObjectIds.HasProperty,
    ua.ObjectIds.HasSubtype,
)
BASIC = {
    "Boolean": ua.VariantType.Boolean,
    "Byte": ua.VariantType.Byte,
    "ByteString": ua.VariantType.ByteString,
    "Double": ua.VariantType.Double,
    "Duration": ua.VariantType.Double,
    "Int32": ua.VariantType.Int32,
    "LocalizedText": ua.VariantType.LocalizedText,
    "NodeId": ua.VariantType.NodeId,
    "String": ua.VariantType.String,
    "UInt16": ua.VariantType.UInt16,
    "UInt32": ua.VariantType.UInt32,
    "UtcTime": ua.VariantType.DateTime,
    "BaseDataType": ua.VariantType.Variant,
}


def variant_type(kind: str) -> ua.VariantType:
    """How a value of a type travels, whether it is one or an array of them."""
    kind = kind.removesuffix("[]")
    if kind in STRUCTURES:
        return ua.VariantType.ExtensionObject
    if kind in ENUMERATIONS:
        return ua.VariantType.Int32
    return BASIC[ALIASES[kind][1] if kind in ALIASES else kind]


def variant(kind: str, value: Any) -> ua.Variant:
    """A value of a type, with the type set: one that is guessed may be another, or none."""
    if value is None:
        value = [] if kind.endswith("[]") else ua.get_default_value(variant_type(kind))
    return ua.Variant(value, variant_type(kind), is_array=kind.endswith("[]"))


def structure(name: str, **values: Any) -> Any:
    """A structured value; optional fields that are not given are missing in it."""
    made = getattr(ua, name)(**values)
    for bit, field in enumerate(entry for entry, _ in STRUCTURES[name].fields if entry.endswith("?")):
        if getattr(made, field.rstrip("?")) is not None:
            made.Encoding |= 1 << bit
    return made


def is_structure(value: Any, name: str) -> bool:
    """Whether a value that a client sent is a certain structure."""
    return isinstance(value, getattr(ua, name)) and len(fields(value)) > 0


class Nodes:
    """Adds nodes.

    Args:
        server: Whose address space.
        vision: Index of the companion specification's namespace.
        own: Index of this program's.
    """

    def __init__(self, server: Server, vision: int, own: int) -> None:
        self.server, self.vision, self.own = server, vision, own
        self._management = server.iserver.node_mgt_service

    def type_id(self, kind: str) -> ua.NodeId:
        """The node of a data type."""
        kind = kind.removesuffix("[]")
        number = (
            ALIASES[kind][0]
            if kind in ALIASES
            else ENUMERATIONS[kind][0]
            if kind in ENUMERATIONS
            else STRUCTURES[kind].node
            if kind in STRUCTURES
            else None
        )
        return ua.NodeId(getattr(ua.ObjectIds, kind)) if number is None else ua.NodeId(number, self.vision)

    def add(
        self,
        parent: ua.NodeId,
        node: ua.NodeId,
        name: ua.QualifiedName,
        attributes: Any,
        node_class: ua.NodeClass,
        reference: int = HAS_COMPONENT,
        definition: ua.NodeId | None = None,
    ) -> ua.NodeId:
        """Adds a node below another one."""
        attributes.DisplayName = ua.LocalizedText(name.Name)
        item = ua.AddNodesItem(
            ParentNodeId=parent,
            ReferenceTypeId=ua.NodeId(reference),
            RequestedNewNodeId=node,
            BrowseName=name,
            NodeClass=node_class,
            NodeAttributes=attributes,
            TypeDefinition=definition or ua.NodeId(),
        )
        (result,) = self._management.add_nodes([item])
        result.StatusCode.check()
        return node

    def object(self, parent: ua.NodeId, node: ua.NodeId, name: ua.QualifiedName, definition: ua.NodeId) -> ua.NodeId:
        """Adds an object."""
        return self.add(parent, node, name, ua.ObjectAttributes(), ua.NodeClass.Object, HAS_COMPONENT, definition)

    def variable(
        self,
        parent: ua.NodeId,
        node: ua.NodeId,
        name: ua.QualifiedName,
        kind: str,
        value: Any = None,
        definition: ua.NodeId | None = None,
        reference: int = HAS_COMPONENT,
    ) -> ua.NodeId:
        """Adds a variable that clients may read; no value for none yet."""
        default = ua.ObjectIds.PropertyType if reference == HAS_PROPERTY else ua.ObjectIds.BaseDataVariableType
        attributes = ua.VariableAttributes(
            DataType=self.type_id(kind),
            Value=variant(kind, value),
            ValueRank=ua.ValueRank.OneDimension if kind.endswith("[]") else ua.ValueRank.Scalar,
            AccessLevel=ua.AccessLevel.CurrentRead.mask,
            UserAccessLevel=ua.AccessLevel.CurrentRead.mask,
        )
        if kind.endswith("[]"):
            attributes.ArrayDimensions = [0]
        return self.add(
            parent, node, name, attributes, ua.NodeClass.Variable, reference, definition or ua.NodeId(default)
        )

    def method(
        self,
        parent: ua.NodeId,
        node: ua.NodeId,
        name: ua.QualifiedName,
        inputs: tuple[ua.NodeId, Arguments],
        outputs: tuple[ua.NodeId, Arguments],
    ) -> ua.NodeId:
        """Adds a method; what it takes and returns are each the node of the list, and the list."""
        attributes = ua.MethodAttributes(Executable=True, UserExecutable=True)
        self.add(parent, node, name, attributes, ua.NodeClass.Method)
        for label, (list_node, arguments) in (("InputArguments", inputs), ("OutputArguments", outputs)):
            if arguments:
                values = [self._argument(argument, kind) for argument, kind in arguments]
                listing = ua.VariableAttributes(
                    DataType=ua.NodeId(ua.ObjectIds.Argument),
                    Value=ua.Variant(values, ua.VariantType.ExtensionObject, is_array=True),
                    ValueRank=ua.ValueRank.OneDimension,
                    ArrayDimensions=[len(values)],
                    AccessLevel=ua.AccessLevel.CurrentRead.mask,
                    UserAccessLevel=ua.AccessLevel.CurrentRead.mask,
                )
                definition = ua.NodeId(ua.ObjectIds.PropertyType)
                name_0 = ua.QualifiedName(label, 0)
                self.add(node, list_node, name_0, listing, ua.NodeClass.Variable, HAS_PROPERTY, definition)
        return node

    def _argument(self, name: str, kind: str) -> ua.Argument:
        rank = ua.ValueRank.OneDimension if kind.endswith("[]") else ua.ValueRank.Scalar
        sizes = [ua.UInt32(0)] if kind.endswith("[]") else []
        return ua.Argument(Name=name, DataType=self.type_id(kind), ValueRank=rank, ArrayDimensions=sizes)

    def refer(self, source: ua.NodeId, reference: int, target: ua.NodeId, both: bool = True) -> None:
        """Adds a reference from a node to another one, and back."""
        for first, second, forward in ((source, target, True), (target, source, False))[: 2 if both else 1]:
            item = ua.AddReferencesItem(
                SourceNodeId=first, ReferenceTypeId=ua.NodeId(reference), IsForward=forward, TargetNodeId=second
            )
            (status,) = self._management.add_references([item])
            status.check()

    def remove(self, parent: ua.NodeId, node: ua.NodeId) -> None:
        """Removes a node that nothing but its parent refers to."""
        for reference in list(self.server.iserver.aspace[parent].references):
            if reference.NodeId == node:
                self.server.iserver.aspace[parent].references.remove(reference)
        self._management.delete_nodes(ua.DeleteNodesParameters(NodesToDelete=[ua.DeleteNodesItem(NodeId=node)]))
