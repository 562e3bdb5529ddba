"""A shift at a line in a browser: change-over, master parts, a blocked station, a line that is to stop, simulation."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

from edgekd.result import Verdict
from edgekd.station.page.roles import Role

from ..station.whole.numbered import released_recipe
from .browsing import opened
from .people import BY_ROLE, log_in, logged_in
from .stage import PageStation

pytestmark = pytest.mark.browser
MASTER_PARTS = [["good part", "OK"], ["scratch", "NG"]]
REASON = "the bad master part is lost; a new one comes tomorrow"


@pytest.fixture(scope="module")
def shift(browser, tmp_path_factory):
    """A line that makes the part of job 1; that of job 2 has master parts, and stops the line after two NG."""
    recipes = tmp_path_factory.mktemp("shift") / "recipes"
    released_recipe(recipes, 1)
    released_recipe(recipes, 2, self_tests={"master_parts": MASTER_PARTS}, stop={"ng_in_a_row": 2})
    with PageStation(tmp_path_factory.mktemp("line"), recipes).running() as station:
        station.connect()
        yield station


@pytest.fixture
def page(browser, shift):
    with opened(browser, shift.origin) as watched:
        watched.page.goto("/")
        yield watched.page


def expect_state(page: Page, state: str) -> None:
    expect(page.get_by_role("region", name="What to do")).to_contain_text(state)


def start_master_test(page: Page) -> None:
    page.get_by_role("region", name="Self-test").get_by_role("button", name="Master parts").click()
    page.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()


def test_an_operator_changes_over_by_the_number_of_the_job_and_lets_the_master_parts_pass(page, shift):
    page.get_by_role("button", name="Change recipe").click()
    dialog = page.get_by_role("dialog", name="Change recipe")
    expect(dialog.locator("label").filter(has_text="loaded")).to_contain_text("part1 · 1")
    dialog.get_by_label("Recipe, product or job").fill("2")  # As a code reader types it,
    page.keyboard.press("Enter")
    log_in(page, Role.OPERATOR)
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("region", name="What is inspected")).to_contain_text("part2 · 1")
    expect_state(page, "READY")  # It has tested itself.

    expect_state(page, "A master-part test is due.")
    page.get_by_role("region", name="What to do").get_by_role("button", name="Master parts").click()
    expect_state(page, "Let the master parts pass in their order.")
    assert shift.part().verdict is Verdict.OK
    expect(page.get_by_role("region", name="Last part", exact=True)).to_contain_text("MASTER PART")
    assert shift.part(defective=True).verdict is Verdict.NG
    expect(page.get_by_role("region", name="Self-test")).to_contain_text(re.compile("passed.*Master parts", re.DOTALL))
    expect_state(page, "READY")


def test_a_master_part_that_is_missed_blocks_until_an_engineer_gives_a_reason(page, shift):
    page.goto("/users")
    logged_in(page, Role.OPERATOR)
    page.goto("/")
    start_master_test(page)
    shift.part()
    shift.part()  # The bad part was forgotten.
    expect_state(page, "BLOCKED")
    what_to_do = page.get_by_role("region", name="What to do")
    expect(what_to_do.get_by_role("button", name="Master parts")).to_be_visible()
    expect(page.get_by_role("button", name="Release in spite of it")).to_be_hidden()  # For engineers.

    logged_in(page, Role.ENGINEER)
    page.reload()
    page.get_by_role("button", name="Release in spite of it").click()
    dialog = page.get_by_role("dialog", name="Release in spite of it")
    dialog.get_by_label("Reason").fill(REASON)
    dialog.get_by_role("button", name="Release in spite of it").click()
    expect(dialog).to_be_hidden()
    expect_state(page, "READY")
    assert shift.part().verdict is Verdict.OK


def test_a_line_that_is_to_stop_is_acknowledged(page, shift):
    page.goto("/users")
    logged_in(page, Role.OPERATOR)
    page.goto("/")
    for _ in range(2):
        shift.part(defective=True)
    expect_state(page, "Too many parts are rejected.")
    page.get_by_role("region", name="What to do").get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("region", name="Alarms")).not_to_contain_text("Too many parts are rejected.")
    shift.part()
    expect_state(page, "READY")


def test_what_is_simulated_looks_so_and_is_no_ok_for_the_plc(page, shift):
    page.goto("/users")
    logged_in(page, Role.ENGINEER)
    page.goto("/")
    manage = page.get_by_role("region", name="Connections").get_by_role("button", name="Station")
    manage.click()
    held: list[tuple[Route, APIResponse]] = []
    page.route("**/simulate", lambda route: held.append((route, route.fetch())))
    page.get_by_role("button", name="Start simulation").click()
    page.get_by_role("button", name="End simulation").click()  # A double press: the first one is not answered yet.
    ((route, answer),) = held
    route.fulfill(response=answer)
    page.unroute("**/simulate")
    expect(page.get_by_role("dialog")).to_be_hidden()
    verdict = page.get_by_role("region", name="Last part", exact=True)
    expect(verdict).to_contain_text("SIMULATED")
    assert shift.part().verdict is not Verdict.OK
    manage.click()
    page.get_by_role("button", name="End simulation").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert shift.part().verdict is Verdict.OK
    expect(verdict).not_to_contain_text("SIMULATED")  # That of the part before it stays as long as it is shown.


def test_whoever_did_it_is_in_the_audit_trail(shift):
    told = shift.station.rows("SELECT who, role, why FROM audit WHERE why = ?", REASON)
    assert told == [(BY_ROLE[Role.ENGINEER], "engineer", REASON)]
