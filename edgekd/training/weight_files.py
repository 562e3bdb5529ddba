"""Files of weights: read without executing anything in them, loaded into a network, written completely or not."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save
from torch import Tensor, nn

from edgekd.artifact import write_beside
from edgekd.errors import ArtifactError, one_line, shown
from edgekd.training.torch_files import TorchFile

WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt")
MOST_BYTES = 2 << 30  # Of a file whose network is not known yet; those of the largest teachers have an eighth.
WIDEST = 8  # Bytes of a number.
OVERHEAD = 1 << 20  # Bytes of names and shapes.
LONGEST_REASON = 300  # Characters: names in the file may have millions.

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}
HEADER_LENGTH = 8  # Bytes of safetensors' first number.

Shapes = Mapping[str, tuple[int, ...]]


class WeightFile(NamedTuple):
    """A file of weights, of which no tensor was made yet.

    Attributes:
        path: The file.
        sha256: Of the bytes that were read, which are those that the tensors come from.
        shapes: What it declares, by name; all of it fits into the file.
        tensors: Makes the tensors, the floating ones as float32.
    """

    path: Path
    sha256: str
    shapes: dict[str, tuple[int, ...]]
    tensors: Callable[[], dict[str, Tensor]]


def open_weights(path: Path, network: nn.Module | None = None, content: bytes | None = None) -> WeightFile:
    """Reads a file of weights once, and checks what it declares before any tensor is made; executes nothing in it.

    Args:
        path: A .safetensors file, or one of torch.save.
        network: What it is for: a file that is much larger is refused unread. None where that is not known yet.
        content: The file's bytes where they were read already.

    Raises:
        ArtifactError: The file is damaged, too large, or holds anything but dense tensors of floating point.
    """
    most = MOST_BYTES if network is None else WIDEST * sum(map(torch.numel, network.state_dict().values())) + OVERHEAD
    try:
        if (size := path.stat().st_size) > most:
            raise ArtifactError(f"has {size} bytes, and what it is for needs {most} at most")
        content = path.read_bytes() if content is None else content
        if path.suffix == ".safetensors":
            dtypes, shapes = _declared_safetensors(content)
            load: Callable[[], dict[str, Tensor]] = lambda: load_safetensors(content)  # noqa: E731
        else:
            file = TorchFile(content)
            dtypes = {name: each.storage.dtype for name, each in file.declared.items()}
            shapes, load = {name: each.shape for name, each in file.declared.items()}, file.tensors
        _require_floating(dtypes)
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror or error}") from error
    except ArtifactError as error:
        raise _refused(path, shown(str(error), LONGEST_REASON)) from error
    except Exception as error:  # A damaged or malicious file fails in many ways; none of them is run.
        raise _refused(path, f"is damaged or holds more than weights: {one_line(error)[:120]}") from error

    def tensors() -> dict[str, Tensor]:
        try:
            state = load()
        except Exception as error:
            raise _refused(path, f"is damaged: {one_line(error)[:120]}") from error
        return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}

    return WeightFile(path, hashlib.sha256(content).hexdigest(), shapes, tensors)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Reads a state dict without ever executing anything in the file.

    Args:
        path: A .safetensors file, or one of torch.save.

    Returns:
        Tensors by name, the floating ones as float32.

    Raises:
        ArtifactError: The file is damaged, or holds anything but dense tensors of floating point.
    """
    return open_weights(path).tensors()


def _refused(path: Path, reason: object) -> ArtifactError:
    return ArtifactError(f"{path} was refused: it {reason}")


def _declared_safetensors(content: bytes) -> tuple[dict[str, torch.dtype], dict[str, tuple[int, ...]]]:
    """What a safetensors file declares; its own library checks that the file holds just that when it is loaded."""
    length = int.from_bytes(content[:HEADER_LENGTH], "little")
    if len(content) < HEADER_LENGTH or length > len(content) - HEADER_LENGTH:
        raise ArtifactError("is cut off: the end is missing, copy the file again")
    header = json.loads(content[HEADER_LENGTH : HEADER_LENGTH + length])
    header.pop("__metadata__", None)
    for name, entry in header.items():
        if entry["dtype"] not in DTYPES:
            raise ArtifactError(
                f"holds {name} of type {entry['dtype']}: weights must be floating point of 16 bits or more"
            )
    dtypes = {name: DTYPES[entry["dtype"]] for name, entry in header.items()}
    shapes = {name: tuple(map(int, entry["shape"])) for name, entry in header.items()}
    claimed = sum(math.prod(shape) * dtypes[name].itemsize for name, shape in shapes.items())
    if claimed != (there := len(content) - HEADER_LENGTH - length):
        raise ArtifactError(f"declares tensors of {claimed} bytes and holds {there}: copy the file again")
    return dtypes, shapes


def _require_floating(dtypes: Mapping[str, torch.dtype]) -> None:
    for name, dtype in dtypes.items():
        if not dtype.is_floating_point and not _is_count(name):
            raise ArtifactError(f"holds {name} in integers: weights must be floating point")


def put_weights(network: nn.Module, state: dict[str, Tensor], name: str, wanted: str) -> None:
    """Loads a state dict, or reports in one line where it does not fit.

    Args:
        network: To load it into.
        state: Tensors by name.
        name: What to call the weights in an error.
        wanted: What the network is, such as "pdn_small".

    Raises:
        ArtifactError: A tensor is missing, is too many, or has another shape.
    """
    check_weights(network, state, name, wanted)
    network.load_state_dict({**{key: value for key, value in network.state_dict().items() if _is_count(key)}, **state})


def check_weights(network: nn.Module, state: dict[str, Tensor], name: str, wanted: str) -> None:
    """Checks that a state dict fits a network, whose own values do not matter.

    Args:
        network, state, name, wanted: As for `put_weights`.

    Raises:
        ArtifactError: A tensor is missing, is too many, or has another shape.
    """
    check_shapes(network, {key: tuple(tensor.shape) for key, tensor in state.items()}, name, wanted)
    for key, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise ArtifactError(f"{name} is damaged: {key} holds NaN or infinite values")


def check_shapes(network: nn.Module, shapes: Shapes, name: str, wanted: str) -> None:
    """Checks that what a file declares fits a network, before any tensor of it is made.

    Args:
        network, name, wanted: As for `put_weights`.
        shapes: By name.

    Raises:
        ArtifactError: A tensor is missing, is too many, or has another shape.
    """
    own = network.state_dict()
    if missing := sorted(key for key in own.keys() - shapes.keys() if not _is_count(key)):
        raise ArtifactError(
            f"{name} does not fit {wanted}: it lacks {missing[0]} ({len(missing)} of {len(own)} tensors)"
        )
    if extra := sorted(shapes.keys() - own.keys()):
        raise ArtifactError(f"{name} does not fit {wanted}: {extra[0]} does not belong to it")
    for key, shape in shapes.items():
        if tuple(own[key].shape) != shape:
            raise ArtifactError(
                f"{name} does not fit {wanted}: {key} is {shape} where {wanted} has {tuple(own[key].shape)}"
            )


def _is_count(key: str) -> bool:
    """Whether a tensor is batch norm's count of batches: some published files lack it, and nothing here reads it."""
    return key.endswith(".num_batches_tracked")


def write_weights(path: Path, state: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Writes a state dict as safetensors, completely or not at all."""
    data = save({key: value.detach().cpu().contiguous() for key, value in state.items()}, metadata)
    with write_beside(path) as part:
        part.write_bytes(data)
