"""What people at the line do with a station: acknowledge, test, change over, count anew, review parts."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Path
from pydantic import BaseModel, ConfigDict, Field

from edgekd.station.error_codes import ErrorCode
from edgekd.station.page.context import Page, page_of
from edgekd.station.page.guard import needs
from edgekd.station.page.names import station_of
from edgekd.station.page.requests import LONGEST_TEXT
from edgekd.station.page.roles import Role, User
from edgekd.station.recipe_store import recipes_in_use

router = APIRouter(prefix="/api", tags=["operate"])

ThePage = Annotated[Page, Depends(page_of)]
Station = Annotated[str, Depends(station_of)]
Operator = Annotated[User, Depends(needs(Role.OPERATOR))]
Supervisor = Annotated[User, Depends(needs(Role.SUPERVISOR))]
Engineer = Annotated[User, Depends(needs(Role.ENGINEER))]
ResultId = Annotated[int, Path(ge=1, le=2**53)]


class Body(BaseModel):
    """What a request sends; what is not known is a mistyped name."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Job(Body):
    """The recipe to change over to."""

    job: Annotated[int, Field(ge=1, le=999)]


class Online(Body):
    """Whether a station is to take parts."""

    online: bool


class Simulate(Body):
    """Whether results are to be marked as simulated."""

    on: bool


class Reason(Body):
    """Why something is done; it goes into the audit trail."""

    reason: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]


class Review(Body):
    """What somebody who saw a part found it to be."""

    label: Literal["good", "bad"]
    note: Annotated[str, Field(max_length=LONGEST_TEXT)] = ""


class ReleasedRecipe(BaseModel):
    """A recipe that a station may change over to."""

    job: int
    recipe: str
    revision: int
    product: str
    digest: str


@router.get("/recipes/released")
def released_recipes(page: ThePage, user: Annotated[User, Depends(needs(Role.ANYONE))]) -> list[ReleasedRecipe]:
    """The recipes that a station may change over to, by job; control checks their files when one is asked for."""
    listed = [
        ReleasedRecipe(
            job=stored.recipe.job,
            recipe=stored.id,
            revision=stored.revision,
            product=stored.recipe.product,
            digest=stored.digest,
        )
        for stored in recipes_in_use(page.recipes)
        if stored.recipe is not None
    ]
    return sorted(listed, key=lambda each: each.job)


@router.post("/stations/{station}/alarms/{code}/acknowledge")
async def acknowledge_alarm(page: ThePage, station: Station, user: Operator, code: int) -> dict[str, Any]:
    """Somebody has seen an alarm; it stays until its cause is gone."""
    if code not in ErrorCode.__members__.values():
        raise HTTPException(404, f"There is no alarm {code}.")
    return await page.link.ask(station, "acknowledge_alarm", user, code=code)


@router.post("/stations/{station}/acknowledge-error")
async def acknowledge_error(page: ThePage, station: Station, user: Operator) -> dict[str, Any]:
    """Clears what was missed, and FAULT where its cause is gone."""
    return await page.link.ask(station, "clear_error", user)


@router.post("/stations/{station}/self-test")
async def self_test(page: ThePage, station: Station, user: Operator) -> dict[str, Any]:
    """Starts the self-test with the recipe's stored images."""
    return await page.link.ask(station, "self_test", user)


@router.post("/stations/{station}/master-test")
async def master_test(page: ThePage, station: Station, user: Operator) -> dict[str, Any]:
    """Starts the master-part test: the next parts are the recipe's master parts."""
    return await page.link.ask(station, "master_test", user)


@router.post("/stations/{station}/job")
async def change_job(page: ThePage, station: Station, user: Operator, body: Job) -> dict[str, Any]:
    """Changes over to the released recipe of a job, after the part in work."""
    return await page.link.ask(station, "change_job", user, job=body.job)


@router.post("/stations/{station}/online")
async def set_online(page: ThePage, station: Station, user: Supervisor, body: Online) -> dict[str, Any]:
    """Takes a station online, or offline after the part in work."""
    return await page.link.ask(station, "online" if body.online else "offline", user)


@router.post("/stations/{station}/counters/reset")
async def reset_counters(page: ThePage, station: Station, user: Supervisor) -> dict[str, Any]:
    """Counts from zero; what is on record stays."""
    return await page.link.ask(station, "reset_counters", user)


@router.post("/stations/{station}/release")
async def release(page: ThePage, station: Station, user: Engineer, body: Reason) -> dict[str, Any]:
    """Lets a blocked station run although its self-test failed."""
    return await page.link.ask(station, "release", user, reason=body.reason)


@router.post("/stations/{station}/simulate")
async def simulate(page: ThePage, station: Station, user: Engineer, body: Simulate) -> dict[str, Any]:
    """Marks what follows as simulated, never OK for the PLC; or ends that."""
    return await page.link.ask(station, "simulate", user, on=body.on)


@router.post("/results/{result_id}/reviews")
async def review(page: ThePage, user: Operator, result_id: ResultId, body: Review) -> dict[str, Any]:
    """Notes what somebody found a part to be; its verdict stays as it was given."""
    recorded = await asyncio.to_thread(page.record.result, result_id)
    if recorded is None or recorded.outcome.station not in page.link.stations:
        raise HTTPException(404, f"There is no result {result_id} of a station here.")
    station = recorded.outcome.station
    return await page.link.ask(station, "review", user, result_id=result_id, label=body.label, note=body.note)
