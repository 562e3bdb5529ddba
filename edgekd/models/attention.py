"""Attention blocks that several systems share, each in the form of its source.

The graphs that ship hold plugin-free equivalents of these blocks: see edgekd.graph.rewrites.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CBAM(nn.Module):
    """Convolutional block attention: a gate a channel, then a gate a position.

    Bias-free throughout, without batch norm, mean before maximum, as the parameter count of HKT demands.
    Source: Woo et al., CBAM (ECCV 2018); HKT, equations of the attention module.

    Args:
        channels: Of the map.
        reduction: The channel gate's hidden layer has channels / reduction units.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.average_pool = nn.AdaptiveAvgPool2d(1)
        self.max_pool = nn.AdaptiveMaxPool2d(1)
        self.squeeze = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.excite = nn.Conv2d(channels // reduction, channels, 1, bias=False)
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The gated map, of the shape of x [N, C, H, W]."""
        x = x * torch.sigmoid(self._mlp(self.average_pool(x)) + self._mlp(self.max_pool(x)))
        statistics = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.spatial(statistics))

    def _mlp(self, pooled: Tensor) -> Tensor:
        gate: Tensor = self.excite(torch.relu(self.squeeze(pooled)))
        return gate
