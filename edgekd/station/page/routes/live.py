"""How the stations are now: one websocket for everything that happens, the newest images, and figures for monitors."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse

from edgekd import __version__
from edgekd.station.page.context import Page, page_of
from edgekd.station.page.guard import needs
from edgekd.station.page.link import FollowerSlowError
from edgekd.station.page.metrics import metrics_of
from edgekd.station.page.roles import Role, User

router = APIRouter()
PING_S = 2.0
SENDING_S = 5.0  # For which a browser may take nothing.
MOST_SOCKETS = 50
IMAGE_S = 1.0  # For which an image is waited for that is just being written.
LOOKS_S = 0.03
AGAIN, BUSY = 1012, 1013  # Codes that close a websocket: begin anew, try later.

PageOf = Annotated[Page, Depends(page_of)]
Anyone = Annotated[User, Depends(needs(Role.ANYONE))]


@router.websocket("/ws")
async def follow(socket: WebSocket, page: PageOf, user: Anyone) -> None:
    """Everything that happens: a snapshot first, then numbered changes, and a ping every two seconds."""
    if page.link.followers >= MOST_SOCKETS:
        await socket.close(BUSY)
        return
    await socket.accept()
    sending, hearing = asyncio.create_task(_send_all(socket, page)), asyncio.create_task(_hear(socket))
    try:
        await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, hearing):
            task.cancel()
        await asyncio.gather(sending, hearing, return_exceptions=True)
        with contextlib.suppress(RuntimeError, OSError):  # It is closed already.
            await asyncio.wait_for(socket.close(AGAIN), 1.0)


async def _hear(socket: WebSocket) -> None:
    """Waits until the browser leaves; what it says is nothing."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()
