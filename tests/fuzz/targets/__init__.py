"""What is fuzzed: every reader of files and words that others wrote. A module is imported when its target is run."""

from __future__ import annotations

import importlib

from tests.fuzz.case import Target

MODULES = {
    "images": "images",
    "masks": "images",
    "arrays": "images",
    "videos": "videos",
    "manifests": "typed_files",
    "recipes": "typed_files",
    "calibration_sets": "typed_files",
    "teacher_cards": "typed_files",
    "records": "typed_files",
    "safetensors": "weights",
    "pth": "weights",
    "checkpoints": "weights",
    "graphs": "graphs",
    "options": "options",
    "views": "options",
    "names": "names",
    "commands": "names",
}


def find_target(name: str) -> Target:
    """The target of a name, one of MODULES."""
    module = importlib.import_module(f"tests.fuzz.targets.{MODULES[name]}")
    return next(target for target in module.TARGETS if target.name == name)
