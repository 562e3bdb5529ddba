"""Choosing where to compute."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from edgekd.errors import EdgekdError, MachineError

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def choose_device(name: str) -> torch.device:
    """The device of a name.

    Args:
        name: "auto" for a CUDA device where there is one, or "cpu", "cuda", "cuda:1".

    Raises:
        EdgekdError: There is no such device.
        MachineError: This machine does not have it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise EdgekdError(f"device must be auto, cpu or cuda, got '{name}'") from error
    if device.type not in ("cpu", "cuda"):
        raise EdgekdError(f"device must be auto, cpu or cuda, got '{name}'")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise MachineError(f"this machine has no device {name}: use --device cpu, or install a CUDA build of torch")
    return device


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 itself: a GPU, or a CPU with AVX-512 BF16 or AMX.

    Others emulate it, more slowly than they compute float32.
    """
    if device.type == "cuda":
        return True
    try:
        capabilities = torch.cpu.get_capabilities()  # Of torch 2.10 and newer.
    except AttributeError:
        return False
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def channels_last(network: AnyModule, device: torch.device) -> AnyModule:
    """Moves a network to a device, its weights in channels-last order, which both CPUs and GPUs compute faster."""
    moved: AnyModule = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved
