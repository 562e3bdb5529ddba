"""Logging in and out, one's own password, and users as an admin sees them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edgekd.station import page as package
from edgekd.station.configuration import PageConfiguration
from edgekd.station.error_codes import ErrorCode
from edgekd.station.page.app import STATIC
from edgekd.station.page.limits import FREE_TRIES
from edgekd.station.page.link import RefusedError
from edgekd.station.page.roles import Role, User

from .scripts import computed_in, needs_node
from .stage import PASSWORD, client, make_page

PIN = "274951"


@pytest.fixture
def page(tmp_path):
    page = make_page(tmp_path)
    page.users.add("anna", Role.OPERATOR, PIN)
    return page


def login(browser, name="anna", password=PIN):
    return browser.post("/api/login", json={"name": name, "password": password})


def audited(page):
    return [
        (user.name, entry["action"], entry["subject"], entry["old"], entry["new"])
        for _, method, user, entry in page.link.asked
        if method == "audit"
    ]


def test_somebody_logs_in_is_known_and_logs_out(page):
    browser = client(page)
    assert browser.get("/api/session").json() == {
        "name": "",
        "role": "anyone",
        "csrf": "",
        "idle_minutes": 15,
        "setup_needed": False,
    }
    answer = login(browser, "ANNA")
    session = browser.get("/api/session").json()
    assert answer.json() == session
    assert (session["name"], session["role"]) == ("anna", "operator")
    assert browser.post("/api/logout").status_code == 403  # Without the token.
    assert browser.post("/api/logout", headers={"X-CSRF-Token": session["csrf"]}).json()["name"] == ""
    assert browser.get("/api/session").json()["name"] == ""
    assert browser.post("/api/logout").status_code == 200  # Of nobody.
    assert audited(page) == [("anna", "log in", "anna", "", "")]
    assert page.link.asked[0][2] == User("anna", Role.OPERATOR, "127.0.0.1")


def test_the_cookie_is_for_this_page_alone(page):
    cookie = login(client(page)).headers["set-cookie"]
    assert cookie.startswith("edgekd-8080=")
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/"))
    assert not any(word in cookie for word in ("Secure", "Max-Age", "expires", "Domain"))
    browser = client(page)
    browser.base_url = "https://127.0.0.1:8080"
    cookie = login(browser).headers["set-cookie"]
    assert cookie.startswith("__Host-edgekd-8080=")
    assert "Secure" in cookie
    assert browser.get("/api/session").json()["name"] == "anna"


def test_each_login_has_a_session_of_its_own_and_ends_the_one_before(page):
    browser = client(page)
    login(browser)
    first = browser.cookies["edgekd-8080"]
    login(browser)
    assert browser.cookies["edgekd-8080"] != first
    assert page.sessions.find(first, active=True) is None


def test_before_there_is_a_user_the_page_says_how_to_make_one(tmp_path):
    assert client(make_page(tmp_path)).get("/api/session").json()["setup_needed"] is True


@pytest.mark.parametrize(
    ("name", "password"), [("anna", "274950"), ("nobody", PIN), ("", ""), ("anna' OR 1=1 --", "x"), ("\x00", "\x00")]
)
def test_wrong_names_and_passwords_are_refused_alike(page, name, password):
    answer = login(client(page), name, password)
    assert (answer.status_code, answer.json()["error"]["text"]) == (401, "Name or password is wrong.")
    assert "set-cookie" not in answer.headers


def test_somebody_who_is_disabled_is_refused_alike(page):
    page.users.change("anna", disabled=True)
    assert login(client(page)).json()["error"]["text"] == "Name or password is wrong."


def test_brute_force_waits_and_is_on_record(page):
    browser = client(page)
    for _ in range(FREE_TRIES):
        assert login(browser, password="000001").status_code == 401
    refused = login(browser)  # With the right one.
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 5
    assert "Too many wrong passwords: try again in" in refused.json()["error"]["text"]
    assert audited(page) == [("", "refuse login", "anna", "", "5 wrong passwords")]


def test_a_login_is_not_held_up_by_a_record_that_cannot_be_written(page, caplog):
    for error in (RefusedError(ErrorCode.ROW_NOT_WRITTEN, "Check the disk."), TimeoutError()):
        page.link.answers["audit"] = error
        assert login(client(page)).status_code == 200
    assert caplog.text.count("not in the audit trail: log in anna by anna") == 2


def test_idle_minutes_end_a_session_whatever_the_page_asks_by_itself(tmp_path):
    page = make_page(tmp_path, configuration=PageConfiguration(idle_minutes=1))
    now = [0.0]
    page.sessions._clock = lambda: now[0]
    browser = client(page, Role.OPERATOR)
    for headers, name in (
        ({"X-Active": "1"}, "operator"),
        ({"Sec-Fetch-Mode": "navigate"}, "operator"),
        ({}, "operator"),
        ({}, ""),
    ):
        now[0] += 40
        assert browser.get("/api/session", headers=headers).json()["name"] == name


def test_one_changes_ones_own_password_and_other_browsers_are_logged_out(page):
    browser, other = client(page), client(page)
    headers = {"X-CSRF-Token": login(browser).json()["csrf"]}
    login(other)

    def change(old, new):
        return browser.post("/api/password", json={"old": old, "new": new}, headers=headers)

    assert change("274950", "851402").status_code == 401
    refused = change(PIN, "123456")
    assert (refused.status_code, refused.json()["error"]["text"]) == (
        422,
        "the PIN must not be one digit repeated, or a row of digits",
    )
    assert change(PIN, "851402").json()["name"] == "anna"
    assert browser.get("/api/session").json()["name"] == "anna"
    assert other.get("/api/session").json()["name"] == ""
    assert login(client(page), password="851402").status_code == 200
    assert ("anna", "change password", "anna", "", "") in audited(page)
    assert client(page).post("/api/password", json={"old": PIN, "new": PIN}).status_code == 401


def test_an_admin_adds_changes_and_removes_users_and_all_of_it_is_on_record(page):
    admin = client(page, Role.ADMIN)
    added = admin.post("/api/users", json={"name": "bob", "role": "engineer", "password": PASSWORD})
    assert (added.status_code, added.json()["name"], added.json()["role"]) == (201, "bob", "engineer")
    changed = admin.patch("/api/users/BOB", json={"role": "supervisor", "disabled": True, "password": PASSWORD + "!"})
    assert (changed.json()["role"], changed.json()["disabled"]) == ("supervisor", True)
    assert admin.patch("/api/users/bob", json={"disabled": False}).json()["disabled"] is False
    listed = admin.get("/api/users").json()["users"]
    assert [(each["name"], each["role"]) for each in listed] == [
        ("admin", "admin"),
        ("anna", "operator"),
        ("bob", "supervisor"),
    ]
    assert "hash" not in admin.get("/api/users").text
    assert admin.delete("/api/users/bob").json() == {}
    assert admin.delete("/api/users/bob").status_code == 404
    assert audited(page) == [
        ("admin", "add user", "bob", "", "engineer"),
        ("admin", "change user", "bob", "engineer, enabled", "supervisor, disabled, new password"),
        ("admin", "change user", "bob", "supervisor, disabled", "enabled"),
        ("admin", "remove user", "bob", "supervisor", ""),
    ]


def test_what_cannot_be_done_with_users_is_refused_and_not_on_record(page):
    admin = client(page, Role.ADMIN)
    for method, path, body, code in (
        ("POST", "", {"name": "anna", "role": "engineer", "password": PASSWORD}, 422),
        ("POST", "", {"name": "bob", "role": "engineer", "password": PIN}, 422),
        ("POST", "", {"name": "bob", "role": "anyone", "password": PASSWORD}, 422),
        ("POST", "", {"name": "../bob", "role": "engineer", "password": PASSWORD}, 422),
        ("PATCH", "/anna", {"role": "engineer"}, 422),
        ("PATCH", "/bob", {"disabled": True}, 404),
        ("PATCH", "/admin", {"disabled": True}, 409),
        ("PATCH", "/admin", {"role": "engineer"}, 409),
        ("DELETE", "/admin", None, 409),
    ):
        assert admin.request(method, f"/api/users{path}", json=body).status_code == code
    assert audited(page) == []


def test_a_change_of_users_that_cannot_be_put_on_record_is_not_made(page):
    admin = client(page, Role.ADMIN)
    page.link.answers["audit"] = TimeoutError()
    assert admin.post("/api/users", json={"name": "bob", "role": "operator", "password": PIN}).status_code == 503
    assert admin.patch("/api/users/anna", json={"disabled": True}).status_code == 503
    assert admin.delete("/api/users/anna").status_code == 503
    assert [(each.name, each.disabled) for each in page.users.all()] == [("admin", False), ("anna", False)]


def test_a_user_who_goes_while_the_change_is_put_on_record_is_404(page):
    admin = client(page, Role.ADMIN)

    def gone(*_, **__):
        page.users.remove("anna")
        return {}

    page.link.answers["audit"] = gone
    assert admin.patch("/api/users/anna", json={"disabled": True}).status_code == 404


def test_every_refusal_has_its_text_in_every_language():
    source = "".join(path.read_text() for path in Path(package.__path__[0]).rglob("*.py"))
    keys = set(re.findall(r'(?:Refusal|PasswordError)\([^"]*(?:"[^"]*", )?"(\w+)"', source)) | {"name_taken"}
    keys |= {f"needs_{role.value}" for role in Role}
    assert len(keys) > 15
    for language in ("en", "de"):
        texts = json.loads((STATIC / "texts" / f"{language}.json").read_text())
        assert keys - {"needs_anyone"} == set(texts["users"]["error"])


# A browser in whose other tab somebody logged in after this one had asked who is there; what was sent is answered with.
OTHER_TAB = """(async () => {
    const sessions = [{name: "ann", role: "engineer", csrf: "old"}, {name: then, role: "engineer", csrf: "new"}];
    const sent = [];
    globalThis.fetch = async (path, {headers}) => {
        if (path === "/api/session") return {ok: true, json: async () => sessions.shift()};
        sent.push(headers["X-CSRF-Token"]);
        const ok = headers["X-CSRF-Token"] === "new";
        return {ok, status: ok ? 200 : 403, json: async () => (ok ? {} : {error: {code: 403, text: "token"}})};
    };
    await script.refreshSession();
    await script.send("POST", "/api/release", {}).catch(() => null);
    return sent;
})()"""


@needs_node
@pytest.mark.parametrize(("then", "sent"), [("ann", ["old", "new"]), ("bob", ["old"])])
def test_what_one_person_sends_is_not_repeated_as_somebody_elses(then, sent):
    assert computed_in("en", "lib/api.js", OTHER_TAB, then=then) == sent
