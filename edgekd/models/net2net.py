"""A PDN-M that computes what a PDN-S computes: the start of its distillation where a PDN-S has been distilled.

Widening doubles the channels and shares out what reads them; a layer that is only in PDN-M starts as the identity.
Source: Chen et al., Net2Net (ICLR 2016).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekd.models.backbones.pdn import pdn

# Indices of the convolutions in the modules of `pdn`.
SMALL = {"first": 0, "second": 3, "third": 6, "last": 8}
MEDIUM = {"first": 0, "second": 3, "added": 6, "third": 8, "last": 10, "added_last": 12}
# PDN-M has a ReLU before its last layer. Raised by so many of their own standard deviations (they are standardised),
# features pass it unchanged; the last layer takes the rise away again.
RISE = 6.0
NOISE = 0.02  # Of a weight's own spread: equal twins would stay equal for ever.


@torch.no_grad()
def pdn_medium_from_small(small: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a PDN-M that answers as a PDN-S does, up to a little noise that tells twins apart.

    Args:
        small: State dict of a PDN-S whose features are standardised (mean 0, variance 1).

    Returns:
        What `pdn("pdn_medium")` loads.
    """
    state = pdn("pdn_medium").state_dict()

    def put(layer: str, weight: Tensor, bias: Tensor) -> None:
        state[f"{MEDIUM[layer]}.weight"], state[f"{MEDIUM[layer]}.bias"] = weight, bias

    weights = {layer: (small[f"{index}.weight"], small[f"{index}.bias"]) for layer, index in SMALL.items()}
    put("first", _told_apart(_twice(weights["first"][0])), _twice(weights["first"][1]))
    for layer in ("second", "third"):
        put(layer, _told_apart(_reading_twins(_twice(weights[layer][0]))), _twice(weights[layer][1]))
    inner, outputs = state["6.weight"].shape[0], weights["last"][0].shape[0]
    put("added", _identity(inner), torch.zeros(inner))
    put("last", _reading_twins(weights["last"][0]), weights["last"][1] + RISE)
    put("added_last", _identity(outputs), torch.full((outputs,), -RISE))
    return state


def _told_apart(weight: Tensor) -> Tensor:
    return weight + NOISE * weight.std() * torch.randn_like(weight)


def _twice(tensor: Tensor) -> Tensor:
    return torch.cat([tensor, tensor])


def _reading_twins(weight: Tensor) -> Tensor:
    """A convolution's weights over doubled channels: each twin counts half."""
    return torch.cat([weight, weight], dim=1) / 2


def _identity(channels: int) -> Tensor:
    weight = torch.empty(channels, channels, 1, 1)
    nn.init.dirac_(weight)
    return weight
