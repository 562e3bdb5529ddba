"""Recipes on the page: listed, looked at, edited as drafts, compared, released, retired and brought back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Response
from fastapi import Path as FromPath
from pydantic import BaseModel, ConfigDict, Field

from edgekd.errors import EdgekdError, MachineError
from edgekd.station import recipe_release
from edgekd.station.page.auditing import note
from edgekd.station.page.context import Page, page_of
from edgekd.station.page.guard import needs
from edgekd.station.page.link import RefusedError
from edgekd.station.page.recipe_comparing import compare
from edgekd.station.page.recipe_editing import edit_draft, in_words, require_as_shown
from edgekd.station.page.recipe_facts import facts_of, find_revision, list_rows
from edgekd.station.page.recipe_views import reference_jpeg
from edgekd.station.page.roles import Role, User
from edgekd.station.recipe_changes import in_use, name_of
from edgekd.station.recipe_store import read_recipe
from edgekd.station.recipes import Name

router = APIRouter(prefix="/api/recipes")
REVISION = "/{recipe}/{revision}"
Engineer = Annotated[User, Depends(needs(Role.ENGINEER))]
OfPage = Annotated[Page, Depends(page_of)]
Revision = Annotated[int, FromPath(ge=1, le=10**9)]
Reason = Annotated[str, Field(max_length=500)]
Found = TypeVar("Found")
ONE_AT_A_TIME = threading.Lock()  # Changes of recipes: two releases must not both find a job free.


class Body(BaseModel):
    """What a request sends; what is not known is a mistyped name."""

    model_config = ConfigDict(extra="forbid")


class Revise(Body):
    """Which revision a draft is made from."""

    from_revision: Annotated[int, Field(ge=1, le=10**9)]


class Why(Body):
    """Why something is changed."""

    reason: Reason


class Use(Why):
    """Why something is put into use, and whether stations that judge by its recipe change over at once.

    Otherwise they do at their next change-over: it is the engineer who knows whether the line may wait a second.
    """

    change_over: bool = False


class Release(Use):
    """The same of a draft, with its fields as they were shown to whoever signs."""

    shown: dict[str, Any] = {}


class Edit(Why):
    """Fields of a draft by their names, and what was shown there; null takes a default back, and stands for none."""

    fields: dict[str, Any]
    shown: dict[str, Any] = {}


def revision_folder(page: OfPage, recipe: Name, revision: Revision) -> Path:
    """The folder of the revision that a path names; 404 where there is none."""
    try:
        return find_revision(page.recipes, recipe, revision)
    except LookupError as error:
        raise HTTPException(404, f"There is no revision {revision} of a recipe {recipe}: list the recipes.") from error


Folder = Annotated[Path, Depends(revision_folder)]


@router.get("")
def list_all(page: OfPage, user: Engineer) -> list[dict[str, Any]]:
    """All revisions of all recipes."""
    return list_rows(page.recipes)


@router.get(REVISION)
def show(page: OfPage, user: Engineer, folder: Folder) -> dict[str, Any]:
    """A revision, with what its artifact's manifest tells of it."""
    return facts_of(folder, page.cameras)


@router.get(f"{REVISION}/references/{{number}}")
def reference(user: Engineer, folder: Folder, number: Annotated[int, FromPath(ge=0, le=1000)]) -> Response:
    """A reference image."""
    try:
        image = reference_jpeg(folder, read_recipe(folder), number)
    except LookupError as error:
        raise HTTPException(404, f"The recipe has no reference {number}.") from error
    return Response(image, media_type="image/jpeg", headers={"cache-control": "private, max-age=60"})


@router.get(f"{REVISION}/compare/{{other_revision}}")
def compared(page: OfPage, user: Engineer, folder: Folder, recipe: Name, other_revision: Revision) -> dict[str, Any]:
    """What another revision has that this one has not, and the other way round."""
    return compare(folder, revision_folder(page, recipe, other_revision))


