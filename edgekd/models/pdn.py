"""Patch description networks: the teachers of HKT, HKT+ and MHKD, and the trunk of the HKT students.

A PDN describes every 33 x 33 patch of a picture by 384 numbers, one patch every 4 pixels.
Source: Batzner et al., EfficientAD (WACV 2024), Tables 4 and 5; widths as HKT and HKT+ use them.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

RECEPTIVE_FIELD = 33
STRIDE = 4
FEATURES = 384
BORDER = 4  # Positions that an unpadded PDN lacks on each side of a grid over the whole picture.


class Stage(NamedTuple):
    """One convolution of a PDN, with what follows it."""

    inputs: int
    outputs: int
    kernel: int
    pool: bool = False


PDN_STAGES: dict[str, tuple[Stage, ...]] = {
    "pdn_small": (
        Stage(3, 128, 4, pool=True),
        Stage(128, 256, 4, pool=True),
        Stage(256, 256, 3),
        Stage(256, FEATURES, 4),
    ),
    "pdn_medium": (
        Stage(3, 256, 4, pool=True),
        Stage(256, 512, 4, pool=True),
        Stage(512, 512, 1),
        Stage(512, 512, 3),
        Stage(512, FEATURES, 4),
        Stage(FEATURES, FEATURES, 1),
    ),
}


def pdn(name: str) -> nn.Sequential:
    """Builds a PDN without padding, with freshly drawn weights.

    The modules stand in the order of the public EfficientAD files, so their state dicts load as they are.

    Args:
        name: "pdn_small" (2,694,144 parameters) or "pdn_medium" (8,026,624).

    Returns:
        A network from images [N, 3, H, W] to features [N, 384, H / 4 - 8, W / 4 - 8], H and W multiples of 4.
    """
    stages = PDN_STAGES[name]
    layers: list[nn.Module] = []
    for stage in stages:
        layers.append(nn.Conv2d(stage.inputs, stage.outputs, stage.kernel))
        if stage is not stages[-1]:
            layers.append(nn.ReLU())
        if stage.pool:
            layers.append(nn.AvgPool2d(2, 2))
    return nn.Sequential(*layers)


def grid_size(size: int) -> int:
    """The side of the feature grid of an unpadded PDN for a square picture, both in their own pixels."""
    return size // STRIDE - 8


def nearest_legal_sizes(size: int, multiple: int = STRIDE) -> tuple[int, ...]:
    """The picture sides nearest to `size` that a PDN takes: multiples of 4, or of more, from 36 upward."""
    below, above = size // multiple * multiple, -(-size // multiple) * multiple
    smallest = -(-9 * STRIDE // multiple) * multiple
    return tuple(sorted({max(below, smallest), max(above, smallest)}))
