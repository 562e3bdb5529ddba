"""Recipes that tests write by hand: a real detector, a reference, and as little as a recipe must have."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgekd.artifact import manifest_path

TEXT = """# Why this exposure: the lamp was replaced.
id = "{id}"
job = {job}
revision = {revision}
deadline_ms = 400

[detector]
artifact = "{artifact}"

[cameras.top]
exposure_us = 800  # Measured.

[[self_tests.references]]
image = "references/ok.png"
verdict = "OK"
lowest = 0.5
highest = 1
"""


def write_draft(recipes: Path, artifact: Path, image: Path, name: str = "bolt", job: int = 3) -> Path:
    """Writes the first revision of a recipe.

    Args:
        recipes: The folder of recipes.
        artifact: The detector.
        image: The reference.
        name: Of the recipe.
        job: What the PLC asks for.
    """
    folder = recipes / name / "1"
    (folder / "references").mkdir(parents=True)
    for path in (artifact, manifest_path(artifact)):
        shutil.copyfile(path, folder / path.name)
    shutil.copyfile(image, folder / "references" / "ok.png")
    (folder / "recipe.toml").write_text(TEXT.format(id=name, job=job, revision=1, artifact=artifact.name))
    return folder
