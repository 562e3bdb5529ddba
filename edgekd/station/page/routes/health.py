"""How the machine and its connections are, for people; /healthz, /readyz and /metrics are for programs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from edgekd.station.page.context import Page, page_of
from edgekd.station.page.guard import needs
from edgekd.station.page.health import Health
from edgekd.station.page.roles import Role, User

router = APIRouter()
watched = Health()


@router.get("/api/health")
def health(
    page: Annotated[Page, Depends(page_of)],
    user: Annotated[User, Depends(needs(Role.SUPERVISOR))],
) -> dict[str, Any]:
    """Disk, memory, processor, temperature, power, lost frames, connections, versions."""
    links = {station: page.link.view(station).get("links", {}) for station in page.link.stations}
    return {**watched.of(page.record.path), "links": links}
