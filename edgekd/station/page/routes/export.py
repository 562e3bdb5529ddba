"""Results as an archive, for whoever has to show them elsewhere."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import StreamingResponse

from edgekd import __version__
from edgekd.station.page.context import Page, page_of
from edgekd.station.page.exporting import Export
from edgekd.station.page.guard import needs
from edgekd.station.page.roles import Role, User
from edgekd.station.page.routes.results import wanted
from edgekd.station.record.searching import Search

router = APIRouter()


@router.get("/api/export")
def export(
    page: Annotated[Page, Depends(page_of)],
    user: Annotated[User, Depends(needs(Role.SUPERVISOR))],
    search_for: Annotated[Search, Depends(wanted)],
    images: bool = True,
) -> StreamingResponse:
    """The results of a search as a ZIP archive: results.csv, reviews.csv, audit.csv, images and SHA256SUMS."""
    now = datetime.now(timezone.utc)
    about = (f"Exported by {user.name} at {now:%Y-%m-%d %H:%M:%S} UTC with edgekd {__version__}.", "")
    made = Export(page.record, page.data, search_for, images, about)
    name = f"edgekd-{search_for.station or 'stations'}-{now:%Y%m%dT%H%M%SZ}.zip"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(made.pieces(), media_type="application/zip", headers=headers)


@router.get("/api/export/size")
def size_of_export(
    page: Annotated[Page, Depends(page_of)],
    user: Annotated[User, Depends(needs(Role.SUPERVISOR))],
    search_for: Annotated[Search, Depends(wanted)],
    images: bool = True,
) -> dict[str, int]:
    """How much an export would hold; one that would be too large is refused."""
    made = Export(page.record, page.data, search_for, images)
    return {"results": made.results, "image_bytes": made.image_bytes}
