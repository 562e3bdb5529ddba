"""The ImageNet backbones that teachers are made from, by name."""

from __future__ import annotations

from edgekd.errors import unknown_name
from edgekd.models.backbones.efficientnet import EFFICIENTNETS, EfficientNetB0
from edgekd.models.backbones.efficientnet_lite import SCALING, EfficientNetLite
from edgekd.models.backbones.mobilenet import MOBILENETS, MobileNetV2
from edgekd.models.backbones.resnet import RESNETS, ResNet

ImageNetBackbone = EfficientNetLite | EfficientNetB0 | MobileNetV2 | ResNet

NETWORKS: dict[str, type[ImageNetBackbone]] = {
    name: network
    for network, names in (
        (EfficientNetLite, SCALING),
        (EfficientNetB0, EFFICIENTNETS),
        (MobileNetV2, MOBILENETS),
        (ResNet, RESNETS),
    )
    for name in names
}
BACKBONE_NAMES = tuple(NETWORKS)


def build_backbone(name: str) -> ImageNetBackbone:
    """A backbone with freshly drawn weights.

    Args:
        name: One of `BACKBONE_NAMES`.

    Raises:
        EdgekdError: There is none of that name; the error names the nearest.
    """
    if name not in NETWORKS:
        raise unknown_name("backbone", name, BACKBONE_NAMES)
    return NETWORKS[name](name)
