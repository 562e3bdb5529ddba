"""Everybody who works at the station, and how they log in."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from edgekd.station.page.roles import Role

PASSWORDS = {
    "olga": (Role.OPERATOR, "274951"),
    "sven": (Role.SUPERVISOR, "a shift has eight hours"),
    "erik": (Role.ENGINEER, "one lens and two lamps"),
    "ada": (Role.ADMIN, "keys hang in the office"),
}
BY_ROLE = {role: name for name, (role, _) in PASSWORDS.items()}
SEND = """([name, password]) => fetch("/api/login", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({name, password})
}).then((answer) => answer.status)"""


def log_in(page: Page, role: Role, language: str = "en") -> None:
    """Fills in the login dialog that is open, by keyboard alone.

    Args:
        page: That asks.
        role: Of whoever logs in.
        language: Of the page.
    """
    name = BY_ROLE[role]
    dialog = page.get_by_role("dialog", name={"en": "Log in", "de": "Anmelden"}[language])
    dialog.get_by_label("Name").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORDS[name][1])
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()


def logged_in(page: Page, role: Role) -> None:
    """Logs in without the dialog, from any page of the station that is open."""
    name = BY_ROLE[role]
    assert page.evaluate(SEND, [name, PASSWORDS[name][1]]) == 200
