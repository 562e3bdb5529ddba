"""Who may use which route: the table that the routes themselves name, and what a request must carry."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import APIRouter, Depends

from edgekd.station.page import app as application
from edgekd.station.page.guard import needs
from edgekd.station.page.names import station_of
from edgekd.station.page.roles import Role, User

from .stage import client, make_page


@pytest.fixture
def page(tmp_path):
    return make_page(tmp_path)


@pytest.fixture(autouse=True)
def routes(monkeypatch):
    router = APIRouter(prefix="/api")

    @router.get("/seen/{station}")
    async def seen(station: Annotated[str, Depends(station_of)], user: Annotated[User, Depends(needs(Role.OPERATOR))]):
        return {"station": station, "name": user.name, "address": user.address}

    @router.post("/changed")
    async def changed(body: dict[str, int], user: Annotated[User, Depends(needs(Role.ENGINEER))]):
        return body

    monkeypatch.setattr(application, "routers", lambda: iter([router]))


def test_a_route_gets_the_user_who_is_logged_in(page):
    answer = client(page, Role.SUPERVISOR).get("/api/seen/line")
    assert answer.json() == {"station": "line", "name": "supervisor", "address": "127.0.0.1"}


def test_nobody_is_refused_with_401_and_another_role_with_403(page):
    refused = client(page).get("/api/seen/line")
    assert (refused.status_code, refused.json()) == (401, {"error": {"code": 401, "text": "Log in to do this."}})
    assert client(page, Role.ADMIN).get("/api/seen/line").status_code == 403
    assert client(page, Role.OPERATOR).post("/api/changed", json={}).status_code == 403


def test_a_name_that_is_not_there_is_404(page):
    assert client(page, Role.OPERATOR).get("/api/seen/other").status_code == 404
