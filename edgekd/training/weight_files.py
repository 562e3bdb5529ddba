"""Files of weights: read without executing anything in them, loaded into a network, written completely or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from edgekd.artifact import write_beside
from edgekd.errors import ArtifactError, one_line

WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Reads a state dict without ever executing anything in the file.

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
        raise ArtifactError(f"{path} was refused: it must be a state dict (names and tensors), save model.state_dict()")
    return {str(key): value.float() if value.is_floating_point() else value for key, value in content.items()}


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
    own = network.state_dict()
    if missing := sorted(key for key in own.keys() - state.keys() if not _is_count(key)):
        raise ArtifactError(
            f"{name} does not fit {wanted}: it lacks {missing[0]} ({len(missing)} of {len(own)} tensors)"
        )
    if extra := sorted(state.keys() - own.keys()):
        raise ArtifactError(f"{name} does not fit {wanted}: {extra[0]} does not belong to it")
    for key, tensor in state.items():
        if own[key].shape != tensor.shape:
            shapes = f"{tuple(tensor.shape)} where {wanted} has {tuple(own[key].shape)}"
            raise ArtifactError(f"{name} does not fit {wanted}: {key} is {shapes}")
        if not torch.isfinite(tensor).all():
            raise ArtifactError(f"{name} is damaged: {key} holds NaN or infinite values")


def _is_count(key: str) -> bool:
    """Whether a tensor is batch norm's count of batches: some published files lack it, and nothing here reads it."""
    return key.endswith(".num_batches_tracked")


def write_weights(path: Path, state: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Writes a state dict as safetensors, completely or not at all."""
    data = save({key: value.detach().cpu().contiguous() for key, value in state.items()}, metadata)
    with write_beside(path) as part:
        part.write_bytes(data)
