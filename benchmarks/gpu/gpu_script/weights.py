"""Weights as they leave the machine: float16, in files of less than 16 MB, which are put together again by name."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from edgekd.training.weight_files import write_weights

MOST_BYTES = 15_500_000  # Of a file; its header comes on top.
MOST_FILES = 2  # That a network may take; a larger one stays where it was trained.


def write_parts(folder: Path, name: str, state: dict[str, Tensor]) -> list[str]:
    """Writes a state dict as NAME.safetensors, or NAME-1.safetensors, NAME-2.safetensors where it is too large.

    Args:
        folder: For the files; those of the same name that are there already are removed.
        name: Of the network.
        state: Floating tensors become float16. One that float16 cannot hold stays as it is.

    Returns:
        The files' names; none where more than two would be needed.
    """
    for old in folder.glob(f"{name}*.safetensors"):
        old.unlink()
    parts: list[dict[str, Tensor]] = [{}]
    size = 0
    for key, value in state.items():
        narrow = _narrow(value.detach().cpu())
        if size + narrow.nbytes > MOST_BYTES and parts[-1]:
            parts.append({})
            size = 0
        parts[-1][key] = narrow
        size += narrow.nbytes
    if len(parts) > MOST_FILES:
        return []
    names = [name] if len(parts) == 1 else [f"{name}-{number}" for number in range(1, len(parts) + 1)]
    for stem, part in zip(names, parts, strict=True):
        write_weights(folder / f"{stem}.safetensors", part)
    return [f"{stem}.safetensors" for stem in names]


def read_parts(folder: Path, names: list[str]) -> dict[str, Tensor]:
    """The state dict that `write_parts` wrote, as float32."""
    state: dict[str, Tensor] = {}
    for name in names:
        state |= load_file(folder / name)
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def _narrow(value: Tensor) -> Tensor:
    if not value.is_floating_point() or bool((value.abs() > torch.finfo(torch.float16).max).any()):
        return value
    return value.half()
