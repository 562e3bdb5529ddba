"""Plugin-free equivalents of the blocks that do not leave torch well.

Each class replaces one block by the same function in operations that every runtime has; the weights are shared.
What each replaces and why it is exact stands in export/README.md.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgekd.models.attention import CBAM


class StaticCBAM(nn.Module):
    """CBAM with reductions for its adaptive pools.

    The channel gate's second layer is linear and has no bias, so it is applied once, to the sum of both branches.
    """

    def __init__(self, block: CBAM) -> None:
        super().__init__()
        self.squeeze, self.excite, self.spatial = block.squeeze, block.excite, block.spatial

    def forward(self, x: Tensor) -> Tensor:
        average = torch.relu(self.squeeze(x.mean((2, 3), keepdim=True)))
        maximum = torch.relu(self.squeeze(x.amax((2, 3), keepdim=True)))
        x = x * torch.sigmoid(self.excite(average + maximum))
        statistics = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.spatial(statistics))


REWRITES: dict[type[nn.Module], Callable[..., nn.Module]] = {CBAM: StaticCBAM}


def rewrite(network: nn.Module) -> nn.Module:
    """Replaces, in place, every block that has a plugin-free equivalent; returns the network."""
    for name, child in network.named_children():
        equivalent = REWRITES.get(type(child))
        setattr(network, name, equivalent(child) if equivalent else rewrite(child))
    return network
