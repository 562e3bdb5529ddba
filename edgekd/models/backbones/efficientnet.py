"""EfficientNet-B0, whose ImageNet weights torchvision publishes.

Module names are torchvision's, so that its files load as they are.
Source: Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks (ICML 2019), Table 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekd.models.backbones.trunk import Blocks, InvertedResidualNetwork, convolution

EFFICIENTNETS = ("efficientnet_b0",)
BASE = (
    Blocks(1, 3, 1, 1, 16),
    Blocks(2, 3, 2, 6, 24),
    Blocks(2, 5, 2, 6, 40),
    Blocks(3, 3, 2, 6, 80),
    Blocks(3, 5, 1, 6, 112),
    Blocks(4, 5, 2, 6, 192),
    Blocks(1, 3, 1, 6, 320),
)
SQUEEZE = 4


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate computed from the means of all channels.

    Args:
        channels: Channels of the map.
        squeezed: Channels of the layer between means and gates.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(nn.functional.silu(self.fc1(means))))


class InvertedResidual(nn.Module):
    """Expand by a 1 x 1, filter depthwise, gate, project by a 1 x 1; a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.block = nn.Sequential()
        if expansion > 1:
            self.block.append(convolution(inputs, hidden, 1, activation=nn.SiLU()))
        self.block.append(convolution(hidden, hidden, kernel, stride, groups=hidden, activation=nn.SiLU()))
        self.block.append(SqueezeExcitation(hidden, inputs // SQUEEZE))
        self.block.append(convolution(hidden, outputs, 1))
        self._shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        # No stochastic depth, which has no weights: trunks here are frozen, or trained from scratch without it.
        return x + y if self._shortcut else y


class EfficientNetB0(InvertedResidualNetwork):
    """EfficientNet at its base width and depth.

    Args:
        name: "efficientnet_b0" (5,288,548 parameters).
    """

    def __init__(self, name: str) -> None:
        assert name in EFFICIENTNETS
        super().__init__(name, BASE, InvertedResidual, nn.SiLU, nested=True)
