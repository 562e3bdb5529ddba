"""Requests that nobody thought of, made from the page's own schema: none may make it fail."""

from __future__ import annotations

import re

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from starlette.responses import JSONResponse

from edgekd.station.error_codes import ErrorCode
from edgekd.station.page.link import RefusedError
from edgekd.station.page.roles import Role

from ...engines.hand_made import graph, save
from ..recipe_folders import write_draft
from .stage import ADDRESS, app_of, make_page, password_of

SCHEMA = "/openapi.json"
# Names of what is there: with others most requests end at 404.
THERE = {"station": "line", "recipe": "bolt", "revision": 1, "other_revision": 1, "project": "bolt"}
HEALTH = [HealthCheck.filter_too_much, HealthCheck.too_slow]
FEW = settings(max_examples=2, deadline=None, derandomize=True, database=None, suppress_health_check=HEALTH)
MANY = settings(FEW, max_examples=30)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    made = make_page(folder)
    made.link.answers["snap"] = RefusedError(ErrorCode.CAMERA_LOST, "The camera does not answer.")
    image = folder / "ok.png"
    image.write_bytes(b"no image")
    write_draft(made.recipes, save(graph(), folder, 120.0), image)
    described = app_of(made).openapi()

    async def schema(request):
        return JSONResponse(described)

    app_of(made).router.add_route(SCHEMA, schema)
    return made


def session_of(page, role):
    """Headers and cookies of somebody who has just logged in, whatever was done to the user before."""
    account = page.users.find(role.value)
    if account is None or account.disabled or account.role is not role:
        page.users.add(f"spare-{role.value}", role, password_of(role))
        if account is not None:
            page.users.remove(role.value)
        page.users.add(role.value, role, password_of(role))
        page.users.remove(f"spare-{role.value}")
    token, session = page.sessions.open(page.users.find(role.value))
    return {"Host": ADDRESS, "X-CSRF-Token": session.csrf}, {f"edgekd-{port}": token for port in (80, 8080)}


def check(case, page, role):
    """Sends a request as it was made up, and again about what is there."""
    made_up = dict(case.path_parameters or {})
    for values in (made_up, {**made_up, **{name: THERE[name] for name in made_up if name in THERE}}):
        if "bolt" not in page.projects.names():
            page.projects.create("bolt", "line", "M4", 3, "erik")
        headers, cookies = session_of(page, role)
        case.path_parameters = values
        answer = case.call(headers=headers, cookies=cookies)
        told = f"{case.as_curl_command()}\n{answer.status_code} {answer.content[:500]!r}"
        assert answer.status_code < 500 or answer.status_code == 503, told
        assert answer.status_code not in (401, 421) or "/login" in case.path or "/password" in case.path, told
        if answer.status_code >= 400 and case.path != "/readyz":
            error = answer.json()["error"]
            assert (error["code"], "\n" in error["text"], bool(error["text"])) == (answer.status_code, False, True), (
                told
            )


def send_made_up(page, which, role, how):
    """Sends made-up requests to all operations whose path matches a pattern."""
    schema = schemathesis.openapi.from_asgi(SCHEMA, app_of(page), headers={"Host": ADDRESS})
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if re.match(which, operation.path):
            given(case=operation.as_strategy())(how(lambda case: check(case, page, role)))()
            tried += 1
    return tried


def test_no_request_makes_the_page_fail(page):
    assert send_made_up(page, "(?!/api/users)", Role.ENGINEER, FEW) > 50


def test_no_request_about_users_makes_the_page_fail(page):
    assert send_made_up(page, "/api/users", Role.ADMIN, FEW) == 4


@pytest.mark.slow
def test_none_of_many_requests_makes_the_page_fail(page):
    send_made_up(page, "(?!/api/users)", Role.ENGINEER, MANY)
    send_made_up(page, "/api/users", Role.ADMIN, MANY)
