"""Torch's files of weights (.pth, .pt), read without executing or inflating anything in them.

A file is a pickle that names tensors, and the numbers beside it: as records of a zip archive, or behind the pickle as
torch wrote it before 1.6. The pickle is read into what it declares; numbers are copied only once that was checked.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from edgekd.errors import ArtifactError

MOST_PICKLE = 1 << 20  # Bytes of a pickle: those of the largest backbones have less than a tenth.
MOST_DIMENSIONS = 8
MAGIC = 0x1950A86A20F9469CFC6C  # With which files of before torch 1.6 begin.
ZIP = b"PK\x03\x04"

# What torch.save uses. Others make objects of classes, reach into modules, or claim memory by a number.
OPCODES = frozenset(
    {"PROTO", "FRAME", "STOP", "MARK", "POP"}
    | {
        "NONE",
        "NEWTRUE",
        "NEWFALSE",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG1",
        "BINFLOAT",
        "BINUNICODE",
        "SHORT_BINUNICODE",
    }
    | {
        "EMPTY_DICT",
        "EMPTY_LIST",
        "EMPTY_TUPLE",
        "TUPLE",
        "TUPLE1",
        "TUPLE2",
        "TUPLE3",
        "APPEND",
        "APPENDS",
        "SETITEM",
        "SETITEMS",
    }
    | {
        "GLOBAL",
        "STACK_GLOBAL",
        "BINPUT",
        "LONG_BINPUT",
        "MEMOIZE",
        "BINGET",
        "LONG_BINGET",
        "BINPERSID",
        "REDUCE",
        "BUILD",
    }
)
DTYPES = {
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.DoubleStorage": torch.float64,
    "torch.LongStorage": torch.int64,  # Batch norm's counts.
}
# What is refused, in words.
KINDS = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor",
    "torch._utils._rebuild_sparse_csr_tensor": "a sparse tensor",
    "torch._utils._rebuild_qtensor": "a quantized tensor",
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor without numbers (meta)",
    "torch._utils._rebuild_wrapper_subclass": "a tensor of a subclass",
    "torch._tensor._rebuild_from_type_v2": "a tensor of a subclass",
    "torch.ComplexFloatStorage": "complex numbers",
    "torch.ComplexDoubleStorage": "complex numbers",
    **{
        f"torch.{name}Storage": "integers"
        for name in ("Char", "Byte", "Short", "Int", "Bool", "QInt8", "QUInt8", "QInt32")
    },
}


class Storage(NamedTuple):
    """Numbers in a file: their type, the key that they are found by, and how many there are."""

    dtype: torch.dtype
    key: str
    length: int


class Declared(NamedTuple):
    """A tensor as a file declares it."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _Rebuild:
    """Stands for torch's functions that make tensors. An instance without attributes, so that no pickle changes it."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> Declared:
        if len(rest) > 2 and rest[2]:  # Whether it is conjugated or negated.
            raise ArtifactError("holds a tensor that is a view with changed signs")
        return Declared(storage, offset, shape, stride)


class _Parameter:
    __slots__ = ()

    def __call__(self, tensor: Any, *rest: Any) -> Any:
        return tensor


GLOBALS: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor_v2": _Rebuild(),
    "torch._utils._rebuild_parameter": _Parameter(),
    **DTYPES,
}


class _Declarations(pickle.Unpickler):
    """Reads a checked pickle; what it would execute is refused, or stands for a declaration."""

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in GLOBALS:
            raise ArtifactError(f"holds {KINDS.get(full, full)}")
        return GLOBALS[full]

    def persistent_load(self, identity: Any) -> Storage:
        kind, dtype, key, _, length, *view = identity
        if kind != "storage" or any(view) or not isinstance(dtype, torch.dtype) or not isinstance(length, int):
            raise ArtifactError("holds numbers that torch does not write so")
        return Storage(dtype, str(key), length)


class TorchFile:
    """A file's declarations, and its numbers.

    Args:
        content: The file's bytes.

    Attributes:
        declared: What the file holds, by name.

    Raises:
        ArtifactError: It holds anything but dense tensors of floating point; the message says what, without the file.
        Exception: It is damaged, in one of many ways.
    """

    def __init__(self, content: bytes) -> None:
        state, self._numbers = _read_zip(content) if content.startswith(ZIP) else _read_legacy(content)
        if not isinstance(state, dict) or not all(isinstance(value, Declared) for value in state.values()):
            raise ArtifactError("must be a state dict (names and tensors), save model.state_dict()")
        self.declared = {str(key): _checked(str(key), value) for key, value in state.items()}
        claimed = sum(math.prod(each.shape) * each.storage.dtype.itemsize for each in self.declared.values())
        if claimed > len(content):
            raise ArtifactError(f"declares tensors of {claimed} bytes in a file of {len(content)}")
        for each in self.declared.values():
            there = len(self._numbers.get(each.storage.key, b""))
            if there != each.storage.length * each.storage.dtype.itemsize:
                raise ArtifactError(f"holds {there} bytes where it declares {each.storage.length} numbers")

    def tensors(self) -> dict[str, Tensor]:
        """The tensors, with memory of their own."""
        return {name: self._tensor(each) for name, each in self.declared.items()}

    def _tensor(self, declared: Declared) -> Tensor:
        storage, offset, shape, stride = declared
        if not math.prod(shape):
            return torch.empty(shape, dtype=storage.dtype)
        numbers = torch.frombuffer(bytearray(self._numbers[storage.key]), dtype=storage.dtype)
        return torch.as_strided(numbers, shape, stride, offset).clone(memory_format=torch.contiguous_format)


def _checked(name: str, declared: Declared) -> Declared:
    """Refuses a tensor that is not dense, or reaches beyond its numbers."""
    storage, offset, shape, stride = declared
    numbers: list[Any] = [offset, *shape, *stride] if isinstance(shape, tuple) and isinstance(stride, tuple) else [None]
    if not isinstance(storage, Storage) or not all(type(number) is int and number >= 0 for number in numbers):
        raise ArtifactError(f"is damaged: {name} has no proper shape")
    count, size = math.prod(shape), 1
    if len(shape) != len(stride) or len(shape) > MOST_DIMENSIONS:
        raise ArtifactError(f"is damaged: {name} has {len(shape)} dimensions and {len(stride)} strides")
    for step, length in sorted((step, length) for step, length in zip(stride, shape, strict=True) if length > 1):
        if step != size and count:
            raise ArtifactError(f"holds {name} with stride tricks: {count} numbers by strides of {stride}")
        size *= length
    if count and offset + count > storage.length:
        raise ArtifactError(f"is damaged: {name} reaches beyond the {storage.length} numbers that it lies in")
    return declared


def _read_zip(content: bytes) -> tuple[Any, Mapping[str, bytes]]:
    """The pickle of an archive, and its records of numbers."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        records = archive.infolist()
        unpacked = sum(record.file_size for record in records)
        if any(record.compress_type != zipfile.ZIP_STORED for record in records) or unpacked > len(content):
            raise ArtifactError(f"unpacks {len(content)} bytes to {unpacked}, and torch.save does not compress")
        names = [record.filename for record in records]
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1 or len(set(names)) != len(names):
            raise ArtifactError("is an archive that torch.save does not write")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") != b"little":
            raise ArtifactError("was saved on a machine of another byte order")
        state, _ = _unpickle(archive.read(pickles[0]), 0)
        before = f"{folder}data/"
        return state, {name.removeprefix(before): archive.read(name) for name in names if name.startswith(before)}


