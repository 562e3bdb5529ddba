"""A real browser that shows the operator's page of a station, until standard input ends.

    python benchmarks/page_browser.py PORT

Writes a line once the page shows the line's state, and at the end how much the browser fetched, as JSON. Runs only
while nothing else does: people's browsers are on other machines. Needs Chromium.
"""

from __future__ import annotations

import json
import select
import shutil
import sys
from collections import Counter

from page_clients import only_when_idle
from playwright.sync_api import Page, Response, sync_playwright

from edgekd.station.page.watching import LOOKS_S

OPTIONS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")  # It also runs as root, and in a container.


def main(port: int) -> None:
    got: Counter[str] = Counter()

    def count(response: Response) -> None:
        got["images" if "/live/" in response.url else "other"] += 1

    program = shutil.which("chromium") or sys.exit("Chromium is not installed: install the package chromium")
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=program, args=list(OPTIONS)).new_page()
        page.on("response", count)
        page.on("websocket", lambda socket: socket.on("framereceived", lambda _: got.update(messages=1)))
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("main").wait_for()
        page.wait_for_timeout(5000 * LOOKS_S)  # From now on images are made.
        print("ready", flush=True)
        _wait_for_end(page)
    print(json.dumps(got), flush=True)


def _wait_for_end(page: Page) -> None:
    """Lets the browser's events come in until standard input ends."""
    while not (select.select([sys.stdin], [], [], 0)[0] and not sys.stdin.read(1)):
        page.wait_for_timeout(100)


if __name__ == "__main__":
    only_when_idle()
    main(int(sys.argv[1]))
