"""The arithmetic of a training step: float32, or bfloat16 where that is faster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn


@contextlib.contextmanager
def mixed_precision(network: nn.Module, device: torch.device, enabled: bool) -> Iterator[None]:
    """Lets a network compute in bfloat16 what is faster in it.

    On a CPU depthwise convolutions stay in float32: in bfloat16 their backward pass takes twice as long, which costs
    EfficientNet-Lite's trunks a third of a step.

    Args:
        network: That is trained; it computes so until the context ends.
        device: Where it is.
        enabled: Off for float32 throughout.
    """
    with contextlib.ExitStack() as stack:
        if enabled and device.type == "cpu":
            for module in network.modules():
                if isinstance(module, nn.Conv2d) and module.groups > 1:
                    stack.enter_context(_in_float32(module))
        stack.enter_context(torch.autocast(device.type, torch.bfloat16, enabled=enabled))
        yield


@contextlib.contextmanager
def _in_float32(convolution: nn.Conv2d) -> Iterator[None]:
    """Keeps a convolution out of autocast."""
    outside = contextlib.ExitStack()

    def leave(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        outside.enter_context(torch.autocast("cpu", enabled=False))
        return tuple(entry.float() for entry in inputs)

    def enter(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        outside.close()

    hooks = [
        convolution.register_forward_pre_hook(leave),
        convolution.register_forward_hook(enter, always_call=True),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
