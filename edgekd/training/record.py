"""What a manifest records of a training: enough to set it beside the paper's without its run."""

from __future__ import annotations

from typing import Any

import torch

from edgekd.data.split_folders import VALIDATION
from edgekd.models.registry import find_system
from edgekd.recipe import TrainingRecipe
from edgekd.training.run import makes_anomalies, untrained_detector


def training_record(recipe: TrainingRecipe) -> dict[str, Any]:
    """The entry `training` of a manifest.

    Args:
        recipe: Of the run.

    Returns:
        `preset`, `minutes`, `batch`, `learning_rate`, `weight_decay`, `schedule`, `warm_up`, `optimizer`,
        `initialisation`, `augment` and `quantization_aware_from` as in the recipe; `arithmetic`, "float32" or
        "bfloat16"; `settings`, those that are not the paper's, by name their `value` and the `paper`'s; whether it
        learned from `synthetic_anomalies`, and the number of `textures` for them, 0 for noise; `trained_images`,
        `held_out_images`, and whether the latter are the dataset's own validation images (`own_validation`); when
        images changed and the run went on with them (`data_changes`), with how many were added, removed and changed.
        What an older recipe did not keep is None.
    """
    system = find_system(recipe.system)
    own = system.settings()
    settings = {name: value for name, value in recipe.settings.items() if name in own and value != own[name]}
    return {
        "preset": recipe.preset,
        "minutes": recipe.minutes,
        "batch": recipe.batch,
        "learning_rate": recipe.learning_rate,
        "weight_decay": recipe.weight_decay,
        "schedule": recipe.schedule,
        "warm_up": recipe.warm_up,
        "optimizer": recipe.optimizer or system.training.optimizer,
        "initialisation": recipe.initialisation,
        "augment": list(recipe.augment),
        "arithmetic": "bfloat16" if recipe.mixed_precision else "float32",
        "quantization_aware_from": recipe.quantization_aware_from,
        "settings": {name: {"value": value, "paper": own[name]} for name, value in settings.items()},
        "synthetic_anomalies": _learns_from_anomalies(recipe),
        "textures": (recipe.texture_images or None) if recipe.textures else 0,
        "trained_images": recipe.trained_images or None,
        "held_out_images": len(recipe.held_out),
        "own_validation": bool(recipe.held_out) and all(name.startswith(f"{VALIDATION}/") for name in recipe.held_out),
        "data_changes": [
            {name: len(value) if isinstance(value, list) else value for name, value in change.items()}
            for change in recipe.data_changes
        ],
    }


def _learns_from_anomalies(recipe: TrainingRecipe) -> bool:
    with torch.device("meta"):
        return makes_anomalies(untrained_detector(recipe))
