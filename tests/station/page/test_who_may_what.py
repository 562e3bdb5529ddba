"""Every route of the page and the least role that may use it, tried with every role."""

from __future__ import annotations

import re

import pytest

from edgekd.station.error_codes import ErrorCode
from edgekd.station.page.app import PAGES, routers
from edgekd.station.page.guard import needed
from edgekd.station.page.link import RefusedError
from edgekd.station.page.roles import Role, may

from .stage import client, make_page

# A new route stands here too, so that somebody has thought of who may use it.
ROUTES = {
    Role.ANYONE: """
        WS /ws
        GET /healthz
        GET /readyz
        GET /metrics
        GET /api/state
        GET /api/stations/{station}/live/{acquisition_id}/{kind}
        GET /api/results/{result_id}
        GET /api/results/{result_id}/images/{kind}
        GET /api/recipes/released
        GET /api/session
        POST /api/login
        POST /api/logout
        POST /api/password
    """,
    Role.OPERATOR: """
        POST /api/stations/{station}/alarms/{code}/acknowledge
        POST /api/stations/{station}/acknowledge-error
        POST /api/stations/{station}/self-test
        POST /api/stations/{station}/master-test
        POST /api/stations/{station}/job
        POST /api/results/{result_id}/reviews
    """,
    Role.SUPERVISOR: """
        POST /api/stations/{station}/online
        POST /api/stations/{station}/counters/reset
        GET /api/results
        GET /api/export
        GET /api/export/size
        GET /api/trends
        GET /api/timings
        GET /api/audit
        GET /api/health
    """,
    Role.ENGINEER: """
        POST /api/stations/{station}/release
        POST /api/stations/{station}/simulate
        GET /api/recipes
        GET /api/recipes/{recipe}/{revision}
        PUT /api/recipes/{recipe}/{revision}
        DELETE /api/recipes/{recipe}/{revision}
        GET /api/recipes/{recipe}/{revision}/references/{number}
        GET /api/recipes/{recipe}/{revision}/compare/{other_revision}
        POST /api/recipes/{recipe}/revisions
        POST /api/recipes/{recipe}/{revision}/release
        POST /api/recipes/{recipe}/{revision}/retire
        POST /api/recipes/{recipe}/{revision}/bring-back
        GET /api/recipes/{recipe}/{revision}/threshold
        POST /api/recipes/{recipe}/{revision}/threshold/try
        POST /api/stations/{station}/snap
        GET /api/snaps/{snap_id}
        GET /api/teach
        POST /api/teach
        GET /api/teach/{project}
        PATCH /api/teach/{project}
        DELETE /api/teach/{project}
        POST /api/teach/{project}/collect
        POST /api/teach/{project}/uploads
        POST /api/teach/{project}/folder
        POST /api/teach/{project}/reviewed
        GET /api/teach/{project}/images
        GET /api/teach/{project}/images/{image_id}/{kind}
        PATCH /api/teach/{project}/images/{image_id}
        DELETE /api/teach/{project}/images/{image_id}
        POST /api/teach/{project}/view
        POST /api/teach/{project}/train
        POST /api/teach/{project}/stop
        POST /api/teach/{project}/threshold
        POST /api/teach/{project}/try
        POST /api/teach/{project}/recipe
        POST /api/teach/{project}/compare
        POST /api/teach/{project}/release
        GET /api/teach/{project}/progress
        GET /api/teach/{project}/result
        GET /api/teach/{project}/tries/{image_id}
        GET /api/teach/{project}/comparison
    """,
    Role.ADMIN: """
        GET /api/users
        POST /api/users
        PATCH /api/users/{name}
        DELETE /api/users/{name}
    """,
}
TABLE = {tuple(line.split()): role for role, lines in ROUTES.items() for line in lines.strip().splitlines()}
VALUES = {"revision": "1", "other_revision": "1", "number": "0", "result_id": "1", "acquisition_id": "1", "code": "702"}


def found():
    return {
        (method, route.path): needed(route)
        for router in routers()
        for route in router.routes
        for method in getattr(route, "methods", None) or {"WS"}
    }


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    made = make_page(tmp_path_factory.mktemp("page"))
    made.link.answers["snap"] = RefusedError(ErrorCode.CAMERA_LOST, "The camera does not answer.")
    return made


def test_the_table_holds_every_route_with_its_role():
    assert found() == TABLE


def test_what_changes_something_needs_a_name_but_for_logging_in_and_out():
    changing = {path for (method, path), role in TABLE.items() if role is Role.ANYONE and method not in ("GET", "WS")}
    assert changing == {"/api/login", "/api/logout", "/api/password"}


@pytest.mark.parametrize("role", Role)
def test_a_role_may_use_what_the_table_says_and_nothing_else(page, role):
    browser = client(page, role, errors=False)
    session = browser.cookies.get("edgekd-8080"), browser.headers.get("X-CSRF-Token")
    for (method, path), least in TABLE.items():
        if method == "WS":
            continue
        if path == "/api/logout" and role is not Role.ANYONE:
            continue  # Who logs out is nobody afterwards.
        page.link.asked.clear()
        address = re.sub(r"{(\w+)}", lambda found: VALUES.get(found[1], "line"), path)
        answer = browser.request(method, address, **({} if method == "GET" else {"json": {}}))
        told = f"{method} {path} as {role.value}: {answer.status_code} {answer.text[:200]}"
        assert answer.status_code < 500 or answer.status_code == 503, told
        if may(role, least):
            assert answer.status_code not in (401, 403) or path == "/api/password", told
        else:
            assert answer.status_code == (401 if role is Role.ANYONE else 403), told
            assert page.link.asked == [], told
    assert session == (browser.cookies.get("edgekd-8080"), browser.headers.get("X-CSRF-Token"))


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.SUPERVISOR, Role.ENGINEER, Role.ADMIN])
def test_without_its_token_a_session_changes_nothing(page, role):
    browser = client(page, role)
    del browser.headers["X-CSRF-Token"]
    for method, path in TABLE:
        if method not in ("GET", "WS") and path != "/api/login":
            address = re.sub(r"{(\w+)}", lambda found: VALUES.get(found[1], "line"), path)
            assert browser.request(method, address, json={}).status_code == 403, path


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_themselves_hold_nothing_secret_and_are_for_all(page, path):
    answer = client(page).get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
