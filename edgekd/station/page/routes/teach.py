"""What is being taught: projects."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from anyio import from_thread
from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from edgekd.station.page.context import Page, page_of
from edgekd.station.page.guard import needs
from edgekd.station.page.roles import Role, User
from edgekd.station.page.teaching.images import MOST_IMAGES
from edgekd.station.page.teaching.project import SYSTEMS, Project
from edgekd.station.page.teaching.projects import DEFAULT_SYSTEM
from edgekd.station.page.teaching.wanted import LEAST_GOOD
from edgekd.station.recipes import Name

router = APIRouter(prefix="/api/teach")
Engineer = Annotated[User, Depends(needs(Role.ENGINEER))]
ThePage = Annotated[Page, Depends(page_of)]
Job = Annotated[int, Field(ge=1, le=999)]
Text = Annotated[str, Field(max_length=500)]
LEAST_MINUTES, MOST_MINUTES = 0.1, 1440.0
MOST_FILES = 100  # Of one request.


def project_of(project: Name, page: ThePage) -> Project:
    """The project that a route's `{project}` names; for `Depends`.

    Raises:
        HTTPException: 404: there is no such project.
    """
    try:
        return page.projects.get(project)
    except KeyError:
        raise HTTPException(404, f"There is no project {project}.") from None


TheProject = Annotated[Project, Depends(project_of)]


class Asked(BaseModel):
    """What is asked for; what is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class NewProject(Asked):
    """A project to make."""

    name: Name
    station: Name
    product: Text = ""
    job: Job


class ProjectChange(Asked):
    """What a project is for."""

    station: Name | None = None
    product: Text | None = None
    job: Job | None = None


@router.get("")
def projects(page: ThePage, user: Engineer) -> dict[str, Any]:
    """All projects, and what there is to choose from."""
    return {
        "projects": [project.describe() for project in page.projects.all()],
        "systems": list(SYSTEMS),
        "default_system": DEFAULT_SYSTEM,
        "stations": list(page.link.stations),
        "import_folders": [
            {"name": name, "images": len(page.projects.images_in(name))} for name in page.projects.import_folders()
        ],
        "least_good": LEAST_GOOD,
        "limits": {
            "images": MOST_IMAGES,
            "files": MOST_FILES,
            "minutes": {"least": LEAST_MINUTES, "most": MOST_MINUTES},
        },
    }


@router.post("", status_code=201)
def create(asked: NewProject, page: ThePage, user: Engineer) -> dict[str, Any]:
    """Makes a project."""
    _require_station(page, asked.station)
    made = page.projects.create(asked.name, asked.station, asked.product, asked.job, user.name)
    note(page, user, made, "begin to teach", f"job {asked.job} {asked.product}")
    return made.describe()


@router.get("/{project}")
def project(project: TheProject, user: Engineer) -> dict[str, Any]:
    """A project."""
    return project.describe()


@router.patch("/{project}")
def change(project: TheProject, asked: ProjectChange, page: ThePage, user: Engineer) -> dict[str, Any]:
    """Changes what a project is for."""
    if asked.station is not None:
        _require_station(page, asked.station)
    given = asked.model_dump(exclude_none=True)
    before = {name: getattr(project.settings, name) for name in given}
    project.change(**given)
    old, new = (", ".join(f"{name} {value}" for name, value in each.items()) for each in (before, given))
    note(page, user, project, "change what is taught", new, old)
    return project.describe()


@router.delete("/{project}", status_code=204)
def remove(project: TheProject, page: ThePage, user: Engineer) -> None:
    """Removes a project; recipes that were made of it stay."""
    page.projects.remove(project.settings.name)
    note(page, user, project, "remove what was taught", "")


def note(page: Page, user: User, project: Project, action: str, new: str, old: str = "") -> None:
    """Puts what somebody did into the audit trail; called in a thread of the application's.

    Args:
        page: Of the request.
        user: Who did it.
        project: To what.
        action: What.
        new: What it is since.
        old: What it was before.
    """
    station = trail_of(page, project)
    words = {"action": action, "subject": project.settings.name, "old": old, "new": new, "why": ""}
    from_thread.run(partial(page.link.ask, station, "audit", user, **words))


def trail_of(page: Page, project: Project) -> str:
    """The station under which a project's changes are put on record; another one where its own is no more."""
    stations = page.link.stations
    return project.settings.station if project.settings.station in stations else stations[0]


def _require_station(page: Page, station: str) -> None:
    if station not in page.link.stations:
        raise HTTPException(422, f"station: must be one of {', '.join(page.link.stations)}")