def _read_legacy(content: bytes) -> tuple[Any, Mapping[str, bytes]]:
    """The pickle of a file as torch wrote it before 1.6, and the numbers behind it."""
    magic, at = _unpickle(content, 0)
    if magic != MAGIC:
        raise ArtifactError("is not a file of torch.save")
    _, at = _unpickle(content, at)  # The version of the format.
    system, at = _unpickle(content, at)
    if not system.get("little_endian", True):
        raise ArtifactError("was saved on a machine of another byte order")
    state, at = _unpickle(content, at)
    keys, at = _unpickle(content, at)
    widths = {
        each.storage.key: each.storage.dtype.itemsize for each in dict(state).values() if isinstance(each, Declared)
    }
    numbers = {}
    for key in keys:
        (length,) = struct.unpack_from("<q", content, at)
        end = at + 8 + length * widths[key]
        if length < 0 or end > len(content):
            raise ArtifactError("is cut off: the end is missing, copy the file again")
        numbers[key] = content[at + 8 : end]
        at = end
    return state, numbers


def _unpickle(content: bytes, start: int) -> tuple[Any, int]:
    """Reads one pickle, whose opcodes are checked first; and where it ends."""
    file = io.BytesIO(content[start : start + MOST_PICKLE])
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name not in OPCODES:
            raise ArtifactError(f"holds more than tensors (pickle opcode {opcode.name})")
        if opcode.name == "LONG_BINPUT" and int(argument or 0) > MOST_PICKLE:  # It would make room for so many objects.
            raise ArtifactError("is damaged: its pickle refers to more objects than it holds")
    return _Declarations(io.BytesIO(file.getvalue()[: file.tell()])).load(), start + file.tell()
