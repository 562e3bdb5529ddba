"""Who may use which route. Every route names a role; what it names is enforced before a request's body is read."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from edgekd.station.page.answers import Refusal, refusal, told
from edgekd.station.page.roles import Role, User, may

if TYPE_CHECKING:
    from edgekd.station.page.sessions import Session, Sessions

READING = ("GET", "HEAD")
LOGIN = "/api/login"
CSRF_HEADER = "x-csrf-token"
ACTIVE_HEADER = "x-active"  # The page sends it where somebody touched keyboard or screen within the last minute.
Route = APIRoute | APIWebSocketRoute


def needs(role: Role) -> Callable[[HTTPConnection], Awaitable[User]]:
    """What a route names to say who may use it: `user: Annotated[User, Depends(needs(Role.OPERATOR))]`.

    Args:
        role: The least that somebody must be.

    Returns:
        A dependency that gives the user; it refuses with 401 whoever is not logged in, with 403 another role.
    """

    async def user_of(connection: HTTPConnection) -> User:
        user = cast(User, connection.scope["user"])
        refused = _refused(user, role)
        if refused is not None:
            raise refused
        return user

    cast(Any, user_of).needed = role
    return user_of


def needed(route: Route) -> Role | None:
    """The role that a route names; None where it names none, which `create_app` refuses.

    Args:
        route: Of one of the modules in `routes`.
    """
    return next((call.needed for call in _calls(route.dependant) if hasattr(call, "needed")), None)


def _calls(dependant: Dependant) -> Iterator[Any]:
    for each in dependant.dependencies:
        yield each.call
        yield from _calls(each)


class Gate:
    """Lets a request through to its route if its sender may use it, and gives the route the user.

    What changes something must come from the page itself: from its origin, and with the session's token.

    Args:
        app: What comes behind.
        sessions: Who is logged in.
        routes: All that name a role.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, routes: Iterable[Route]) -> None:
        self._app, self._sessions = app, sessions
        self._routes = [(route, needed(route) or Role.ADMIN) for route in routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = self._enter(HTTPConnection(scope))
        if refused is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refused.detail})
        else:
            await refusal(refused.status_code, refused.detail, **told(refused))(scope, receive, send)

    def _enter(self, connection: HTTPConnection) -> Refusal | None:
        """Notes who sends a request; says why it is refused, and None where it is not."""
        scope = connection.scope
        changes = scope["type"] == "http" and scope["method"] not in READING
        if (changes or scope["type"] == "websocket") and not comes_from_here(connection):
            text = "The request came from another page: open this one and try again."
            return Refusal(403, text, "other_page")
        session = self._session(connection, changes)
        address = connection.client.host if connection.client else ""
        scope["session"] = session
        scope["user"] = User(address=address) if session is None else User(session.name, session.role, address)
        if changes and session is not None and scope["path"] != LOGIN:
            token = connection.headers.get(CSRF_HEADER, "")
            if not secrets.compare_digest(token.encode("latin-1", "replace"), session.csrf.encode()):
                text = "The request does not carry the session's token: load the page again."
                return Refusal(403, text, "token")
        role = self._role(scope)
        return None if role is None else _refused(scope["user"], role)

    def _session(self, connection: HTTPConnection, changes: bool) -> Session | None:
        token = connection.cookies.get(cookie_name(connection))
        if not token:
            return None
        navigates = connection.headers.get("sec-fetch-mode") == "navigate"
        return self._sessions.find(token, changes or navigates or ACTIVE_HEADER in connection.headers)

    def _role(self, scope: Scope) -> Role | None:
        """The role that the request's route needs; None where it has none, such as a static file."""
        for route, role in self._routes:
            method = getattr(route, "methods", None)
            if route.path_regex.match(scope["path"]) and (method is None or scope.get("method") in method):
                return role
        return None


def cookie_name(connection: HTTPConnection) -> str:
    """Name of the cookie that holds a session; stations at other ports of a machine have others.

    Args:
        connection: A request.
    """
    port = (connection.scope.get("server") or ("", 0))[1]
    return f"{'__Host-' if is_encrypted(connection) else ''}edgekd-{port}"


def is_encrypted(connection: HTTPConnection) -> bool:
    """Whether a request came by TLS."""
    return connection.scope["scheme"] in ("https", "wss")


def comes_from_here(connection: HTTPConnection) -> bool:
    """Whether a request was sent by this page, or by a program that is no browser.

    Args:
        connection: A request.
    """
    headers = connection.headers
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    scheme = "https" if is_encrypted(connection) else "http"
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return (parts.scheme, parts.netloc) == (scheme, headers.get("host", ""))


def not_logged_in() -> Refusal:
    """What is answered to nobody where somebody is needed."""
    return Refusal(401, "Log in to do this.", "log_in")


def _refused(user: User, role: Role) -> Refusal | None:
    """Why somebody may not use what needs a role; None for whoever may."""
    if may(user.role, role):
        return None
    if not user.name:
        return not_logged_in()
    text = f"This needs the role {role.value}; you are {user.role.value}."
    return Refusal(403, text, f"needs_{role.value}")
