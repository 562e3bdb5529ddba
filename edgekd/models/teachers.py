"""The networks that teach, by name."""

from __future__ import annotations

from torch import nn

from edgekd.models.backbones import BACKBONE_NAMES, build_backbone
from edgekd.models.patch_features import PatchTeacher
from edgekd.models.pdn import pdn


def build_teacher(name: str) -> nn.Module:
    """A teacher with freshly drawn weights.

    Args:
        name: "pdn_small", "pdn_medium", or a backbone's, whose patch features teach.

    Returns:
        A network from normalised images [N, 3, H, W] to features [N, 384, H / 4 - 8, W / 4 - 8].
    """
    return PatchTeacher(build_backbone(name)) if name in BACKBONE_NAMES else pdn(name)
