"""Teacher weights: those that ship with the package, and those in a user's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from edgekd.artifact import read_json, sha256, write_beside
from edgekd.errors import ArtifactError, EdgekdError, one_line, unknown_name

SHIPPED = Path(__file__).parent / "weights"
WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt")


class Teacher(NamedTuple):
    """A teacher's weights and where they come from.

    Attributes:
        name: Of a shipped teacher, or the file's path.
        state: Its state dict, float32.
        sha256: Of its file.
        provenance: What is known of how it was made.
    """

    name: str
    state: dict[str, Tensor]
    sha256: str
    provenance: dict[str, Any]


def shipped_teachers() -> list[str]:
    """The names of the teachers that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def load_teacher(name: str) -> Teacher:
    """Finds a teacher by name or file.

    Args:
        name: Of a shipped teacher, or a .safetensors, .pth or .pt file that holds a state dict.

    Raises:
        EdgekdError: There is no such teacher.
        ArtifactError: The file is damaged, or is no state dict.
    """
    if name in shipped_teachers():
        path = SHIPPED / f"{name}.safetensors"
        return Teacher(name, read_weights(path), sha256(path), read_json(path.with_suffix(".json")))
    path = Path(name)
    if path.suffix not in WEIGHT_SUFFIXES:
        raise unknown_name("teacher", name, shipped_teachers())
    if not path.is_file():
        raise EdgekdError(f"no such teacher file: {path}")
    card = path.with_suffix(".json")
    provenance = read_json(card) if card.is_file() else {"file": path.name, "made_from": "not known: a user's file"}
    return Teacher(str(path), read_weights(path), sha256(path), provenance)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Reads a state dict without ever running what a file says.

    Args:
        path: A .safetensors file, or a torch file, which is read with weights_only.

    Returns:
        Tensors by name, the floating ones as float32.

    Raises:
        ArtifactError: The file is damaged, or holds anything but tensors.
    """
    try:
        content: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:  # A damaged or malicious file fails in many ways; none of them is run.
        reason = one_line(error)[:120]
        raise ArtifactError(f"{path} was refused, it is damaged or holds more than weights: {reason}") from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ArtifactError(f"{path} was refused: a state dict (names and tensors) is needed, save model.state_dict()")
    return {str(key): value.float() if value.is_floating_point() else value for key, value in content.items()}


def put_weights(network: nn.Module, state: dict[str, Tensor], name: str, wanted: str) -> None:
    """Loads a state dict, saying in one line where it does not fit.

    Args:
        network: To load it into.
        state: Tensors by name.
        name: What to call the weights in an error.
        wanted: What the network is, such as "pdn_small".

    Raises:
        ArtifactError: A tensor is missing, is too many, or has another shape.
    """
    own = network.state_dict()
    if missing := sorted(own.keys() - state.keys()):
        raise ArtifactError(f"{name} is no {wanted}: it lacks {missing[0]} ({len(missing)} of {len(own)} tensors)")
    if extra := sorted(state.keys() - own.keys()):
        raise ArtifactError(f"{name} is no {wanted}: {extra[0]} does not belong to it")
    for key, tensor in own.items():
        if state[key].shape != tensor.shape:
            shapes = f"{tuple(state[key].shape)} where {wanted} has {tuple(tensor.shape)}"
            raise ArtifactError(f"{name} is no {wanted}: {key} is {shapes}")
        if not torch.isfinite(state[key]).all():
            raise ArtifactError(f"{name} is damaged: {key} holds values that are no finite numbers")
    network.load_state_dict(state)


def write_weights(path: Path, state: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Writes a state dict as safetensors, completely or not at all."""
    data = save({key: value.detach().cpu().contiguous() for key, value in state.items()}, metadata)
    with write_beside(path) as part:
        part.write_bytes(data)
