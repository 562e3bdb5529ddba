"""The page's documentation describes what there is: what other programs may ask, roles, limits."""

from __future__ import annotations

import re
from pathlib import Path

from edgekd.station.configuration import PageConfiguration
from edgekd.station.page.app import routers
from edgekd.station.page.guard import needed
from edgekd.station.page.passwords import FEWEST, FEWEST_DIGITS
from edgekd.station.page.roles import Role

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "station" / "page.md").read_text(encoding="utf-8")
NUMBERS = {6: "six", 12: "twelve"}


def test_what_other_programs_may_ask_without_a_login_is_there_for_anyone():
    table = PAGE.partition("\n## For other programs")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `(GET|WS) (\S+)` \|", table, re.MULTILINE))
    routes = [route for router in routers() for route in router.routes]
    open_to_all = {
        (method, route.path)
        for route in routes
        if needed(route) is Role.ANYONE
        for method in (getattr(route, "methods", None) or {"WS"})
    }
    assert len(told) >= 5
    assert told <= open_to_all, told - open_to_all


def test_every_role_has_its_row():
    rows = re.findall(r"^\| (\w+)(?:, [\w ]+)? \|", PAGE.partition("## Who may do what")[2], re.MULTILINE)
    assert rows[1:6] == [role.value for role in Role]  # The first is the table's head.


def test_the_least_length_of_passwords_and_the_idle_minutes_are_as_told():
    for text in (PAGE, (DOCS / "station" / "security.md").read_text(encoding="utf-8")):
        assert f"{NUMBERS[FEWEST]} characters" in text
        assert f"{NUMBERS[FEWEST_DIGITS]} digits" in text
    assert f"`idle_minutes` ({PageConfiguration.model_fields['idle_minutes'].default})" in PAGE
