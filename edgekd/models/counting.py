"""Counting parameters and multiply-accumulates on the real modules.

The papers of this field count differently; ours are counted two ways, and each figure names which:
`macs` is convolutions and linear layers alone; `thop_macs` adds what the thop package adds, pooling's additions.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from edgekd.macs import convolution_macs, product_macs, transposed_convolution_macs
from edgekd.models.maps import SeparableMap
from edgekd.preprocessing import Size, parse_size


@runtime_checkable
class OwnCount(Protocol):
    """A layer whose products do not follow from the shapes of its output and weights."""

    def macs(self, x: Tensor, /) -> int:
        """Multiply-accumulates for its input."""


class Count(NamedTuple):
    """Parameters of a network and its work for one image.

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


def count(network: nn.Module, size: int | Size = 256) -> Count:
    """Counts a network on one RGB image, without computing any values.

    Args:
        network: Takes images [1, 3, height, width].
        size: Height and width, in pixels, or the side of a square.
    """
    return count_parts(network, {"whole": network}, size)["whole"]


def count_parts(network: nn.Module, parts: Mapping[str, nn.Module], size: int | Size = 256) -> dict[str, Count]:
    """Counts parts of a network while the whole network runs.

    Args:
        network: Takes images [1, 3, height, width].
        parts: By name: the network itself, or modules of it.
        size: Height and width, in pixels, or the side of a square.
    """
    copies: dict[int, nn.Module] = {}
    shadow = copy.deepcopy(network, copies).to("meta").eval()
    macs: dict[nn.Module, int] = defaultdict(int)  # A module that works twice counts twice.
    additions: dict[nn.Module, int] = defaultdict(int)

    def add_work(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        macs[module] += _macs(module, inputs[0], output)
        additions[module] += _pool_additions(module, inputs[0], output)

    for module in shadow.modules():
        if isinstance(module, COUNTED):
            module.register_forward_hook(add_work)
    with torch.no_grad():
        shadow(torch.empty(1, 3, *parse_size(size), device="meta"))
    counts = {}
    for name, part in parts.items():
        parameters = sum(parameter.numel() for parameter in part.parameters())
        modules = [copies[id(module)] for module in part.modules() if isinstance(module, COUNTED)]
        of_part = sum(macs[module] for module in modules)
        counts[name] = Count(parameters, of_part, of_part + sum(additions[module] for module in modules))
    return counts


COUNTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, SeparableMap, nn.AvgPool2d, nn.AdaptiveAvgPool2d)


def _macs(module: nn.Module, x: Tensor, output: Tensor) -> int:
    if isinstance(module, OwnCount):
        return module.macs(x)
    if isinstance(module, nn.ConvTranspose2d):
        return transposed_convolution_macs(x.shape, module.weight.shape)
    if isinstance(module, nn.Conv2d):
        return convolution_macs(output.shape, module.weight.shape)
    if isinstance(module, nn.Linear):
        return product_macs(output.shape, x.shape)
    return 0


def _pool_additions(module: nn.Module, x: Tensor, output: Tensor) -> int:
    """thop's count of a pool: one addition per output; of an adaptive one, one per input and a division per output."""
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return output.numel() * (x[0, 0].numel() // output[0, 0].numel() + 1)
    return output.numel() if isinstance(module, nn.AvgPool2d) else 0
