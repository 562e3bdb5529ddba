"""Who may use which route, and what a request must carry to change something."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, UploadFile, WebSocket
from starlette.routing import Route
from starlette.websockets import WebSocketDisconnect

from edgekd.station.page import app as application
from edgekd.station.page.app import create_app
from edgekd.station.page.guard import needs
from edgekd.station.page.names import station_of
from edgekd.station.page.roles import Role, User, may

from .stage import client, make_page

CHANGED = "/api/changed"


@pytest.fixture
def page(tmp_path):
    return make_page(tmp_path)


@pytest.fixture(autouse=True)
def router(monkeypatch):
    router = APIRouter(prefix="/api")

    @router.get("/seen/{station}")
    async def seen(station: Annotated[str, Depends(station_of)], user: Annotated[User, Depends(needs(Role.OPERATOR))]):
        return {"station": station, "name": user.name, "address": user.address}

    @router.post("/changed")
    async def changed(body: dict[str, int], user: Annotated[User, Depends(needs(Role.ENGINEER))]):
        return body

    @router.post("/files")
    async def files(file: UploadFile, user: Annotated[User, Depends(needs(Role.ENGINEER))]):
        return {"name": file.filename}

    @router.websocket("/ws")
    async def told(socket: WebSocket, user: Annotated[User, Depends(needs(Role.ANYONE))]):
        await socket.accept()
        await socket.send_json({"name": user.name})

    monkeypatch.setattr(application, "routers", lambda: iter([router]))
    return router


def test_a_role_may_what_the_roles_below_it_may_and_an_admin_nothing_of_the_line():
    line = [Role.ANYONE, Role.OPERATOR, Role.SUPERVISOR, Role.ENGINEER]
    for needed in line:
        assert [may(role, needed) for role in line] == [line.index(role) >= line.index(needed) for role in line]
    assert [may(Role.ADMIN, needed) for needed in Role] == [True, False, False, False, True]
    assert [may(role, Role.ADMIN) for role in line] == [False] * 4


def test_a_route_gets_the_user_who_is_logged_in(page):
    answer = client(page, Role.SUPERVISOR).get("/api/seen/line")
    assert answer.json() == {"station": "line", "name": "supervisor", "address": "127.0.0.1"}


def test_nobody_is_refused_with_401_and_another_role_with_403(page):
    refused = client(page).get("/api/seen/line")
    told = {"code": 401, "text": "Log in to do this.", "key": "log_in", "values": {}}
    assert (refused.status_code, refused.json()) == (401, {"error": told})
    refused = client(page, Role.ADMIN).get("/api/seen/line")
    assert refused.status_code == 403
    assert refused.json()["error"]["text"] == "This needs the role operator; you are admin."
    assert client(page, Role.OPERATOR).post(CHANGED, json={}).status_code == 403


def test_a_station_that_is_not_there_is_404_and_no_name_422(page):
    browser = client(page, Role.OPERATOR)
    assert browser.get("/api/seen/other").status_code == 404
    assert browser.get("/api/seen/..%5Cx").status_code == 422


@pytest.mark.parametrize("token", [None, "", "wrong", "ü"])
def test_a_change_without_the_sessions_token_is_refused(page, token):
    browser = client(page, Role.ENGINEER)
    assert browser.post(CHANGED, json={"a": 1}).json() == {"a": 1}
    del browser.headers["X-CSRF-Token"]
    headers = {} if token is None else {"X-CSRF-Token": token.encode()}
    assert browser.post(CHANGED, json={"a": 1}, headers=headers).status_code == 403


def test_the_token_of_one_session_is_of_no_use_in_another(page):
    engineer, other = client(page, Role.ENGINEER), client(page, Role.ENGINEER)
    engineer.headers["X-CSRF-Token"] = other.headers["X-CSRF-Token"]
    assert engineer.post(CHANGED, json={}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8081"},
        {"Origin": "https://127.0.0.1:8080"},
        {"Origin": "http://[::1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_what_another_page_sends_changes_nothing_and_hears_nothing(page, headers):
    browser = client(page, Role.ENGINEER)
    assert browser.post(CHANGED, json={}, headers=headers).status_code == 403
    with pytest.raises(WebSocketDisconnect), browser.websocket_connect("/api/ws", headers=headers):
        pass


def test_what_the_page_itself_sends_is_taken(page):
    browser = client(page, Role.ENGINEER)
    own = {"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}
    assert browser.post(CHANGED, json={"a": 1}, headers=own).status_code == 200
    with browser.websocket_connect("/api/ws", headers=own) as socket:
        assert socket.receive_json() == {"name": "engineer"}


@pytest.mark.parametrize("role", [Role.ANYONE, Role.OPERATOR, Role.ADMIN])
def test_who_may_not_use_a_route_is_refused_before_the_body_is_read(page, role):
    read = []

    def parts():
        for _ in range(3):
            read.append(1)
            yield b"x" * 1000

    refused = client(page, role).post("/api/files", content=parts(), headers={"Content-Type": "multipart/form-data"})
    assert refused.status_code in (401, 403)
    assert refused.json()["error"]["text"].startswith(("Log in", "This needs the role engineer"))


def test_a_route_that_names_no_role_is_refused_when_the_page_starts(page, router):
    @router.get("/forgotten")
    async def forgotten():
        return {}

    with pytest.raises(RuntimeError, match="/api/forgotten does not name who may use it"):
        create_app(page)


def test_what_is_no_route_of_fastapi_is_refused_too(page, router):
    router.routes.append(Route("/api/other", lambda request: None))
    with pytest.raises(RuntimeError, match="cannot name who may use it"):
        create_app(page)


def test_the_cookie_of_a_station_at_another_port_is_another_one(page):
    browser = client(page, Role.OPERATOR)
    assert browser.get("/api/seen/line").status_code == 200
    assert browser.get("http://127.0.0.1:8081/api/seen/line").status_code == 401


def test_a_session_of_plain_http_is_none_for_tls(page):
    browser = client(page, Role.OPERATOR)
    assert browser.get("https://127.0.0.1:8080/api/seen/line").status_code == 401
