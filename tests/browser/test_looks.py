"""Every page at 390, 1024 and 1920 pixels, in both themes and languages: nothing cut off, pale, nameless or stuck."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from edgekd.station.page.roles import Role

from . import checks
from .browsing import opened
from .people import logged_in

pytestmark = pytest.mark.browser
LOADING = re.compile("^(Loading|Wird geladen)")
TABS = ("trends", "results", "threshold", "recipes", "timings", "health", "audit")


class View(NamedTuple):
    """A page as somebody sees it."""

    path: str
    role: Role
    least_target: int = checks.TARGET_PX


VIEWS = (
    View("/", Role.ANYONE),
    *(View(f"/engineer#tab={tab}", Role.ENGINEER, checks.LEAST_TARGET_PX) for tab in TABS),
    View("/teach", Role.ENGINEER),
    View("/users", Role.ADMIN, checks.LEAST_TARGET_PX),
)


@pytest.fixture(scope="module")
def busy(line):
    """The line, after some parts of each kind."""
    for kind in ({}, {}, {"defective": True}, {}, {"dark": True}, {}, {"defective": True}):
        line.part(**kind)
    return line


def settled(page: Page) -> None:
    """Waits until a page shows what it has asked for."""
    page.get_by_role("heading", level=1).wait_for(state="attached")
    page.wait_for_timeout(500)  # For what it asks then.
    expect(page.locator(".spinner")).to_have_count(0)
    expect(page.get_by_text(LOADING)).to_have_count(0)


def wrong_with(page: Page, view: View, language: str) -> list[str]:
    """All that is wrong with what a page shows."""
    found = [
        *checks.overflow(page),
        *checks.small_targets(page, view.least_target),
        *checks.contrast(page),
        *checks.names(page),
        *checks.structure(page, language),
        *checks.keyboard(page),
    ]
    return [f"{view.path}: {each}" for each in found]


@pytest.mark.parametrize("width", [390, 1024, 1920])
@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "de")])
def test_every_page_looks_as_it_should(browser, busy, width, theme, language):
    wrong = []
    for view in VIEWS:
        with opened(browser, busy.origin, width, 900, theme, language) as watched:
            page = watched.page
            if view.role is not Role.ANYONE:
                page.goto("/users")
                logged_in(page, view.role)
            page.goto(view.path)
            page.reload()  # A tab alone is no other page.
            settled(page)
            wrong += wrong_with(page, view, language)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_dialogs_look_as_they_should_and_keep_the_keyboard(browser, busy, theme):
    with opened(browser, busy.origin, 390, 800, theme) as watched:
        page = watched.page
        page.goto("/")
        for opener in ("Open", "Change recipe"):
            page.get_by_role("button", name=opener, exact=True).click()
            dialog = page.get_by_role("dialog")
            expect(dialog).to_be_visible()
            page.wait_for_timeout(300)
            wrong = [*checks.overflow(page), *checks.contrast(page), *checks.names(page), *checks.keyboard(page)]
            assert not wrong, f"{opener}: {wrong}"
            page.keyboard.press("Escape")
            expect(dialog).to_be_hidden()
