"""From a distillation's recipe to a teacher file: what `edgekd distill` does between its messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from edgekd.artifact import write_json
from edgekd.errors import unknown_name
from edgekd.models.pdn import PDN_STAGES, pdn
from edgekd.training.backbones import load_backbone
from edgekd.training.memory import keep_freed_memory
from edgekd.training.patch_features import PatchFeatures
from edgekd.training.teacher_distillation import DistillationSettings, TeacherDistillation
from edgekd.training.teachers import write_weights

# A PDN sees 33 pixels; these are the maps whose context is nearest to that. Deeper ones see far past it.
STRIDES = (4, 8)
GRID_STRIDE = 8  # Of the backbone's picture: 4 pixels of the PDN's, which is its own stride.


def prepare_distillation(recipe: dict[str, Any], paths: Sequence[Path], device: torch.device) -> TeacherDistillation:
    """Builds the networks of a distillation and measures the backbone's features.

    Args:
        recipe: teacher, backbone, iterations, batch, learning_rate, seed.
        paths: Pictures of anything.
        device: Where to compute.

    Raises:
        EdgekdError: A name is unknown, or the pictures are too few.
        MachineError: The backbone's weights are not installed.
    """
    if recipe["teacher"] not in PDN_STAGES:
        raise unknown_name("teacher", recipe["teacher"], PDN_STAGES)
    keep_freed_memory()
    torch.manual_seed(recipe["seed"])
    settings = DistillationSettings(recipe["iterations"], recipe["batch"], recipe["learning_rate"], seed=recipe["seed"])
    features = PatchFeatures(load_backbone(recipe["backbone"]), STRIDES, GRID_STRIDE)
    return TeacherDistillation(pdn(recipe["teacher"]), features, paths, settings, device)


def save_teacher(path: Path, distillation: TeacherDistillation, card: dict[str, Any]) -> None:
    """Writes a teacher as float16 safetensors, and its card beside it.

    Args:
        path: The .safetensors file.
        distillation: That has run.
        card: How it was made, honestly.
    """
    state = {key: value.half() for key, value in distillation.network.state_dict().items()}
    write_weights(path, state)
    write_json(path.with_suffix(".json"), card)
