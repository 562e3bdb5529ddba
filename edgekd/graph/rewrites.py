"""Plugin-free equivalents of the blocks that do not leave torch well.

Each class replaces one block by the same function in operations that every runtime has. What each replaces and why it
is exact stands in docs/explanation/rewrites.md.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgekd.macs import convolution_macs
from edgekd.models.attention import AFF, CBAM, HAM, PCAR, RCM, SPR
from edgekd.models.maps import resizing
from edgekd.models.mhkd import BicubicResize
from edgekd.models.pfadseg import ASPP
from edgekd.preprocessing import Size


class StaticCBAM(nn.Module):
    """CBAM, or HAM, with reductions for its adaptive pools.

    The channel gate's second layer is linear and has no bias, so it is applied once, to the sum of both branches.
    """

    def __init__(self, block: CBAM) -> None:
        super().__init__()
        self.squeeze, self.excite, self.spatial = block.squeeze, block.excite, BlockwiseConvolution(block.spatial)

    def forward(self, x: Tensor) -> Tensor:
        average = torch.relu(self.squeeze(x.mean((2, 3), keepdim=True)))
        maximum = torch.relu(self.squeeze(x.amax((2, 3), keepdim=True)))
        x = x * torch.sigmoid(self.excite(average + maximum))
        statistics = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.spatial(statistics))


class BlockwiseConvolution(nn.Conv2d):
    """A convolution to one channel that gives blocks of 4 x 4 positions as 16 channels, then lays them side by side.

    Runtimes compute many output channels at a time; with one, most of each vector stays empty. The kernel of a position
    is the convolution's, shifted by the position's place in its block.

    Args:
        convolution: To one channel, without bias, with a stride of 1 and the padding that keeps the map's size.
    """

    SIDE = 4

    @torch.no_grad()
    def __init__(self, convolution: nn.Conv2d) -> None:
        kernel = convolution.kernel_size[0]
        super().__init__(convolution.in_channels, self.SIDE**2, kernel + self.SIDE - 1, self.SIDE, bias=False)
        self.around = kernel // 2
        weight = convolution.weight.new_zeros(self.weight.shape)
        for place in range(self.SIDE**2):
            row, column = divmod(place, self.SIDE)
            weight[place, :, row : row + kernel, column : column + kernel] = convolution.weight[0]
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 1, H, W] of maps [N, C, H, W]."""
        height, width = x.shape[2:]
        above, left = (-side % self.SIDE for side in (height, width))  # Outputs that are cut off again.
        padding = (self.around + above, self.around + left)
        blocks = functional.conv2d(x, self.weight, stride=self.stride, padding=padding)
        whole = functional.pixel_shuffle(blocks, self.SIDE)
        return whole[:, :, above : above + height, left : left + width]

    def macs(self, x: Tensor) -> int:
        """Multiply-accumulates for maps [N, C, H, W]."""
        blocks = [-(-side // self.SIDE) for side in x.shape[2:]]
        return convolution_macs((len(x), self.out_channels, *blocks), self.weight.shape)


class StaticSPR(nn.Module):
    """SPR as one average pool and one 2 x 2 convolution.

    The four quarters of a channel lie beside each other in the squeeze's weights, which is a 2 x 2 kernel; and the
    whole map's average is that of its quarters, so its weights go into the same kernel, a quarter each.
    """

    @torch.no_grad()
    def __init__(self, block: SPR) -> None:
        super().__init__()
        hidden, inputs = block.squeeze.weight.shape[:2]
        channels = inputs // 5
        weight = block.squeeze.weight[:, :, 0, 0]
        whole, quarters = weight[:, :channels], weight[:, channels:]
        self.squeeze = nn.Conv2d(channels, hidden, 2)
        kernel = quarters.view(hidden, channels, 2, 2) + whole.view(hidden, channels, 1, 1) / 4
        self.squeeze.weight = nn.Parameter(kernel)
        self.squeeze.bias = block.squeeze.bias
        self.excite = block.excite

    def forward(self, x: Tensor) -> Tensor:
        quarters = functional.avg_pool2d(x, (x.shape[2] // 2, x.shape[3] // 2))
        return torch.sigmoid(self.excite(torch.relu(self.squeeze(quarters))))


class StaticPCAR(nn.Module):
    """PCAR with its softmax over the branches as exponentials and their sum; gates lie in 0 to 1, so none overflows."""

    def __init__(self, block: PCAR) -> None:
        super().__init__()
        self.branches = nn.ModuleList(rewrite(branch) for branch in block.branches)
        self.gates = nn.ModuleList(StaticSPR(gate) for gate in block.gates if isinstance(gate, SPR))

    def forward(self, x: Tensor) -> Tensor:
        maps = [branch(x) for branch in self.branches]
        weights = [torch.exp(self.gates[index % len(self.gates)](one)) for index, one in enumerate(maps)]
        weighted = weights[0] * maps[0] + weights[1] * maps[1] + weights[2] * maps[2]
        fused: Tensor = weighted / (weights[0] + weights[1] + weights[2])
        return fused


class StaticAFF(nn.Module):
    """AFF with a reduction for its global pool; 2 x g + 2 y (1 - g) with one multiplication less."""

    def __init__(self, block: AFF) -> None:
        super().__init__()
        self.local_context, self.global_context = rewrite(block.local_context), rewrite(block.global_context)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        both = x + y
        gate = torch.sigmoid(self.local_context(both) + self.global_context(both.mean((2, 3), keepdim=True)))
        fused: Tensor = 2 * (y + (x - y) * gate)
        return fused


class StaticRCM(nn.Module):
    """RCM with means for its strip pools; its batch norm and its scale a channel go into the 1 x 1 convolutions."""

    @torch.no_grad()
    def __init__(self, block: RCM) -> None:
        super().__init__()
        self.local, self.excite = block.local, rewrite(block.excite)
        widen, activation, narrow = block.mix
        assert isinstance(widen, nn.Conv2d)
        assert isinstance(narrow, nn.Conv2d)
        assert narrow.bias is not None
        scale = block.scale.view(-1)
        narrow.weight.mul_(scale.view(-1, 1, 1, 1))
        narrow.bias.mul_(scale)
        self.mix = nn.Sequential(_after_batch_norm(block.norm, widen), activation, narrow)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.excite(x.mean(3, keepdim=True) + x.mean(2, keepdim=True))
        calibrated: Tensor = x + self.mix(gate * self.local(x))
        return calibrated


class StaticASPP(nn.Module):
    """ASPP with a reduction for its adaptive pool; ones bring its single position to the map."""

    def __init__(self, block: ASPP) -> None:
        super().__init__()
        self.pool, self.mix = rewrite(block.pool[1:]), rewrite(block.mix)
        self.branches = nn.ModuleList(rewrite(branch) for branch in block.branches)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pool(x.mean((2, 3), keepdim=True)) * x.new_ones(x.shape[2:])
        mixed: Tensor = self.mix(torch.cat([pooled, *(branch(x) for branch in self.branches)], dim=1))
        return mixed


class Spread(nn.Module):
    """A single position brought to a grid: what any resize of a 1 x 1 map is."""

    ones: Tensor

    def __init__(self, outputs: Size) -> None:
        super().__init__()
        self.register_buffer("ones", torch.ones(1, 1, *outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.ones


@torch.no_grad()
def static_upsampling(layer: nn.ConvTranspose2d) -> nn.Module:
    """A transposed convolution without overlap as a 1 x 1 convolution whose outputs are then laid side by side.

    TensorRT computes transposed convolutions in float even between Q and DQ; this it computes in INT8.
    """
    side = layer.stride[0]
    if layer.kernel_size != (side, side) or layer.stride != (side, side) or layer.groups != 1:
        return layer
    convolution = nn.Conv2d(layer.in_channels, layer.out_channels * side**2, 1, bias=layer.bias is not None)
    convolution.weight = nn.Parameter(layer.weight.flatten(1).T.reshape(convolution.weight.shape).contiguous())
    if layer.bias is not None:
        convolution.bias = nn.Parameter(layer.bias.repeat_interleave(side**2))
    return nn.Sequential(convolution, nn.PixelShuffle(side))


def static_resize(block: BicubicResize) -> nn.Module:
    """A bicubic resize as two products with constant matrices."""
    if block.inputs == (1, 1):
        return Spread(block.outputs)
    return resizing(block.inputs, block.outputs, "bicubic")


@torch.no_grad()
def _after_batch_norm(norm: nn.BatchNorm2d, convolution: nn.Conv2d) -> nn.Conv2d:
    """A 1 x 1 convolution with the batch norm before it folded in; unpadded, so that no zero comes between them."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert convolution.bias is not None
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    shift = norm.bias - norm.running_mean * factor
    convolution.bias.add_(convolution.weight[:, :, 0, 0] @ shift)
    convolution.weight.mul_(factor.view(1, -1, 1, 1))
    return convolution


REWRITES: dict[type[nn.Module], Callable[..., nn.Module]] = {
    CBAM: StaticCBAM,
    HAM: StaticCBAM,
    SPR: StaticSPR,
    PCAR: StaticPCAR,
    AFF: StaticAFF,
    RCM: StaticRCM,
    ASPP: StaticASPP,
    BicubicResize: static_resize,
}


def rewrite(network: nn.Module) -> nn.Module:
    """Replaces, in place, every block that has a plugin-free equivalent, and folds batch norms; returns the network."""
    for name, child in network.named_children():
        equivalent = REWRITES.get(type(child))
        setattr(network, name, equivalent(child) if equivalent else rewrite(child))
    return _folded(network) if type(network) is nn.Sequential else network


def _folded(layers: nn.Sequential) -> nn.Sequential:
    """A sequence whose batch norms behind convolutions, transposed ones too, are in their weights."""
    folded: list[nn.Module] = []
    for layer in layers:
        before = folded[-1] if folded else None
        if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d | nn.ConvTranspose2d):
            folded[-1] = fuse_conv_bn_eval(before, layer, transpose=isinstance(before, nn.ConvTranspose2d))
        else:
            folded.append(layer)
    return nn.Sequential(*(_without_transposition(layer) for layer in folded))


def _without_transposition(layer: nn.Module) -> nn.Module:
    return static_upsampling(layer) if isinstance(layer, nn.ConvTranspose2d) else layer
