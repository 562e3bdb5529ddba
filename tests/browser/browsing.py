"""Chromium, and pages of it that note whatever goes wrong in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from tests.station.counterparts import required_program

PATIENCE_MS = 30_000  # For what should take moments, on a machine that does other things too.
REFUSED = "Failed to load resource"  # What the console says of every answer of 400 and above.


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Starts Chromium; the test skips where there is none."""
    program = required_program("chromium")
    with sync_playwright() as playwright:
        # Without its sandbox it also runs as root; without shared memory it runs in a container.
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--force-color-profile=srgb"]
        browser = playwright.chromium.launch(executable_path=program, args=options)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page, and what went wrong in it.

    Attributes:
        page: To use.
        wrong: What the console, the page's scripts and the network reported, a line each.
        expected: Answers that are no fault here, as "401 /api/session".
    """

    page: Page
    wrong: list[str] = field(default_factory=list)
    expected: set[str] = field(default_factory=set)

    def watch(self, origin: str) -> None:
        """Begins to note.

        Args:
            origin: Of the page, such as "http://127.0.0.1:8080"; nothing may be fetched from elsewhere.
        """
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))
        self.page.on("response", self._response)
        self.page.on("request", lambda request: self._request(request, origin))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(REFUSED):
            self.wrong.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _response(self, response: Response) -> None:
        line = f"{response.status} {urlsplit(response.url).path}"
        method = response.request.method
        asks_for_login = response.status == 401 and method != "GET"  # By which the page knows to ask who it is.
        if response.status >= 400 and line not in self.expected and not asks_for_login:
            self.wrong.append(f"network: {method} {line}")

    def _request(self, request: Request, origin: str) -> None:
        if not request.url.startswith((origin, "data:", "blob:")):
            self.wrong.append(f"network: {request.url} is not the page's own")


@contextlib.contextmanager
def opened(
    browser: Browser, origin: str, width: int = 1024, height: int = 768, theme: str = "light", language: str = "en"
) -> Iterator[Watched]:
    """A page in a session of its own, where nobody is logged in; what went wrong in it fails the test.

    Args:
        browser: That shows it.
        origin: What it may fetch from.
        width: Of its window, in pixels.
        height: Likewise.
        theme: That the system prefers, "light" or "dark".
        language: That the browser asks for.
    """
    context: BrowserContext = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        locale={"en": "en-GB", "de": "de-DE"}[language],
        base_url=origin,
        ignore_https_errors=True,  # The tests' certificates are their own.
        reduced_motion="reduce",
        has_touch=width < 600,
    )
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    try:
        watched = Watched(context.new_page())
        watched.watch(origin)
        yield watched
        assert not watched.wrong, "\n".join(watched.wrong)
    finally:
        context.close()
