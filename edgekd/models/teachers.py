"""The teachers' networks, by name."""

from __future__ import annotations

from torch import nn

from edgekd.models.backbones.pdn import PDN_LAYERS, PDNTrunk, pdn
from edgekd.models.backbones.registry import build_backbone
from edgekd.models.multiscale import Backbone, MultiscaleTeacher
from edgekd.models.patch_features import PatchTeacher


def build_teacher(name: str, padded: bool = False) -> nn.Module:
    """A teacher with freshly drawn weights that describes every patch by 384 numbers.

    Args:
        name: "pdn_small", "pdn_medium", or a backbone's, whose patch features are the outputs.
        padded: Whether its grid covers the whole image.

    Returns:
        A network from normalised images [N, 3, H, W] to features [N, 384, H / 4 - 8, W / 4 - 8]; padded, to
        [N, 384, H / 4, W / 4].

    Raises:
        EdgekdError: There is none of that name; the error names the nearest.
    """
    return pdn(name, padded) if name in PDN_LAYERS else PatchTeacher(build_backbone(name), padded)


def build_trunk(name: str) -> Backbone:
    """A network with freshly drawn weights whose maps at several strides serve as features.

    Args:
        name: A backbone's, or "pdn_small" or "pdn_medium".

    Raises:
        EdgekdError: There is none of that name; the error names the nearest.
    """
    return PDNTrunk(name) if name in PDN_LAYERS else build_backbone(name)


def build_multiscale_teacher(name: str, strides: tuple[int, ...]) -> MultiscaleTeacher:
    """A teacher with freshly drawn weights whose outputs are a network's own maps at several strides.

    Args:
        name: A backbone's, or "pdn_small" or "pdn_medium".
        strides: Ascending, such as (4, 8, 16).
    """
    return MultiscaleTeacher(build_trunk(name), strides)


def pretrained_network(teacher: nn.Module) -> nn.Module:
    """The part of a teacher that takes pretrained weights: a PDN, or the backbone whose maps it reads."""
    if isinstance(teacher, PatchTeacher):
        teacher = teacher.features
    backbone = getattr(teacher, "backbone", teacher)
    network = backbone.network if isinstance(backbone, PDNTrunk) else backbone
    assert isinstance(network, nn.Module)
    return network
