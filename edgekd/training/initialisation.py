"""Initial weights that fit the images: every layer's outputs brought to mean 0 and deviation 1 on a few of them.

A student without batch norms starts almost dead as torch draws its weights: every layer loses scale, and CBAM's gates
let a quarter pass at every place. HKT+'s outputs have a deviation of 5e-6 where the targets have 1.
Source: Mishkin and Matas, All you need is a good init (ICLR 2016), with means as well, as in Krahenbuhl et al.,
Data-dependent initializations (ICLR 2016).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekd.models.attention import CBAM

LEAST_DEVIATION = 1e-8


@torch.no_grad()
def scale_layers(network: nn.Module, images: Tensor) -> None:
    """Scales the convolutions of a network, in place and in the order in which they run.

    Each output channel gets mean 0 and deviation 1 over the images; those of gates are left as they are drawn, and a
    convolution that runs at several places is scaled at the first.

    Args:
        network: Freshly drawn; it is run once.
        images: RGB [N, 3, H, W], normalised; 16 are enough.
    """
    gates = {layer for module in network.modules() if isinstance(module, CBAM) for layer in module.modules()}
    scaled: set[nn.Module] = set()

    def scale(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if layer in scaled:
            return None
        scaled.add(layer)
        assert isinstance(layer, nn.Conv2d)
        return _scaled(layer, output)

    hooks = [
        layer.register_forward_hook(scale)
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d) and layer not in gates
    ]
    try:
        network(images)
    finally:
        for hook in hooks:
            hook.remove()


def _scaled(layer: nn.Conv2d, output: Tensor) -> Tensor:
    """Scales one convolution; returns what it outputs now."""
    output = output.float()
    mean, deviation = output.mean((0, 2, 3)), output.std((0, 2, 3)).clamp_min(LEAST_DEVIATION)
    layer.weight.div_(deviation.view(-1, 1, 1, 1))
    if layer.bias is None:
        return output / deviation.view(1, -1, 1, 1)
    layer.bias.copy_((layer.bias - mean) / deviation)
    return (output - mean.view(1, -1, 1, 1)) / deviation.view(1, -1, 1, 1)
