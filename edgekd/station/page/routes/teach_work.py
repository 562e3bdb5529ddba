"""The long work of teaching: training, trying, comparing, and the release of what came of it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Response
from pydantic import AfterValidator, Field

from edgekd.errors import EdgekdError
from edgekd.json_files import read_object
from edgekd.station.error_codes import ErrorCode
from edgekd.station.page.context import Page
from edgekd.station.page.link import RefusedError
from edgekd.station.page.roles import User
from edgekd.station.page.routes.recipes import ONE_AT_A_TIME
from edgekd.station.page.routes.teach import (
    LEAST_MINUTES,
    MOST_MINUTES,
    Asked,
    Engineer,
    ThePage,
    TheProject,
    note,
    trail_of,
)
from edgekd.station.page.teaching import orders
from edgekd.station.page.teaching.project import SYSTEMS, Project
from edgekd.station.page.teaching.results import result_of
from edgekd.station.recipe_changes import in_use, name_of
from edgekd.station.recipe_release import release as release_recipe
from edgekd.station.recipe_store import read_recipe

router = APIRouter(prefix="/api/teach")
DEFAULT_COMPARED = 300


def _known(system: str) -> str:
    if system not in SYSTEMS:
        raise ValueError(f"must be one of {', '.join(SYSTEMS)}")
    return system


class TrainRequest(Asked):
    """A training.

    Attributes:
        minutes: That it may take.
        system: What is trained; None for what was trained last.
        resume: Whether to go on with what was stopped; the rest does not count then.
    """

    minutes: Annotated[float, Field(ge=LEAST_MINUTES, le=MOST_MINUTES)] = 3.0
    system: Annotated[str, AfterValidator(_known)] | None = None
    resume: bool = False


@router.post("/{project}/train", status_code=202)
def train(project: TheProject, page: ThePage, user: Engineer, asked: TrainRequest | None = None) -> dict[str, Any]:
    """Begins a training, or goes on with one that was stopped."""
    page.projects.require_free(project)
    asked = asked or TrainRequest()
    if asked.resume:
        orders.go_on(project)
        job = _job(project)
        note(page, user, project, "go on", f"{job['kind']} of run {job['number']}")
        return job
    orders.train(project, user.name, asked.minutes, asked.system)
    note(page, user, project, "train", f"{project.settings.system}, {asked.minutes:g} minutes")
    return _job(project)


@router.post("/{project}/stop", status_code=202)
def stop(project: TheProject, user: Engineer) -> dict[str, Any]:
    """Stops the work that goes on; what was done is kept."""
    job = _job(project)
    if job["state"] in ("running", "interrupted"):
        project.working.stop()
    return _job(project)


class ThresholdRequest(Asked):
    """Another limit of the table."""

    false_reject_rate: Annotated[float, Field(ge=0, le=0.5)]


@router.post("/{project}/threshold", status_code=202)
def threshold(project: TheProject, asked: ThresholdRequest, page: ThePage, user: Engineer) -> dict[str, Any]:
    """Makes another limit of the table the threshold."""
    page.projects.require_free(project)
    orders.set_threshold(project, user.name, asked.false_reject_rate)
    note(page, user, project, "set threshold", f"{asked.false_reject_rate:g} false rejects")
    return _job(project)


@router.post("/{project}/try", status_code=202)
def try_again(project: TheProject, page: ThePage, user: Engineer) -> dict[str, Any]:
    """Tries the golden parts and defects that there are now."""
    page.projects.require_free(project)
    orders.try_again(project, user.name)
    return _job(project)


class RecipeRequest(Asked):
    """A draft recipe.

    Attributes:
        trigger: How its cameras are triggered; None for as the recipe has it that is released for the job, or software.
        deadline_ms: From trigger to answer; None likewise, or 500.
    """

    trigger: Literal["free_run", "software", "hardware"] | None = None
    deadline_ms: Annotated[float, Field(gt=0, le=600_000)] | None = None


@router.post("/{project}/recipe", status_code=202)
def recipe(project: TheProject, page: ThePage, user: Engineer, asked: RecipeRequest | None = None) -> dict[str, Any]:
    """Makes a draft recipe of the detector."""
    page.projects.require_free(project)
    asked = asked or RecipeRequest()
    cameras = page.cameras.get(project.settings.station, ())
    if not cameras:
        raise RefusedError(ErrorCode.SYSTEM, f"There is no station {project.settings.station} any more: name another.")
    orders.make_recipe(project, user.name, cameras, asked.trigger, asked.deadline_ms)
    note(page, user, project, "make recipe", f"job {project.settings.job}")
    return _job(project)


class CompareRequest(Asked):
    """A comparison on the recorded images.

    Attributes:
        with_: ID/REVISION; None for the recipe that is released for the project's job.
        most: Images, the newest.
    """

    with_: Annotated[str | None, Field(alias="with", max_length=100)] = None
    most: Annotated[int, Field(ge=1, le=5000)] = DEFAULT_COMPARED


@router.post("/{project}/compare", status_code=202)
def compare(project: TheProject, page: ThePage, user: Engineer, asked: CompareRequest | None = None) -> dict[str, Any]:
    """Judges the recorded images with the new detector, beside the released recipe."""
    page.projects.require_free(project)
    asked = asked or CompareRequest()
    orders.compare(project, user.name, asked.with_, asked.most)
    return _job(project)


@router.get("/{project}/progress")
def progress(project: TheProject, user: Engineer) -> dict[str, Any]:
    """How far the last work is, with the curve of the loss and what happened."""
    job, work = _job(project), project.files.work
    return {**job, "running": job["state"] == "running", "curve": work.curve(), "log": work.lines()}


@router.get("/{project}/result")
def result(project: TheProject, user: Engineer) -> dict[str, Any]:
    """What is to be seen before a release."""
    training = project.last_complete()
    if training is None:
        raise HTTPException(404, "There is no detector yet: train one first.")
    return result_of(training)


@router.get("/{project}/tries/{image_id}")
def tried(project: TheProject, image_id: int, user: Engineer) -> Response:
    """The heat map of an image that was tried, as a JPEG."""
    training = project.last_complete()
    path = None if training is None else training.heat_map(image_id)
    if path is None or not path.is_file():
        raise HTTPException(404, f"Image {image_id} was not tried.")
    return Response(path.read_bytes(), media_type="image/jpeg", headers={"cache-control": "no-store"})


@router.get("/{project}/comparison")
def comparison(project: TheProject, user: Engineer) -> dict[str, Any]:
    """What the new detector would have changed."""
    training = project.last_complete()
    if training is None or not training.comparison.exists():
        raise HTTPException(404, "Nothing was compared yet.")
    return read_object(training.comparison)


class ReleaseRequest(Asked):
    """Why a recipe is released.

    Attributes:
        reason: Why.
        revision: The draft that was shown to whoever signs; None for the one that there is.
    """

    reason: Annotated[str, Field(min_length=1, max_length=500)]
    revision: Annotated[int | None, Field(ge=1)] = None


@router.post("/{project}/release")
async def release(project: TheProject, asked: ReleaseRequest, page: ThePage, user: Engineer) -> dict[str, Any]:
    """Releases the draft: with the name of who did it, in the audit trail; the revision before it stays, retired."""
    folder = project.draft_folder()
    station, name = trail_of(page, project), name_of(folder)
    if asked.revision not in (None, int(folder.name)):
        raise RefusedError(ErrorCode.SYSTEM, f"The draft is {name} by now: look at it, then sign.")

    def sign() -> tuple[str, str]:
        with ONE_AT_A_TIME:
            return in_use(folder), release_recipe(folder, user.name, asked.reason)

    try:
        old, digest = await asyncio.to_thread(sign)
    except EdgekdError as error:
        raise RefusedError(ErrorCode.SYSTEM, str(error)) from error
    change = {"action": "release recipe", "subject": name, "old": old, "new": name, "why": asked.reason}
    try:
        await page.link.ask(station, "audit", user, **change)
    except (RefusedError, TimeoutError) as error:
        raise RefusedError(ErrorCode.ROW_NOT_WRITTEN, f"{name} is released, but not on record: {error}") from error
    recipe = await asyncio.to_thread(read_recipe, folder)
    return {
        "id": recipe.id,
        "revision": recipe.revision,
        "digest": digest,
        "job": recipe.job,
        "reloaded": await _reloaded(page, station, user),
    }


async def _reloaded(page: Page, station: str, user: User) -> bool:
    """Has the station judge by what was released, where it is its job's; it can be asked again where it does not."""
    with contextlib.suppress(RefusedError, TimeoutError):
        return bool((await page.link.ask(station, "reload_recipes", user)).get("reloaded"))
    return False


def _job(project: Project) -> dict[str, Any]:
    job = project.working.job()
    if job is None:
        raise HTTPException(404, "Nothing was begun yet.")
    return job
