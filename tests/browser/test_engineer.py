"""An engineer's work in a browser, from a limit that is tried to a release that is taken back, with its record."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from edgekd.result import Verdict
from edgekd.station.page.roles import Role

from .browsing import opened
from .people import BY_ROLE, log_in
from .stage import PageStation

pytestmark = pytest.mark.browser
NAME = BY_ROLE[Role.ENGINEER]
LIMIT = 200  # Between good parts, at 118, and defective ones, at 225; the detector's own is 180.


@pytest.fixture(scope="module")
def own_recipes(tmp_path_factory):
    """Recipes that this module alone releases."""
    from ..station.whole.numbered import released_recipe

    folder = tmp_path_factory.mktemp("engineer") / "recipes"
    released_recipe(folder, 1)
    return folder


@pytest.fixture(scope="module")
def engineered(browser, own_recipes, tmp_path_factory):
    """A station with some parts on record."""
    with PageStation(tmp_path_factory.mktemp("engineered"), own_recipes).running() as station:
        station.connect()
        for defective in (False, False, True, False, True, False):
            station.part(defective)
        yield station


def judged_by(page: Page, station: PageStation) -> dict[str, Any]:
    """The next part, as it is on record."""
    result = station.part()
    assert result.verdict is Verdict.OK
    answer: dict[str, Any] = page.evaluate("id => fetch(`/api/results/${id}`).then(a => a.json())", result.result_id)
    return answer


def confirm(page: Page, action: str, reason: str) -> None:
    """Gives the reason in the dialog that asks for it, and changes over at once."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("checkbox", name=re.compile("Change over now")).check()
    dialog.get_by_role("button", name=action, exact=True).click()
    expect(page.get_by_text("judges by it now")).to_be_visible()
    expect(dialog).to_be_hidden()


def test_a_limit_is_tried_set_released_and_taken_back(browser, engineered):
    with opened(browser, engineered.origin, width=1400, height=1000) as watched:
        page = watched.page
        page.goto("/engineer")
        log_in(page, Role.ENGINEER)
        page.get_by_role("tab", name="Threshold").click()

        tried = page.get_by_role("region", name="Try a limit")
        tried.get_by_label("Limit").fill("119")
        page.keyboard.press("Enter")
        expect(tried.get_by_text("Were OK, would be NG").locator("xpath=..")).to_contain_text("0")
        tried.get_by_label("Limit").fill("110")
        page.keyboard.press("Enter")
        expect(tried.get_by_text("Were OK, would be NG").locator("xpath=..")).to_contain_text("4")
        above = page.get_by_role("heading", name="Just above the limit").locator("xpath=..")
        above.get_by_role("button").first.click()
        page.get_by_role("dialog").get_by_role("button", name="Really good").click()
        expect(above.get_by_text("Really good")).to_be_visible()
        expect(tried.get_by_text("Really good parts rejected").locator("xpath=..")).to_contain_text("1 of 1")
        tried.get_by_label("Limit").fill(str(LIMIT))
        page.keyboard.press("Enter")
        tried.get_by_role("button", name="Set this limit").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Reason").fill("the lamp was replaced")
        dialog.get_by_role("button", name="Save").click()

        draft = page.get_by_role("region", name=re.compile(r"^part1\W+2$"))
        expect(draft).to_contain_text("draft")
        draft.get_by_role("button", name="Release").click()
        confirm(page, "Release", "the new lamp is brighter")
        judged = judged_by(page, engineered)
        assert (judged["revision"], judged["threshold"]) == (2, LIMIT)
        origin = (engineered.recipes / "part1" / "2" / "recipe.toml").read_text()
        assert "2 of the last 6 parts" in origin  # Those above this limit, not above the one that was tried before.

        page.get_by_role("table").get_by_text(re.compile(r"^part1\W+1$")).click()
        page.get_by_role("region", name=re.compile(r"^part1\W+1$")).get_by_role("button", name="Bring back").click()
        confirm(page, "Bring back", "the old lamp is back")
        assert judged_by(page, engineered)["threshold"] == 180

        page.get_by_role("tab", name="Audit trail").click()
        for reason in ("the lamp was replaced", "the new lamp is brighter", "the old lamp is back"):
            expect(page.get_by_role("row").filter(has_text=reason).filter(has_text=NAME).first).to_be_visible()


def test_the_record_is_searched_and_taken_away(browser, engineered):
    with opened(browser, engineered.origin, width=1400, height=1000) as watched:
        page = watched.page
        page.goto("/engineer")
        log_in(page, Role.SUPERVISOR)
        expect(page.get_by_role("tab", name="Recipes")).to_have_count(0)  # Which are an engineer's.
        page.get_by_role("tab", name="Record").click()
        page.get_by_role("search").get_by_role("button", name="NG").click()
        found = page.get_by_role("button", name=re.compile(r"S-\d+, NG"))
        expect(found).to_have_count(2)
        found.first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("img").first).to_be_visible()
        dialog.get_by_role("button", name="Really bad").click()
        expect(dialog.get_by_text(f"{BY_ROLE[Role.SUPERVISOR]}, ")).to_be_visible()
        page.keyboard.press("Escape")
        expect(found.first).to_contain_text("Really bad")
        page.get_by_role("button", name="Export").click()
        with page.expect_download() as downloading:
            page.get_by_role("dialog").get_by_role("link", name=re.compile("Download|ZIP")).click()
        with zipfile.ZipFile(downloading.value.path()) as archive:
            assert archive.testzip() is None
            table = next(name for name in archive.namelist() if name.endswith(".csv") and "audit" not in name)
            rows = list(csv.DictReader(io.StringIO(archive.read(table).decode("utf-8"))))
            images = [name for name in archive.namelist() if name.endswith((".png", ".jpg"))]
        assert [row["verdict"] for row in rows] == ["NG", "NG"]
        assert len(images) >= 2
