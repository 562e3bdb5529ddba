"""An .onnx file as protobuf reads it: as much of ONNX's schema as is looked at before a back end gets the file.

The onnx package is not on a station, and a reader of our own could read a crafted file otherwise than the back ends do:
so protobuf itself parses it, by a description of the fields in a pool of its own. The numbers are those of onnx.proto.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from edgekd.errors import ArtifactError

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "edgekd_graph"


class Number(NamedTuple):
    """A field of a message.

    Attributes:
        number: Its number in onnx.proto.
        kind: A scalar type of protobuf, or the name of a message below. Text is read as bytes: it need not be UTF-8.
        repeated: Whether there may be several.
    """

    number: int
    kind: int | str
    repeated: bool = False


_INT, _INT32, _FLOAT, _DOUBLE = _Field.TYPE_INT64, _Field.TYPE_INT32, _Field.TYPE_FLOAT, _Field.TYPE_DOUBLE
_UINT, _TEXT = _Field.TYPE_UINT64, _Field.TYPE_BYTES

_MESSAGES: dict[str, dict[str, Number]] = {
    "Model": {
        "graph": Number(7, "Graph"),
        "opset_import": Number(8, "Opset", True),
        "training_info": Number(20, _TEXT, True),
        "functions": Number(25, _TEXT, True),
    },
    "Opset": {
        "domain": Number(1, _TEXT),
        "version": Number(2, _INT),
    },
    "Graph": {
        "node": Number(1, "Node", True),
        "initializer": Number(5, "Tensor", True),
        "input": Number(11, "Value", True),
        "output": Number(12, "Value", True),
        "value_info": Number(13, "Value", True),
        "sparse_initializer": Number(15, _TEXT, True),
    },
    "Node": {
        "input": Number(1, _TEXT, True),
        "output": Number(2, _TEXT, True),
        "name": Number(3, _TEXT),
        "op_type": Number(4, _TEXT),
        "attribute": Number(5, "Attribute", True),
        "domain": Number(7, _TEXT),
    },
    "Attribute": {
        "name": Number(1, _TEXT),
        "f": Number(2, _FLOAT),
        "i": Number(3, _INT),
        "t": Number(5, "Tensor"),
        "g": Number(6, _TEXT),
        "ints": Number(8, _INT, True),
        "tensors": Number(10, "Tensor", True),
        "graphs": Number(11, _TEXT, True),
        "ref_attr_name": Number(21, _TEXT),
        "sparse_tensor": Number(22, _TEXT),
        "sparse_tensors": Number(23, _TEXT, True),
    },
    "Tensor": {
        "dims": Number(1, _INT, True),
        "data_type": Number(2, _INT32),
        "segment": Number(3, _TEXT),
        "float_data": Number(4, _FLOAT, True),
        "int32_data": Number(5, _INT32, True),
        "int64_data": Number(7, _INT, True),
        "name": Number(8, _TEXT),
        "raw_data": Number(9, _TEXT),
        "double_data": Number(10, _DOUBLE, True),
        "uint64_data": Number(11, _UINT, True),
        "external_data": Number(13, _TEXT, True),
        "data_location": Number(14, _INT32),
    },
    "Value": {"name": Number(1, _TEXT), "type": Number(2, "Type")},
    "Type": {"tensor_type": Number(1, "TensorType")},
    "TensorType": {"elem_type": Number(1, _INT32), "shape": Number(2, "Shape")},
    "Shape": {"dim": Number(1, "Dim", True)},
    "Dim": {"dim_value": Number(1, _INT), "dim_param": Number(2, _TEXT)},
}


def parse_graph(content: bytes, path: Path) -> Any:
    """The content of an .onnx file.

    Args:
        content: Its bytes.
        path: Its name, for errors.

    Returns:
        The message `Model`, with the fields that are described here.

    Raises:
        ArtifactError: It is not an ONNX graph.
    """
    model = _model_class()()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise ArtifactError(f"cannot load {path}: it is not an ONNX graph or damaged, export it again") from error
    if not model.HasField("graph"):
        raise ArtifactError(f"cannot load {path}: it holds no ONNX graph, export it again")
    return model


@cache
def _model_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="edgekd_graph.proto", package=_PACKAGE)
    for name, numbers in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in numbers.items():
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Model"))
