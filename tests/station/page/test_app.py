"""How errors are answered, which files are served, and what every answer carries."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends
from pydantic import BaseModel, field_validator

from edgekd.errors import EdgekdError, MachineError
from edgekd.station.configuration import PageConfiguration
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.page import app as application
from edgekd.station.page.app import STATIC
from edgekd.station.page.guard import needs
from edgekd.station.page.link import RefusedError
from edgekd.station.page.roles import Role, User

from .stage import client, make_page

Anybody = Annotated[User, Depends(needs(Role.ANYONE))]


class Wanted(BaseModel):
    count: int = 0

    @field_validator("count")
    @classmethod
    def _even(cls, value):
        if value % 2:
            raise ValueError("must be even")
        return value


@pytest.fixture
def page(tmp_path):
    return make_page(tmp_path)


@pytest.fixture
def raised(page, monkeypatch):
    """A route that fails with what it is given, and the browser that asks for it."""
    raising = []
    router = APIRouter(prefix="/api")

    @router.get("/fail")
    async def fail(user: Anybody):
        raise raising[0]

    @router.put("/wanted")
    async def wanted(body: Wanted, user: Anybody):
        return body

    monkeypatch.setattr(application, "routers", lambda: iter([router]))
    browser = client(page, errors=False)

    def failed(error):
        raising[:] = [error]
        return browser.get("/api/fail")

    failed.browser = browser
    return failed


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (RefusedError(ErrorCode.JOB_UNKNOWN, "There is no such job."), 409, "There is no such job."),
        (StationError(ErrorCode.LOADING_FAILED, "it is damaged"), 409, "it is damaged"),
        (EdgekdError("too\nmany\twords"), 422, "too many words"),
        (MachineError("the disk is full"), 503, "the disk is full"),
        (TimeoutError(), 503, "The station does not answer: wait a moment and try again."),
        (asyncio.TimeoutError(), 503, "The station does not answer: wait a moment and try again."),
        (ZeroDivisionError("secret detail"), 500, "The page failed at this: see the station's log, and report it."),
    ],
)
def test_an_error_is_one_line_with_its_status(raised, error, code, text):
    answer = raised(error)
    assert answer.status_code == code
    assert (answer.json()["error"]["code"], answer.json()["error"]["text"]) == (code, text)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "secret" not in answer.text


def test_a_refusal_of_control_has_its_code(raised):
    assert raised(RefusedError(ErrorCode.JOB_UNKNOWN, "no")).json()["error"]["station_code"] == 501


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"count": "many"}', "count: Input should be a valid integer, unable to parse string as an integer"),
        (b'{"count": 3}', "count: must be even"),
        (b"", "Field required"),
    ],
)
def test_wrong_input_names_the_field(raised, body, text):
    answer = raised.browser.put("/api/wanted", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["text"]) == (422, text)


@pytest.mark.parametrize("body", [b"{", b'{"count": NaN}', b"\xff\xfe", b"[" * 200_000, b'{"count": "\\ud800"}'])
def test_json_that_is_none_is_wrong_input(raised, body):
    answer = raised.browser.put("/api/wanted", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert "\n" not in answer.json()["error"]["text"]


def test_every_answer_carries_what_protects_browsers(page):
    browser = client(page)
    for path in ("/api/session", "/static/base.css", "/api/nothing"):
        headers = browser.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
    assert browser.get("/api/session").headers["cache-control"] == "no-store"
    assert browser.get("/static/base.css").headers["cache-control"] == "no-cache"


def test_nothing_but_the_page_may_read_its_answers(page):
    answer = client(page).get("/api/session", headers={"Origin": "https://evil.example"})
    assert not any(name.startswith("access-control-") for name in answer.headers)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/lib/%2e%2e/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/%2fetc/passwd",
        "/static/..%5capp.py",
        "/static/lib%00.js",
        "/static/" + "a" * 5000,
        "/static/lib",
        "/static/",
    ],
)
def test_no_file_but_the_front_ends_is_served(page, path):
    answer = client(page).get(path)
    assert answer.status_code in (404, 405)
    assert "create_app" not in answer.text
    assert "root:" not in answer.text


def test_files_of_the_front_end_are_served_with_their_types(page):
    browser = client(page)
    for path in STATIC.rglob("*"):
        if path.is_file():
            answer = browser.get(f"/static/{path.relative_to(STATIC).as_posix()}")
            assert answer.content == path.read_bytes()
            if path.suffix == ".js":
                assert answer.headers["content-type"].startswith("text/javascript")


def test_the_schema_is_not_served(page):
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert client(page).get(path).status_code == 404


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost:1", "LOCALHOST", "[::1]:8080", "192.168.3.4", "line-3.plant:9"]
)
def test_the_page_is_reached_by_addresses_and_by_its_names(tmp_path, host):
    page = make_page(tmp_path, configuration=PageConfiguration(names=("Line-3.plant",)))
    assert client(page).get("/api/session", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "localhost.evil:80", "a@b@c"])
def test_by_a_name_that_somebody_else_made_up_it_is_not(page, host):
    answer = client(page).get("/api/session", headers={"Host": host})
    assert answer.status_code == 421
    assert json.loads(answer.content)["error"]["code"] == 421
