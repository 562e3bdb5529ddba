"""Images that somebody asks a camera for, while its station does not inspect."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Response
from pydantic import BaseModel, ConfigDict

from edgekd.data.images import read_image
from edgekd.station.live_folder import SNAPS
from edgekd.station.page.context import Page, page_of
from edgekd.station.page.guard import needs
from edgekd.station.page.names import station_of
from edgekd.station.page.roles import Role, User
from edgekd.station.page.teaching.hints import checks_from, hints_of_image
from edgekd.station.page.teaching.images import FULL_SIDE, as_jpeg
from edgekd.station.recipes import CameraSettings, Name
from edgekd.verdicts.image_checks import statistics

router = APIRouter(prefix="/api")
Engineer = Annotated[User, Depends(needs(Role.ENGINEER))]
ThePage = Annotated[Page, Depends(page_of)]
SNAP = re.compile(r"([0-9]{1,20}-[0-9]{1,20})-(8|9|1[0-6])")  # The last is the bit depth.


class SnapRequest(BaseModel):
    """What a camera is asked for; without settings it is asked as it is."""

    model_config = ConfigDict(extra="forbid")

    camera: Name | None = None
    settings: CameraSettings | None = None


@router.post("/stations/{station}/snap")
async def snap(
    station: Annotated[str, Depends(station_of)], page: ThePage, user: Engineer, asked: SnapRequest | None = None
) -> dict[str, Any]:
    """Takes an image, and tells what is wrong with it."""
    told = await take(page, station, user, asked or SnapRequest())
    seen = await asyncio.to_thread(lambda: statistics(read_image(Path(told["path"]), told["bit_depth"])))
    hints = hints_of_image(seen, checks_from(()), None)
    known = {name: told[name] for name in ("width", "height", "bit_depth")}
    return {"snap": f"{told['snap']}-{told['bit_depth'] or 8}", **known, "hints": [hint._asdict() for hint in hints]}


@router.get("/snaps/{snap_id}")
def snapped(snap_id: str, page: ThePage, user: Engineer) -> Response:
    """The image that was taken, as a JPEG."""
    if found := SNAP.fullmatch(snap_id):
        for station in page.link.stations:
            path = page.live / station / SNAPS / f"{found[1]}.png"
            if path.is_file():
                pixels = read_image(path, int(found[2]) if found[2] != "8" else None)
                return Response(as_jpeg(pixels, FULL_SIDE), media_type="image/jpeg")
    raise HTTPException(404, "This image is gone: take another one.")


async def take(page: Page, station: str, user: User, asked: SnapRequest) -> dict[str, Any]:
    """Asks control for an image of a station's camera.

    Args:
        page: Of the request.
        station: Its name.
        user: Who asks.
        asked: Which camera, and how it is set.

    Returns:
        `path` of the file, `snap`, `width`, `height` and `bit_depth`, which is None for 8.

    Raises:
        HTTPException: 404: there is no such station, or it has no such camera.
        RefusedError: The station inspects, or the camera does not answer.
    """
    cameras = page.cameras.get(station, ())
    if not cameras:
        raise HTTPException(404, f"There is no station {station} any more: choose another.")
    camera = asked.camera or cameras[0]
    if camera not in cameras:
        raise HTTPException(404, f"{station} has no camera {camera}: choose one of {', '.join(cameras)}.")
    settings = None if asked.settings is None else asked.settings.model_dump(mode="json", exclude_unset=True)
    told = await page.link.ask(station, "snap", user, camera=camera, settings=settings)
    deep = (told["bit_depth"] or 0) > 8  # The camera tells 8 too, which reading an image takes for granted.
    return {**told, "bit_depth": told["bit_depth"] if deep else None}
