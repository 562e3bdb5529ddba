"""ImageNet backbones with their weights: from ordinary packages, or from the user's store."""

from __future__ import annotations

import importlib
from pathlib import Path

from edgekd.errors import EdgekdError, missing_package
from edgekd.models.backbones.registry import ImageNetBackbone, build_backbone
from edgekd.training.teachers.catalogue import find_entry
from edgekd.training.teachers.store import is_stored, read_stored, stored_file
from edgekd.training.weight_files import put_weights, read_weights


def backbone_weights(name: str) -> Path:
    """The file of a backbone's weights.

    Raises:
        EdgekdError: There is no such backbone, or it is in neither a package nor the store.
        MachineError: Its package is not installed.
    """
    entry = find_entry(name)
    if is_stored(name):
        return stored_file(name)
    if entry.package is None:
        raise EdgekdError(
            f"the weights of {name} are not here: edgekd teachers fetch {name} downloads {entry.megabytes:.0f} MB, "
            f"edgekd teachers import takes a file that you have, and efficientnet_lite1 needs no download"
        )
    try:
        module = importlib.import_module(entry.package.replace("-", "_"))
    except ImportError as error:
        raise missing_package(entry.package, f"the backbone {name}") from error
    number = name[-1]
    return Path(getattr(module, f"EfficientnetLite{number}ModelFile").get_model_file_path())


def load_backbone(name: str) -> ImageNetBackbone:
    """A backbone with its ImageNet weights, in eval mode.

    Args:
        name: One of edgekd.models.backbones.registry.

    Raises:
        EdgekdError: There is no such backbone, or its weights are not here.
        ArtifactError: They were changed in the store.
        MachineError: Its package is not installed.
    """
    network = build_backbone(name)
    path = backbone_weights(name)
    put_weights(network, read_stored(name)[0] if is_stored(name) else read_weights(path), path.name, name)
    return network.eval()
