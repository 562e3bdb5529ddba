"""A draft recipe from a taught detector, with references that a station proves itself by."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from edgekd.artifact import write_json
from edgekd.errors import EdgekdError
from edgekd.station.page.teaching.project_files import ProjectFiles
from edgekd.station.page.teaching.reporting import Report
from edgekd.station.page.teaching.work_files import Order
from edgekd.station.recipe_making import make_recipe


def draft_recipe(project: ProjectFiles, recipes: Path, order: Order, report: Report) -> None:
    """Makes a draft of the recipe that is named like the project: its first revision, or the next one.

    Args:
        project: Whose detector.
        recipes: Folder of the recipes.
        order: Its options are `id`, `job`, `product`, `cameras`, `trigger`, `deadline_ms`, and the `defect` images.
        report: Is told how far it is.

    Raises:
        EdgekdError: The detector judges no image clearly as it must.
    """
    training, options = project.training(order.number), order.options
    with report.step("recipe") as step:
        defects = _defects(project, training.folder / "defects", options["defect"])
        known: dict[str, Any] = {name: options[name] for name in ("id", "job", "product", "cameras", "trigger")}
        known |= {"deadline_ms": options["deadline_ms"], "progress": report.progress}
        try:
            folder = make_recipe(training.artifact, recipes, ng=defects, **known)
        except EdgekdError as error:
            if defects is None:
                raise
            # A detector that finds none of the defects may still be wanted; the tries have shown it.
            report.note(f"without defective references: {error}")
            folder = make_recipe(training.artifact, recipes, ng=None, **known)
        write_json(
            project.draft, {"id": options["id"], "revision": int(folder.name), "run": training.number, "by": order.by}
        )
        step.text = f"{options['id']}/{folder.name}"


def _defects(project: ProjectFiles, folder: Path, names: dict[str, str]) -> Path | None:
    """The images of defects in a folder of their own; None where there are none."""
    shutil.rmtree(folder, ignore_errors=True)
    if not names:
        return None
    folder.mkdir(parents=True)
    for name in names.values():
        os.symlink((project.images / name).absolute(), folder / name)
    return folder
