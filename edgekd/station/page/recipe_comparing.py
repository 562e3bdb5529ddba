"""Two revisions of a recipe beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekd.artifact import manifest_path, read_entries
from edgekd.errors import EdgekdError
from edgekd.station.page.recipe_editing import differences
from edgekd.station.recipe_store import RECIPE_FILE, list_files, read_recipe

ALWAYS_OTHERS = ("revision", "status", "release.by", "release.at", "release.reason", "release")
OF_DETECTOR = ("system", "precision", "macs", "inputs", "view", "bit_depth", "training", "threshold", "image_checks")
LISTS = ("limits", "history", "suspicious", "quantiles")  # Of the manifest: more than a reader compares.


def compare(folder: Path, other: Path) -> dict[str, Any]:
    """What differs between two revisions.

    Args:
        folder: `ID/REVISION` of the one.
        other: Of the other.

    Returns:
        `recipe` and `detector`, name, old and new of each field that differs, and `files`, by their names which were
        added, removed or changed; seen from `folder` to `other`.

    Raises:
        EdgekdError: One of them cannot be read.
    """
    recipes = [read_recipe(each) for each in (folder, other)]
    old, new = ({**each.model_dump(mode="json"), "release": None} for each in recipes)
    files = [list_files(each) for each in (folder, other)]
    detectors = [
        _detector(each / recipe.detector.artifact) for each, recipe in zip((folder, other), recipes, strict=True)
    ]
    return {
        "recipe": [_change(*each) for each in differences(old, new) if each[0] not in ALWAYS_OTHERS],
        "detector": [_change(*each) for each in differences(*detectors)],
        "files": [
            {"name": name, "change": _word(files[0].get(name), files[1].get(name))}
            for name in sorted({*files[0], *files[1]})
            if files[0].get(name) != files[1].get(name) and name != RECIPE_FILE
        ],
    }


def _change(name: str, old: Any, new: Any) -> dict[str, Any]:
    return {"field": name, "old": old, "new": new}


def _detector(artifact: Path) -> dict[str, Any]:
    """What a manifest tells of how its detector judges; {} where it cannot be read."""
    try:
        manifest = read_entries(manifest_path(artifact))
    except EdgekdError:
        return {}
    found = {name: manifest.get(name) for name in OF_DETECTOR}
    for name, value in found.items():
        if isinstance(value, dict):
            found[name] = {key: inner for key, inner in value.items() if key not in LISTS}
    return found


def _word(old: str | None, new: str | None) -> str:
    return "added" if old is None else "removed" if new is None else "changed"
