"""The ImageNet backbones that teachers are made from, by name."""

from __future__ import annotations

from edgekd.errors import unknown_name
from edgekd.models.backbones.efficientnet import EFFICIENTNETS, EfficientNetB0
from edgekd.models.backbones.efficientnet_lite import SCALING, EfficientNetLite
from edgekd.models.backbones.mobilenet import MOBILENETS, MobileNetV2
from edgekd.models.backbones.resnet import RESNETS, ResNet

ImageNetBackbone = EfficientNetLite | EfficientNetB0 | MobileNetV2 | ResNet

BACKBONE_NAMES = (*SCALING, *EFFICIENTNETS, *MOBILENETS, *RESNETS)


def build_backbone(name: str) -> ImageNetBackbone:
    """A backbone with freshly drawn weights.

    Args:
        name: One of `BACKBONE_NAMES`.

    Raises:
        EdgekdError: There is none of that name; the error names the nearest.
    """
    if name in SCALING:
        return EfficientNetLite(name)
    if name in EFFICIENTNETS:
        return EfficientNetB0(name)
    if name in MOBILENETS:
        return MobileNetV2(name)
    if name in RESNETS:
        return ResNet(name)
    raise unknown_name("backbone", name, BACKBONE_NAMES)
