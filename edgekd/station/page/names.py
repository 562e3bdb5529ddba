"""Names in addresses of the page that must be those of something there is."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException

from edgekd.station.page.context import Page, page_of
from edgekd.station.recipes import Name


async def station_of(station: Name, page: Annotated[Page, Depends(page_of)]) -> str:
    """The station that a route's `{station}` names; for `Depends`.

    Raises:
        HTTPException: 404: there is no such station.
    """
    if station not in page.link.stations:
        raise HTTPException(404, f"There is no station {station}: choose one of {', '.join(page.link.stations)}.")
    return station
