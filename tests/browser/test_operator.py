"""The operator's page of a station that runs, in a browser: the short part, which `make test` runs too."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from edgekd.station.page.roles import Role

from . import checks
from .browsing import opened
from .people import BY_ROLE, log_in, logged_in

PAGE_PROCESS = "edgekd.station.page.process"


@pytest.fixture
def page(browser, line) -> Iterator[Page]:
    with opened(browser, line.origin) as watched:
        watched.page.goto("/")
        yield watched.page


def verdict(page: Page):
    return page.get_by_role("region", name="Last part", exact=True)


def test_each_verdict_is_seen_by_word_and_told_to_screen_readers(page, line):
    told = verdict(page).get_by_role("status")
    for part, word in (({}, "OK"), ({"defective": True}, "NG"), ({"dark": True}, "ERROR")):
        result = line.part(**part)
        expect(told).to_have_text(re.compile(rf"^{word}\s.*\bS-{result.part.part_id}\b"))
    expect(verdict(page)).to_contain_text("The image is too dark.")
    strip = page.get_by_role("region", name="Last parts").get_by_role("button")
    expect(strip.first).to_have_accessible_name(re.compile(rf"S-{line.number}, ERROR"))
    expect(strip).to_have_count(line.number)


def test_a_part_is_opened_and_reviewed_by_keyboard_alone_by_whoever_logs_in(page, line):
    result = line.part(defective=True)
    part = page.get_by_role("button", name=re.compile(rf"S-{result.part.part_id}, NG"))
    part.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=re.compile(f"S-{result.part.part_id}"))
    expect(dialog.get_by_role("img").first).to_be_visible()
    dialog.get_by_label("Note").focus()
    page.keyboard.type("a <b>scratch</b>")
    while not dialog.get_by_role("button", name="Really good").evaluate(
        "element => element === document.activeElement"
    ):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    log_in(page, Role.OPERATOR)
    expect(dialog.get_by_text("a <b>scratch</b>")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(part).to_be_focused()
    reviews = line.station.rows("SELECT who, label, note FROM review WHERE verdict_id = ?", result.result_id)
    assert reviews == [(BY_ROLE[Role.OPERATOR], "good", "a <b>scratch</b>")]


def test_a_page_that_hears_nothing_says_so_and_never_leaves_an_ok_standing(page, line):
    line.part()
    expect(verdict(page)).to_contain_text("OK")
    silent = line.station.child(PAGE_PROCESS)
    os.kill(silent, signal.SIGSTOP)
    try:
        expect(verdict(page)).to_contain_text("NO LINK", timeout=8000)
        expect(verdict(page)).not_to_contain_text("OK")
        assert checks.contrast(page) == []
        line.part()  # The line does not wait for anybody's page.
    finally:
        os.kill(silent, signal.SIGCONT)
    expect(verdict(page)).to_contain_text(re.compile(rf"OK[\s\S]*S-{line.number}"))


def test_the_page_looks_as_it_should(page, line):
    line.part(defective=True)
    expect(page.get_by_role("region", name="Image").get_by_role("img")).to_be_visible()
    wrong = [
        *checks.overflow(page),
        *checks.small_targets(page),
        *checks.contrast(page),
        *checks.names(page),
        *checks.structure(page, "en"),
        *checks.keyboard(page),
    ]
    assert wrong == []


def test_the_way_to_the_content_leaves_the_address_as_it_is(page, line):
    page.goto("/#line")
    page.get_by_role("link", name="To the content").press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    assert page.url.endswith("/#line")  # By which the page knows its station.


def test_a_mistyped_old_password_is_told_where_it_was_typed(page, line):
    logged_in(page, Role.OPERATOR)
    page.reload()
    page.get_by_role("button", name=BY_ROLE[Role.OPERATOR]).click()
    page.get_by_role("button", name="Change password").click()
    dialog = page.get_by_role("dialog", name="Change password")
    dialog.get_by_label("Password or PIN until now").fill("no such PIN")
    dialog.get_by_label("New password or PIN").fill("860413")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("password is wrong")
    expect(page.get_by_role("dialog", name="Log in")).to_be_hidden()


def test_a_name_that_is_taken_is_told_at_the_name_and_a_simple_password_at_the_password(browser, line):
    with opened(browser, line.origin) as watched:
        watched.expected.add("422 /api/users")
        page = watched.page
        page.goto("/users")
        logged_in(page, Role.ADMIN)
        page.reload()
        page.get_by_role("button", name="Add user").click()
        dialog = page.get_by_role("dialog", name="Add user")
        name, password = dialog.get_by_label("Name"), dialog.get_by_label("Password or PIN")
        for typed, wrong in ((BY_ROLE[Role.OPERATOR], name), ("otto", password)):
            name.fill(typed)
            password.fill("86041357" if wrong is name else "1")
            dialog.get_by_role("button", name="Save").click()
            expect(wrong).to_have_attribute("aria-invalid", "true")
            expect(dialog.get_by_role("alert")).to_have_count(1)


def test_only_who_may_is_offered_to_take_the_station_online(browser, line):
    with opened(browser, line.origin) as operating, opened(browser, line.origin) as supervising:
        for watched, role in ((operating, Role.OPERATOR), (supervising, Role.SUPERVISOR)):
            watched.page.goto("/users")
            logged_in(watched.page, role)
            watched.page.goto("/")
        supervising.page.get_by_role("button", name="Station", exact=True).click()
        supervising.page.get_by_role("button", name="Go offline").click()
        offline, online = (
            watched.page.get_by_role("region", name="What to do") for watched in (operating, supervising)
        )
        expect(offline).to_contain_text("The station is offline.")
        expect(offline.get_by_role("button")).to_have_count(0)
        online.get_by_role("button", name="Go online").click()
        expect(offline).not_to_contain_text("OFFLINE")


def test_what_people_did_is_in_the_audit_trail_with_their_names(line):
    told = line.station.rows("SELECT DISTINCT role, address FROM audit WHERE who = ?", BY_ROLE[Role.OPERATOR])
    assert told == [("operator", "page 127.0.0.1")]


def test_an_address_that_is_no_code_shows_the_first_station(browser, line):
    with opened(browser, line.origin) as watched:
        watched.page.goto("/#100%")
        expect(verdict(watched.page)).to_be_visible()
