"""How a station's results developed, and whether its line still suits its detector."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from edgekd.station.page.context import Page, page_of
from edgekd.station.page.drift import drift_of
from edgekd.station.page.evaluating import evaluate
from edgekd.station.page.guard import needs
from edgekd.station.page.roles import Role, User
from edgekd.station.page.trends import Span, trends_of
from edgekd.station.recipes import Name

router = APIRouter()
MOST_HOURS = 24 * 92


@router.get("/api/trends")
def trends(
    page: Annotated[Page, Depends(page_of)],
    user: Annotated[User, Depends(needs(Role.SUPERVISOR))],
    station: Annotated[Name, Query()],
    hours: Annotated[float, Query(gt=0, le=MOST_HOURS)] = 8,
    recipe: Annotated[Name | None, Query()] = None,
    revision: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> dict[str, Any]:
    """Verdicts, severities, image checks and times of the last hours, and what has moved since teaching."""
    span = Span(station, hours, recipe or "", revision)
    developed = evaluate(page.record.path, lambda log: trends_of(log, span))
    return {"station": station, **developed, "drift": drift_of(page.record, page.recipes, span)}
