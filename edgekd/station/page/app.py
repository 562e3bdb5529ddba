"""The page's application: its routes, its files, and how errors are answered."""

from __future__ import annotations

import asyncio
import logging
import os
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, APIWebSocketRoute
from python_multipart.exceptions import FormParserError
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from edgekd import __version__
from edgekd.errors import EdgekdError, MachineError
from edgekd.station.error_codes import StationError
from edgekd.station.page import routes
from edgekd.station.page.answers import refusal, told
from edgekd.station.page.context import Page
from edgekd.station.page.guard import Gate, Route, needed
from edgekd.station.page.headers import SECURITY, KnownHosts, SecurityHeaders
from edgekd.station.page.limits import CHANGES, READS, Limits, Rate
from edgekd.station.page.link import RefusedError

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
PAGES = {"/": "index.html", "/engineer": "engineer.html", "/teach": "teach.html", "/users": "users.html"}
NO_ANSWER = "The station does not answer: wait a moment and try again."


def create_app(page: Page, reads: Rate = READS, changes: Rate = CHANGES) -> FastAPI:
    """Makes the application that serves a page.

    Args:
        page: What its routes work with.
        reads: How often one address may ask for something.
        changes: How often it may change something.

    Raises:
        RuntimeError: A route does not name who may use it.
    """
    app = FastAPI(
        title="edgekd station",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.page = page
    found: list[Route] = []
    for router in routers():
        app.include_router(router)
        found += _routes_of(router)
    for path, name in PAGES.items():
        app.add_api_route(path, _file(STATIC / name), include_in_schema=False)
    app.mount("/static", _Static(directory=STATIC))
    _answer_errors(app)
    # The last is the outermost.
    app.add_middleware(Gate, sessions=page.sessions, routes=found)
    app.add_middleware(Limits, reads=reads, changes=changes)
    app.add_middleware(KnownHosts, names=(page.configuration.host, *page.configuration.names))
    app.add_middleware(SecurityHeaders)
    return app


def routers() -> Iterator[APIRouter]:
    """The routers of all modules in `routes`, in the order of their names."""
    for found in pkgutil.iter_modules(routes.__path__):
        router = getattr(import_module(f"{routes.__name__}.{found.name}"), "router", None)
        if router is not None:
            yield router


def _routes_of(router: APIRouter) -> Iterator[Route]:
    for route in router.routes:
        if not isinstance(route, (APIRoute, APIWebSocketRoute)):
            raise RuntimeError(f"{route} is no route of an APIRouter, and so cannot name who may use it")
        if needed(route) is None:
            raise RuntimeError(f"{route.path} does not name who may use it: add Depends(needs(Role...))")
        yield route


def _file(path: Path) -> Any:
    async def serve() -> FileResponse:
        return FileResponse(path)

    return serve


class _Static(StaticFiles):
    """Files by their names; one that no file can have is not there, where older releases of Starlette fail."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """The file of a path, and what the system knows of it."""
        return ("", None) if "\0" in path else super().lookup_path(path)


def _answer_errors(app: FastAPI) -> None:
    """Gives every error its status and its one line."""

    @app.exception_handler(HTTPException)
    async def answered(request: Request, error: HTTPException) -> Response:
        return refusal(error.status_code, str(error.detail), dict(error.headers or {}), **told(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return refusal(422, _first_problem(error))

    @app.exception_handler(FormParserError)  # Which older releases of Starlette let through.
    async def formless(request: Request, error: FormParserError) -> Response:
        return refusal(422, "What was sent is no form.")

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        return refusal(409, error.text, station_code=int(error.code))

    @app.exception_handler(EdgekdError)
    async def wrong(request: Request, error: EdgekdError) -> Response:
        if isinstance(error, StationError):
            return refusal(409, str(error), station_code=int(error.code))
        return refusal(503 if isinstance(error, MachineError) else 422, str(error), **told(error))

    @app.exception_handler(TimeoutError)
    @app.exception_handler(asyncio.TimeoutError)  # Another one before Python 3.11.
    async def silent(request: Request, error: Exception) -> Response:
        return refusal(503, NO_ANSWER, {"retry-after": "2"})

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        text = "The page failed at this: see the station's log, and report it."
        return refusal(500, text, SECURITY)  # Which is answered outside of everything else.


def _first_problem(error: RequestValidationError) -> str:
    """The first thing that is wrong with a request, with the field's name."""
    first = error.errors()[0]
    where = ".".join(str(each) for each in first["loc"][1:])
    what = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
