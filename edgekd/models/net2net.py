"""A PDN-M that computes what a PDN-S computes: the start of its distillation where a PDN-S has been distilled.

Widening doubles the channels and halves the weights that read them; a layer that only PDN-M has starts as the identity.
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
# features pass it unchanged; the last layer subtracts the rise again.
RISE = 6.0
NOISE = 0.02  # Of a weight's own standard deviation: equal copies of a channel would stay equal for ever.


@torch.no_grad()
def pdn_medium_from_small(small: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a PDN-M with the outputs of a PDN-S, but for a little noise that makes copied channels differ.

    Args:
        small: State dict of a PDN-S whose features are standardised (mean 0, variance 1).

    Returns:
        The state dict of `pdn("pdn_medium")`.
    """
    state = pdn("pdn_medium").state_dict()

    def put(layer: str, weight: Tensor, bias: Tensor) -> None:
        state[f"{MEDIUM[layer]}.weight"], state[f"{MEDIUM[layer]}.bias"] = weight, bias

    weights = {layer: (small[f"{index}.weight"], small[f"{index}.bias"]) for layer, index in SMALL.items()}
    put("first", _with_noise(_doubled(weights["first"][0])), _doubled(weights["first"][1]))
    for layer in ("second", "third"):
        put(layer, _with_noise(_reading_doubled(_doubled(weights[layer][0]))), _doubled(weights[layer][1]))
    inner, outputs = state["6.weight"].shape[0], weights["last"][0].shape[0]
    put("added", _identity(inner), torch.zeros(inner))
    put("last", _reading_doubled(weights["last"][0]), weights["last"][1] + RISE)
    put("added_last", _identity(outputs), torch.full((outputs,), -RISE))
    return state


def _with_noise(weight: Tensor) -> Tensor:
    return weight + NOISE * weight.std() * torch.randn_like(weight)


def _doubled(tensor: Tensor) -> Tensor:
    return torch.cat([tensor, tensor])


def _reading_doubled(weight: Tensor) -> Tensor:
    """A convolution's weights over doubled channels: each copy counts half."""
    return torch.cat([weight, weight], dim=1) / 2


def _identity(channels: int) -> Tensor:
    weight = torch.empty(channels, channels, 1, 1)
    nn.init.dirac_(weight)
    return weight
