"""What the steps from trigger to answer took."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from edgekd.station.page.context import Page, page_of
from edgekd.station.page.guard import needs
from edgekd.station.page.roles import Role, User
from edgekd.station.page.timings import timings_of
from edgekd.station.recipes import Name

router = APIRouter()


@router.get("/api/timings")
def timings(
    page: Annotated[Page, Depends(page_of)],
    user: Annotated[User, Depends(needs(Role.SUPERVISOR))],
    station: Annotated[Name, Query()],
    last: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> dict[str, Any]:
    """Percentiles of each step over the last results, beside the time that the recipe gives."""
    return timings_of(page.record, page.recipes, station, last)
