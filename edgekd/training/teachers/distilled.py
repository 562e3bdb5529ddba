"""From a distillation's recipe to a teacher file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from edgekd.artifact import sha256, write_json
from edgekd.errors import unknown_name
from edgekd.models.backbones.pdn import PDN_LAYERS, pdn
from edgekd.models.net2net import pdn_medium_from_small
from edgekd.models.patch_features import PatchFeatures
from edgekd.training.memory import keep_freed_memory
from edgekd.training.teachers.backbone_weights import backbone_weights, load_backbone
from edgekd.training.teachers.distillation import DistillationSettings, TeacherDistillation
from edgekd.training.teachers.loading import load_teacher
from edgekd.training.teachers.store import empty_network
from edgekd.training.weight_files import check_weights, put_weights, write_weights

GRID_STRIDE = 8  # Of the backbone's image: 4 pixels of the PDN's, which is its own stride.


def prepare_distillation(recipe: dict[str, Any], paths: Sequence[Path], device: torch.device) -> TeacherDistillation:
    """Builds the networks of a distillation and measures the backbone's features.

    Args:
        recipe: teacher, backbone, strides, crop, iterations, batch, learning_rate, seed; and start_from, a teacher
            to go on from, or None; a PDN-M may start from a PDN-S, by Net2Net.
        paths: Images of anything.
        device: Where to compute.

    Raises:
        EdgekdError: A name is unknown, or the images are too few.
        MachineError: The backbone's weights are not installed.
    """
    if recipe["teacher"] not in PDN_LAYERS:
        raise unknown_name("teacher", recipe["teacher"], PDN_LAYERS)
    keep_freed_memory()
    torch.manual_seed(recipe["seed"])
    names = ("iterations", "batch", "learning_rate", "crop", "seed")
    settings = DistillationSettings(**{name: recipe[name] for name in names})
    features = PatchFeatures(load_backbone(recipe["backbone"]), tuple(recipe["strides"]), GRID_STRIDE)
    network = pdn(recipe["teacher"])
    if recipe["start_from"]:
        start = load_teacher(recipe["start_from"])
        check_weights(empty_network(start.network), start.state, start.name, start.network)
        wider = (start.network, recipe["teacher"]) == ("pdn_small", "pdn_medium")
        state = pdn_medium_from_small(start.state) if wider else start.state
        put_weights(network, state, start.name, recipe["teacher"])
    return TeacherDistillation(network, features, paths, settings, device)


def made_from(recipe: dict[str, Any]) -> dict[str, str]:
    """The SHA-256 of every file of weights that a distillation's recipe names."""
    files = {recipe["backbone"]: sha256(backbone_weights(recipe["backbone"]))}
    if recipe["start_from"]:
        files[recipe["start_from"]] = load_teacher(recipe["start_from"]).sha256
    return files


def save_teacher(path: Path, distillation: TeacherDistillation, card: dict[str, Any]) -> None:
    """Writes a teacher as float16 safetensors, and its card beside it.

    Args:
        path: The .safetensors file.
        distillation: That has run.
        card: How it was made.
    """
    state = {key: value.half() for key, value in distillation.network.state_dict().items()}
    write_weights(path, state)
    write_json(path.with_suffix(".json"), card)
