"""How the stations are now: one websocket for everything that happens, the newest images, and figures for monitors."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from edgekd import __version__
from edgekd.station.page.context import Page, page_of
from edgekd.station.page.guard import needs
from edgekd.station.page.link import FollowerSlowError
from edgekd.station.page.metrics import metrics_of
from edgekd.station.page.roles import Role, User
from edgekd.station.tasks import within

router = APIRouter()
PING_S = 2.0
CLOSING_S = 1.0
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
        await asyncio.wait({sending, hearing})
        closing = asyncio.create_task(_close(socket))
        await asyncio.wait({closing}, timeout=CLOSING_S)
        closing.cancel()


async def _close(socket: WebSocket) -> None:
    with contextlib.suppress(RuntimeError, OSError):  # It is closed already.
        await socket.close(AGAIN)


async def _hear(socket: WebSocket) -> None:
    """Waits until the browser leaves; what it says is nothing."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()


async def _send_all(socket: WebSocket, page: Page) -> None:
    changes = page.link.changes()
    try:
        await _send(socket, {"n": 0, "kind": "snapshot", **_shown(page)})
        number, pinged = 0, time.monotonic()
        while True:
            change = await _next(changes.__anext__, PING_S - (time.monotonic() - pinged))
            if change is not None:
                number += 1
                await _send(socket, {"n": number, "kind": "change", **change})
            if time.monotonic() - pinged >= PING_S:
                await _send(socket, {"kind": "ping"})
                pinged = time.monotonic()
    except (FollowerSlowError, asyncio.TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
        pass  # The browser is gone, or too slow; it begins anew.
    finally:
        changes.close()


def _shown(page: Page) -> dict[str, Any]:
    stations = page.link.stations
    return {
        "server": {"edgekd": __version__, "time_utc_ms": time.time_ns() // 1_000_000},
        "stations": [page.link.view(station) for station in stations],
        "recent": {station: page.link.recent(station) for station in stations},
    }


async def _next(change: Callable[[], Awaitable[dict[str, Any]]], seconds: float) -> dict[str, Any] | None:
    """The next change; None where there is none so soon."""
    try:
        return await within(max(seconds, 0.0), change())
    except asyncio.TimeoutError:
        return None


async def _send(socket: WebSocket, message: dict[str, Any]) -> None:
    text = json.dumps(message, allow_nan=False, separators=(",", ":"))
    await within(SENDING_S, socket.send_text(text))


@router.get("/api/state")
async def state(page: PageOf, user: Anyone) -> dict[str, Any]:
    """How all stations are now."""
    return {"stations": [page.link.view(station) for station in page.link.stations]}


@router.get("/api/stations/{station}/live/{acquisition_id}/{kind}", response_class=Response)
async def live_image(
    page: PageOf, user: Anyone, station: str, acquisition_id: int, kind: Literal["original", "heat_map"]
) -> Response:
    """A small image of one of the newest parts; made only while somebody follows what happens."""
    if station not in page.link.stations:
        raise HTTPException(404, "There is no such station.")
    folder = page.live / station
    original = folder / f"{acquisition_id}.jpg"
    wanted = original if kind == "original" else folder / f"{acquisition_id}_map.jpg"
    end = time.monotonic() + IMAGE_S
    while not original.exists() and time.monotonic() < end:  # The map is written before it.
        await asyncio.sleep(LOOKS_S)
    try:
        content = await asyncio.to_thread(wanted.read_bytes)
    except FileNotFoundError:
        raise HTTPException(404, "This image is not there, or not any more.") from None
    return Response(content, media_type="image/jpeg", headers={"cache-control": "private, max-age=60"})


@router.get("/healthz")
async def healthz(user: Anyone) -> dict[str, Any]:
    """Whether the page is served."""
    return {"ok": True}


@router.get("/readyz")
async def readyz(page: PageOf, user: Anyone) -> JSONResponse:
    """Whether all stations would take a trigger, or work on one: 200, else 503."""
    ready = {station: _is_ready(page.link.view(station)) for station in page.link.stations}
    return JSONResponse({"ready": ready}, 200 if all(ready.values()) else 503)


def _is_ready(view: dict[str, Any]) -> bool:
    return bool(view["trigger_ready"] or view["busy"] or view["results_ready"])


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(page: PageOf, user: Anyone) -> PlainTextResponse:
    """Figures for Prometheus."""
    views = [page.link.view(station) for station in page.link.stations]
    return PlainTextResponse(metrics_of(views, page.link.followers), media_type="text/plain; version=0.0.4")
