"""Attention blocks that several systems share, each in the form of its source.

Exported graphs hold plugin-free equivalents of these blocks: see edgekd.graph.rewrites.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class CBAM(nn.Module):
    """Convolutional block attention: one gate per channel, then one gate per position.

    Bias-free throughout, without batch norm, mean before maximum, as the parameter count of HKT demands.
    Source: Woo et al., CBAM (ECCV 2018); HKT, equations of the attention module.

    Args:
        channels: Channels of the map.
        least_hidden: The channel gate's hidden layer has channels / 16 units, but no fewer than this.
    """

    def __init__(self, channels: int, least_hidden: int = 1) -> None:
        super().__init__()
        hidden = max(channels // 16, least_hidden)
        self.average_pool = nn.AdaptiveAvgPool2d(1)
        self.max_pool = nn.AdaptiveMaxPool2d(1)
        self.squeeze = nn.Conv2d(channels, hidden, 1, bias=False)
        self.excite = nn.Conv2d(hidden, channels, 1, bias=False)
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The gated map, of the shape of x [N, C, H, W]."""
        x = x * torch.sigmoid(self._mlp(self.average_pool(x)) + self._mlp(self.max_pool(x)))
        statistics = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.spatial(statistics))

    def _mlp(self, pooled: Tensor) -> Tensor:
        gate: Tensor = self.excite(torch.relu(self.squeeze(pooled)))
        return gate


class SPR(nn.Module):
    """Spatial pyramid recalibration: one gate per channel, from averages over the whole map and over its quarters.

    Source: MSPANet (ndsclark/MSPANet, ImageNet/spr_module.py), as PFADSeg uses it.

    Args:
        channels: Channels of the map, whose sides must be even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // 16, 1)
        self.whole = nn.AdaptiveAvgPool2d(1)
        self.quarters = nn.AdaptiveAvgPool2d(2)
        self.squeeze = nn.Conv2d(5 * channels, hidden, 1)
        self.excite = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gates [N, C, 1, 1], 0 to 1, of a map [N, C, H, W]."""
        quarters = self.quarters(x).flatten(1)  # Channel by channel, the four quarters of each together.
        pyramid = torch.cat([self.whole(x), quarters[:, :, None, None]], dim=1)
        gates: Tensor = torch.sigmoid(self.excite(torch.relu(self.squeeze(pyramid))))
        return gates


class PCAR(nn.Module):
    """Pyramid channel attention: three convolutions side by side, weighed against each other channel by channel.

    Source: PFADSeg, section on PA_Residual; MSPANet (ndsclark/MSPANet, ImageNet/mspanet.py) for the batch norms and
    for the axis of the softmax, which the paper leaves open: over the branches.

    Args:
        channels: Channels of the map and of each branch.
        shared_gate: One SPR for the three branches, as in MSPANet; off for one each, which the paper leaves open.
    """

    BRANCHES = 3

    def __init__(self, channels: int, shared_gate: bool = True) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
            for _ in range(self.BRANCHES)
        )
        self.gates = nn.ModuleList(SPR(channels) for _ in range(1 if shared_gate else self.BRANCHES))

    def gate(self, branch: int) -> nn.Module:
        """The gate of a branch."""
        return self.gates[branch % len(self.gates)]

    def forward(self, x: Tensor) -> Tensor:
        """The recalibrated map, of the shape of x [N, C, H, W]."""
        maps = torch.stack([branch(x) for branch in self.branches], dim=1)
        gates = torch.stack([self.gate(index)(maps[:, index]) for index in range(self.BRANCHES)], dim=1)
        return (torch.softmax(gates, dim=1) * maps).sum(1)


class PooledBatchNorm(nn.BatchNorm2d):
    """Batch norm of maps pooled to single numbers, which stays steady where a batch has few of them.

    Over two numbers a channel, a batch's own statistics make any two values plus and minus one, and a gradient grows
    as one over their difference: without bound. Below 16 values, training normalises by the running statistics, which
    each batch still updates. From 16 on, as in the papers' batches, and in inference it is a batch norm like any other.
    """

    FEWEST = 16

    def forward(self, input: Tensor) -> Tensor:
        """The normalised map, of the shape of the input [N, C, H, W]."""
        if not self.training or input[:, 0].numel() >= self.FEWEST:
            return super().forward(input)
        with torch.no_grad():
            super().forward(input)
        return functional.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class AFF(nn.Module):
    """Attentional feature fusion: two maps weighed against each other at each channel and position.

    Source: Dai et al., Attentional Feature Fusion (WACV 2021); YimianDai/open-aff, aff_pytorch, fusion.py.

    Args:
        channels: Channels of both maps.
        reduction: The hidden layers have channels / reduction units.
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.local_context = self._bottleneck(channels, channels // reduction, nn.BatchNorm2d)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.global_context = self._bottleneck(channels, channels // reduction, PooledBatchNorm)

    @staticmethod
    def _bottleneck(channels: int, hidden: int, norm: type[nn.BatchNorm2d]) -> nn.Sequential:
        squeeze, excite = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)
        return nn.Sequential(squeeze, norm(hidden), nn.ReLU(), excite, norm(channels))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The fused map of two maps of one shape [N, C, H, W]; in training N must be 2 or more."""
        both = x + y
        gate = torch.sigmoid(self.local_context(both) + self.global_context(self.pool(both)))
        return 2 * x * gate + 2 * y * (1 - gate)


class RCM(nn.Module):
    """Rectangular self-calibration: a map gated by its row and column means, then mixed over channels.

    Source: Ni et al., CGRSeg (ECCV 2024); nizhenliang/CGRSeg, models/decode_heads/rcm.py, with the sizes of
    cgrseg-t_ade20k: a band of 11, a square of 3, both ratios 1, and here an inner width of 2.

    Args:
        channels: Channels of the map.
    """

    BAND = 11

    def __init__(self, channels: int) -> None:
        super().__init__()
        band, half = self.BAND, self.BAND // 2
        self.local = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.row_pool, self.column_pool = nn.AdaptiveAvgPool2d((None, 1)), nn.AdaptiveAvgPool2d((1, None))
        self.excite = nn.Sequential(
            nn.Conv2d(channels, channels, (1, band), padding=(0, half), groups=channels),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, (band, 1), padding=(half, 0), groups=channels),
            nn.Sigmoid(),
        )
        self.norm = nn.BatchNorm2d(channels)
        self.mix = nn.Sequential(nn.Conv2d(channels, 2 * channels, 1), nn.GELU(), nn.Conv2d(2 * channels, channels, 1))
        self.scale = nn.Parameter(torch.full((channels, 1, 1), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """The calibrated map, of the shape of x [N, C, H, W]."""
        gate = self.excite(self.row_pool(x) + self.column_pool(x))
        mixed: Tensor = x + self.scale * self.mix(self.norm(gate * self.local(x)))
        return mixed


class HAM(CBAM):
    """The hybrid attention of MTHF: one gate per channel, then one gate per position.

    The paper's abstract names it without its layers; the form is CBAM's, with at least 8 hidden units.

    Args:
        channels: Channels of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, least_hidden=8)