@router.post("/{recipe}/revisions", status_code=201)
async def revise(page: OfPage, user: Engineer, recipe: Name, body: Revise) -> dict[str, Any]:
    """Copies a revision as a draft, under the next number."""
    folder = revision_folder(page, recipe, body.from_revision)
    draft = await _changed(lambda: recipe_release.next_revision(folder))
    await _record(page, user, "revise recipe", draft, name_of(folder), f"draft {name_of(draft)}", "")
    return await asyncio.to_thread(facts_of, draft, page.cameras)


@router.put(REVISION)
async def edit(page: OfPage, user: Engineer, folder: Folder, body: Edit) -> dict[str, Any]:
    """Changes fields of a draft."""
    changed = await _changed(lambda: edit_draft(folder, body.fields, body.shown))
    if changed:
        await _record(page, user, "edit recipe", folder, *in_words(changed), body.reason)
    return await asyncio.to_thread(facts_of, folder, page.cameras)


@router.delete(REVISION)
async def discard(page: OfPage, user: Engineer, folder: Folder) -> dict[str, Any]:
    """Deletes a draft."""
    await _changed(lambda: recipe_release.discard(folder))
    await _record(page, user, "delete draft", folder, "draft", "", "")
    return {}


@router.post(f"{REVISION}/release")
async def release(page: OfPage, user: Engineer, folder: Folder, body: Release) -> dict[str, Any]:
    """Releases a draft: stations may judge by it, and the revision before it is retired."""

    def sign() -> tuple[str, str]:
        require_as_shown(folder, body.shown)
        return in_use(folder), recipe_release.release(folder, user.name, body.reason)

    before, digest = await _changed(sign)
    await _record(page, user, "release recipe", folder, before, f"digest {digest}", body.reason)
    return await _used(page, user, folder, body)


@router.post(f"{REVISION}/retire")
async def retire(page: OfPage, user: Engineer, folder: Folder, body: Why) -> dict[str, Any]:
    """Takes a released revision out of use; a station that judges by it does so until its next change-over."""
    await _changed(lambda: recipe_release.retire(folder, user.name, body.reason))
    await _record(page, user, "retire recipe", folder, "released", "retired", body.reason)
    return await asyncio.to_thread(facts_of, folder, page.cameras)


@router.post(f"{REVISION}/bring-back", status_code=201)
async def bring_back(page: OfPage, user: Engineer, folder: Folder, body: Use) -> dict[str, Any]:
    """Puts an earlier release into use again, as the next revision."""
    before, (again, digest) = await _changed(
        lambda: (in_use(folder), recipe_release.bring_back(folder, user.name, body.reason)),
    )
    new = f"{name_of(again)}, digest {digest}, as {name_of(folder)}"
    await _record(page, user, "bring back recipe", again, before, new, body.reason)
    return await _used(page, user, again, body)


async def _changed(change: Callable[[], Found]) -> Found:
    """Makes a change of recipes on the disk, one at a time; 409 where it is refused."""

    def make() -> Found:
        with ONE_AT_A_TIME:
            return change()

    try:
        return await asyncio.to_thread(make)
    except MachineError:
        raise
    except EdgekdError as error:
        raise HTTPException(409, str(error)) from error


async def _record(page: Page, user: User, action: str, folder: Path, old: str, new: str, why: str) -> None:
    """Puts a change that was made into the audit trail."""
    try:
        await note(page, user, action, name_of(folder), old, new, why)
    except (RefusedError, TimeoutError, asyncio.TimeoutError) as error:
        text = f"{name_of(folder)} is changed, but it could not be put into the audit trail: check the station."
        raise HTTPException(503, text) from error


async def _used(page: Page, user: User, folder: Path, body: Use) -> dict[str, Any]:
    """A revision that was put into use, and by station whether it judges by it now: "" or what keeps it."""
    told: dict[str, str] = {}
    for station in page.link.stations if body.change_over else ():
        try:
            answer = await page.link.ask(station, "reload_recipes", user)
        except RefusedError as error:
            told[station] = error.text
        except (TimeoutError, asyncio.TimeoutError):
            told[station] = "The station does not answer."
        else:
            if answer.get("reloaded"):
                told[station] = ""
    return {**await asyncio.to_thread(facts_of, folder, page.cameras), "changed_over": told}
