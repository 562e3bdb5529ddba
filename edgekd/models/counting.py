"""Counting parameters and multiply-accumulates on the real modules.

The papers of this field count differently; ours are counted two ways, and each figure says which:
`macs` is convolutions and linear layers alone; `thop_macs` adds what the thop package adds, pooling's additions.
"""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Count(NamedTuple):
    """What a network holds and does for one picture.

    Attributes:
        parameters: Weights and biases; buffers are not counted.
        macs: Multiply-accumulates of convolutions and linear layers.
        thop_macs: The same plus one addition per input of adaptive pools and per output of other average pools.
    """

    parameters: int
    macs: int
    thop_macs: int

    def __add__(self, other: object) -> Count:
        if not isinstance(other, Count):
            return NotImplemented
        return Count(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def count(network: nn.Module, size: int = 256) -> Count:
    """Counts a network on one RGB picture of size x size pixels, without computing anything.

    Args:
        network: Takes images [1, 3, size, size].
        size: In pixels.
    """
    shadow = copy.deepcopy(network).to("meta")
    macs: list[int] = []
    pool_additions: list[int] = []

    def on_convolution(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        taps = math.prod(module.kernel_size) * module.in_channels // module.groups
        macs.append(output.numel() * taps)

    def on_linear(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Linear)
        macs.append(output.numel() * module.in_features)

    def on_average_pool(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        pool_additions.append(output.numel())

    def on_adaptive_average_pool(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        window = inputs[0][0, 0].numel() // output[0, 0].numel()
        pool_additions.append(output.numel() * (window + 1))  # thop counts the division too.

    counters = {
        nn.Conv2d: on_convolution,
        nn.Linear: on_linear,
        nn.AvgPool2d: on_average_pool,
        nn.AdaptiveAvgPool2d: on_adaptive_average_pool,
    }
    for module in shadow.modules():
        for kind, counter in counters.items():
            if isinstance(module, kind):
                module.register_forward_hook(counter)
    with torch.no_grad():
        shadow(torch.empty(1, 3, size, size, device="meta"))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Count(parameters, sum(macs), sum(macs) + sum(pool_additions))
