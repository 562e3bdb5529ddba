"""Tells control whether somebody looks at the page, so that images are made for it only then."""

from __future__ import annotations

import asyncio

from edgekd.station.page.link import ControlLink, RefusedError
from edgekd.station.page.roles import User

LOOKS_S = 0.2  # Seconds between two looks at that.
LINGERS_S = 3.0  # Somebody who loads the page anew is away for a moment.
PAGE = User(name="page")


async def watch(control: ControlLink) -> None:
    """Tells control until it is cancelled.

    Args:
        control: The connection to it.
    """
    told, left = False, 0.0
    now = asyncio.get_running_loop().time
    while True:
        if control.followers:
            left = now() + LINGERS_S
        watched = now() < left
        if watched is not told:
            told = watched
            for station in control.stations:
                try:
                    await control.ask(station, "watch", PAGE, on=watched)
                except (RefusedError, TimeoutError):
                    told = not watched  # It is told again.
        await asyncio.sleep(LOOKS_S)
