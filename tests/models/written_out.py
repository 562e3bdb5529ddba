"""Layers in plain arithmetic, to hold modules against, and modules whose layers do something."""

import torch
from torch import nn


def drawn(network):
    """A network in eval mode whose batch norms are not the identity."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.weight, mean=1, std=0.3)
            nn.init.normal_(module.bias, std=0.3)
    return network.eval().requires_grad_(False)


def normalise_batch(norm, x):
    """Batch norm in eval mode, written out."""
    shape = (1, -1, 1, 1)
    centred = (x - norm.running_mean.view(shape)) / (norm.running_var.view(shape) + norm.eps).sqrt()
    return centred * norm.weight.view(shape) + norm.bias.view(shape)


def pointwise(convolution, x):
    """A 1 x 1 convolution, written out."""
    mixed = torch.einsum("oi,nihw->nohw", convolution.weight[:, :, 0, 0], x)
    return mixed if convolution.bias is None else mixed + convolution.bias.view(1, -1, 1, 1)
