"""Answers on record, and their images."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi import Path as InPath
from starlette.responses import FileResponse

from edgekd.result import Verdict
from edgekd.station.page.context import Page, page_of
from edgekd.station.page.guard import needs
from edgekd.station.page.recorded import recorded_result
from edgekd.station.page.roles import Role, User
from edgekd.station.page.stored_images import TYPES, ImageKind, Thumbnails, file_of, find_image
from edgekd.station.ports import StoredImage
from edgekd.station.recipes import Name
from edgekd.station.record.searching import Reviewed, Search, search

router = APIRouter()
thumbnails = Thumbnails()

ResultId = Annotated[int, InPath(ge=1, le=2**53)]
BeforeId = Annotated[int | None, Query(ge=1, le=2**53)]
Count = Annotated[int, Query(ge=1, le=200)]
Text = Annotated[str, Query(max_length=64)]


def wanted(
    station: Annotated[Name | None, Query()] = None,
    since_ms: Annotated[int | None, Query(alias="from", ge=0, le=2**53)] = None,
    until_ms: Annotated[int | None, Query(alias="to", ge=0, le=2**53)] = None,
    part: Annotated[int | None, Query(ge=0, le=2**32 - 1)] = None,
    serial: Text = "",
    lot: Text = "",
    verdict: Annotated[Verdict | None, Query()] = None,
    recipe: Annotated[Name | None, Query()] = None,
    revision: Annotated[int | None, Query(ge=1, le=2**31)] = None,
    error: Annotated[int | None, Query(ge=0, le=999)] = None,
    reviewed: Annotated[Reviewed | None, Query()] = None,
) -> Search:
    """What a request looks for; for `Depends`."""
    return Search(
        station=station,
        since_ms=since_ms,
        until_ms=until_ms,
        part=part,
        serial=serial,
        lot=lot,
        verdict=verdict,
        recipe=recipe or "",
        revision=revision,
        error=error,
        reviewed=reviewed,
    )


@router.get("/api/results")
def find_results(
    page: Annotated[Page, Depends(page_of)],
    user: Annotated[User, Depends(needs(Role.SUPERVISOR))],
    search_for: Annotated[Search, Depends(wanted)],
    before_id: BeforeId = None,
    limit: Count = 50,
) -> dict[str, Any]:
    """Results, the newest first; there may be more where `next_before_id` is not null, even if the page is not full."""
    found = search(page.record, search_for, limit, before_id)
    return {
        "results": [recorded_result(each) for each in found.results],
        "next_before_id": found.next_before_id,
    }


@router.get("/api/results/{result_id}")
def one_result(
    result_id: ResultId,
    page: Annotated[Page, Depends(page_of)],
    user: Annotated[User, Depends(needs(Role.ANYONE))],
) -> dict[str, Any]:
    """A result by its id."""
    recorded = page.record.result(result_id)
    if recorded is None:
        raise HTTPException(404, f"There is no result {result_id} on record.")
    return dict(recorded_result(recorded))


@router.get("/api/results/{result_id}/images/{kind}")
def image_of_result(
    result_id: ResultId,
    kind: ImageKind,
    request: Request,
    page: Annotated[Page, Depends(page_of)],
    user: Annotated[User, Depends(needs(Role.ANYONE))],
    thumbnail: bool = False,
) -> Response:
    """An image of a result as it was written, or a small JPEG of it."""
    image = find_image(page.record, result_id, kind)
    path = None if image is None else file_of(page.data, image)
    if image is None or path is None:
        raise HTTPException(404, f"Of result {result_id} this image is not on record, or not any more.")
    headers = _headers(image, thumbnail)
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    if not thumbnail:
        return FileResponse(path, media_type=TYPES[path.suffix], headers=headers)
    small = thumbnails.of(path, image)
    if small is None:
        raise HTTPException(404, f"The image of result {result_id} cannot be read.")
    return Response(small, media_type="image/jpeg", headers=headers)


def _headers(image: StoredImage, thumbnail: bool) -> dict[str, str]:
    """What is on record never changes, but it may go."""
    tag = f"{image.result_id}-{image.sha256}{'-small' if thumbnail else ''}"
    return {"etag": f'"{tag}"', "cache-control": "private, max-age=3600"}
