"""The long work of a project, as it is asked for: refused where something is missing, otherwise begun."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgekd.errors import PACKAGE_EXTRAS
from edgekd.station.error_codes import ErrorCode
from edgekd.station.page.link import RefusedError
from edgekd.station.page.teaching.hints import usual_size
from edgekd.station.page.teaching.images import Label
from edgekd.station.page.teaching.project import Project
from edgekd.station.page.teaching.wanted import LEAST_GOOD
from edgekd.station.page.teaching.work_files import Kind
from edgekd.station.recipe_store import StoredRecipe, list_recipes, recipes_in_use

KEPT_TRAININGS = 3
NEEDED = ("torch", "onnx", "onnxscript", "onnxsim", "safetensors", "sklearn")
DEADLINE_MS, TRIGGER = 500.0, "software"  # Where no recipe of the job is released yet.


def train(project: Project, by: str, minutes: float, system: str | None) -> None:
    """Orders a training.

    Args:
        project: Whose.
        by: Who asks.
        minutes: That it may take.
        system: What is trained; None for what was trained last.

    Raises:
        RefusedError: Images or packages are missing, or the project is at work.
    """
    _require_packages()
    _require_images(project)
    trainings, complete = project.files.trainings(), project.last_complete()
    number = 1 + max((each.number for each in trainings), default=0)
    settings = project.settings
    training = {"minutes": minutes, "bit_depth": settings.bit_depth, **asdict(settings.view)}
    good = [each.file for each in project.images.labelled("good")]
    options = {"system": system or settings.system, "training": training, "good": good}
    _order(project, "train", number, by, options | _to_try(project))
    if system is not None:
        project.change(system=system)
    for old in trainings[: 1 - KEPT_TRAININGS]:
        if old != complete:  # Those after it may all have been stopped: it is the detector that is shown and released.
            shutil.rmtree(old.folder, ignore_errors=True)


def go_on(project: Project) -> None:
    """Goes on with work that was stopped, failed or was interrupted.

    Raises:
        RefusedError: There is none, or the project is at work.
    """
    job = project.working.job()
    if job is None or job["state"] not in ("stopped", "failed", "interrupted"):
        raise RefusedError(ErrorCode.SYSTEM, "There is nothing to go on with: start a training.")
    _require_begun(project, project.working.go_on())


def set_threshold(project: Project, by: str, false_reject_rate: float) -> None:
    """Orders that another limit of the table becomes the threshold; what was made with the old one is neither released
    nor shown.

    Raises:
        RefusedError: There is no detector, or the project is at work.
    """
    training = project.require_complete()
    options = {"false_reject_rate": false_reject_rate} | _to_try(project)
    _order(project, "threshold", training.number, by, options)
    for path in (project.files.draft, training.comparison):
        path.unlink(missing_ok=True)


def try_again(project: Project, by: str) -> None:
    """Orders that golden parts and defects are tried.

    Raises:
        RefusedError: There is no detector, or the project is at work.
    """
    _order(project, "try", project.require_complete().number, by, _to_try(project))


def make_recipe(
    project: Project, by: str, cameras: Sequence[str], trigger: str | None, deadline_ms: float | None
) -> None:
    """Orders a draft recipe; what is None is as in the recipe that is released for the job.

    Args:
        project: Whose.
        by: Who asks.
        cameras: Of its station.
        trigger: How they are triggered.
        deadline_ms: From trigger to answer.

    Raises:
        RefusedError: There is no detector, or the project is at work.
    """
    training, settings = project.require_complete(), project.settings
    before = _released(project.recipes, settings.job)
    known = None if before is None else before.recipe
    if known is not None:
        trigger = trigger or next(iter(known.cameras.values())).trigger
        deadline_ms = deadline_ms or known.deadline_ms
    options = {
        "id": settings.name,
        "job": settings.job,
        "product": settings.product,
        "cameras": list(cameras),
        "trigger": trigger or TRIGGER,
        "deadline_ms": deadline_ms or DEADLINE_MS,
        "defect": _files_of(project, "defect"),
    }
    _order(project, "recipe", training.number, by, options)


def compare(project: Project, by: str, name: str | None, most: int) -> None:
    """Orders a comparison with a recipe on the recorded images.

    Args:
        project: Whose detector is new.
        by: Who asks.
        name: ID/REVISION; None for the recipe that is released for the project's job.
        most: Images, the newest.

    Raises:
        RefusedError: There is no detector or no such recipe, or the project is at work.
    """
    training = project.require_complete()
    found = _released(project.recipes, project.settings.job) if name is None else _named(project.recipes, name)
    if found is None:
        which = f"for job {project.settings.job}" if name is None else f"named {name}"
        raise RefusedError(ErrorCode.SYSTEM, f"There is no recipe {which} to compare with.")
    options = {
        "id": found.id,
        "revision": found.revision,
        "station": project.settings.station,
        "most": most,
        "project": project.settings.name,
    }
    _order(project, "compare", training.number, by, options)


def _order(project: Project, kind: Kind, number: int, by: str, options: dict[str, Any]) -> None:
    _require_begun(project, project.working.order(kind, number, by, options))


def _require_begun(project: Project, begun: bool) -> None:
    if not begun:
        name = project.settings.name
        raise RefusedError(ErrorCode.SYSTEM, f"{name} is at work: wait until it is done, or stop it.")


def _require_packages() -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        extra = PACKAGE_EXTRAS.get(missing[0], "evaluate")
        text = f"Training needs {missing[0]}, which is not installed here: pip install 'edgekd[{extra}]'"
        raise RefusedError(ErrorCode.SYSTEM, text)


def _require_images(project: Project) -> None:
    counts = project.counts()
    good = counts["good"] - counts["copies"]
    if good < LEAST_GOOD:
        raise RefusedError(ErrorCode.SYSTEM, f"{good} good images are too few: take {LEAST_GOOD - good} more.")
    size, view = usual_size(project.images.all()), project.settings.view
    if size is None or (view.crop is None and not view.ignore):
        return
    others = [each for each in project.images.labelled("good") if (each.seen.width, each.seen.height) != size]
    if others:
        raise RefusedError(
            ErrorCode.SYSTEM,
            f"The view is for images of {size[0]} x {size[1]} pixels, and {len(others)} good ones have another size: "
            "mark them out.",
        )


def _to_try(project: Project) -> dict[str, Any]:
    return {label: _files_of(project, label) for label in ("golden", "defect")}


def _files_of(project: Project, label: Label) -> dict[str, str]:
    return {str(each.id): each.file for each in project.images.labelled(label)}


def _released(recipes: Path, job: int) -> StoredRecipe | None:
    found = (each for each in recipes_in_use(recipes) if each.recipe is not None and each.recipe.job == job)
    return next(found, None)


def _named(recipes: Path, name: str) -> StoredRecipe | None:
    found = (each for each in list_recipes(recipes) if f"{each.id}/{each.revision}" == name)
    return next((each for each in found if each.recipe is not None), None)
