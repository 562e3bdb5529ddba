"""Makes the documentation's images of the station's page: a whole station on the images of a run, in Chromium.

`make screenshots` calls it with the demo's run. It inspects some dozens of its images, teaches a part for a minute, and
writes each view at the widths and in the themes that the pages show. Images: elpv-dataset, CC BY-NC-SA 4.0.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect

sys.path.insert(0, str(Path(__file__).parents[1]))

from edgekd.recipe import held_out_images, read_recipe
from edgekd.result import Verdict
from edgekd.station.page.roles import Role
from edgekd.station.simulation import CAMERA, JOB, prepare_simulation
from tests.browser.browsing import chromium, opened
from tests.browser.people import log_in
from tests.browser.stage import PageStation

STATION = "cell-line"
PARTS = 60
MINUTES = "1"
HEIGHTS = {390: 844, 1024: 768, 1920: 1080}
COLOURS = 200  # Of a PNG: a page has few, and a photograph of a cell is grey.
LONG_MS = 15 * 60_000
LOAD_ALL = """async () => {
    const images = [...document.images];
    for (const image of images) image.loading = "eager";
    await Promise.all(images.map((image) => image.decode().catch(() => {})));
}"""  # Images load when they are scrolled to.
PAGE_PROCESS = "edgekd.station.page.process"


def main() -> None:
    """Reads the command line and makes all images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="a run that was exported, such as demo/run")
    parser.add_argument("out", type=Path, help="folder for the images")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        chromium() as browser,
        running(arguments.run, Path(folder)) as station,
    ):
        for _ in range(PARTS):
            station.trigger()
        operator(browser, station, arguments.out)
        engineer(browser, station, arguments.out)
        teaching(browser, station, arguments.run, arguments.out)


@contextmanager
def running(run: Path, folder: Path) -> Iterator[PageStation]:
    """A station on the images of a run, with its page and its PLC."""
    simulation = prepare_simulation(run, folder / "simulated")
    (folder / "station").mkdir()
    prepared = PageStation(
        folder / "station",
        simulation.configuration.parent / "recipes",
        stations=[{"name": STATION, "cameras": [CAMERA], "job": JOB}],
        cameras={CAMERA: {"kind": "video", "source": str(simulation.images[0].parent)}},
        storage={"low": 0.001, "least": 0.0005},
    )
    with prepared.running() as station:
        station.connect()
        yield station


def operator(browser: Browser, station: PageStation, out: Path) -> None:
    """The operator's view: as the line runs, and without a link."""
    for width, theme in ((390, "dark"), (1024, "light"), (1920, "dark")):
        with opened(browser, station.origin, width, HEIGHTS[width], theme) as watched:
            page = watched.page
            watch_defect(page, station)
            save(page, out / f"operator-{width}-{theme}.png")
    with opened(browser, station.origin, 1024, HEIGHTS[1024]) as watched:
        watch_defect(watched.page, station)
        silent = station.station.child(PAGE_PROCESS)
        assert silent is not None
        os.kill(silent, signal.SIGSTOP)
        try:
            expect(watched.page.get_by_text(re.compile("NO LINK")).first).to_be_visible()
            save(watched.page, out / "no-link-1024-light.png")
        finally:
            os.kill(silent, signal.SIGCONT)


def watch_defect(page: Page, station: PageStation) -> None:
    """Opens the operator's view, and lets parts come until one is NG, with its image."""
    page.goto("/")
    expect(page.get_by_role("region", name="Last part", exact=True)).to_contain_text("Part")
    while station.trigger().verdict is not Verdict.NG:
        pass
    expect(page.get_by_role("region", name="Image").get_by_role("img")).to_be_visible()
    page.wait_for_timeout(2000)  # What is passing is shown no longer.


def engineer(browser: Browser, station: PageStation, out: Path) -> None:
    """The tabs of the engineer's view."""
    with opened(browser, station.origin, 1024, HEIGHTS[1024]) as watched:
        page = watched.page
        page.goto("/engineer")
        log_in(page, Role.ENGINEER)
        for name in ("threshold", "trends", "record", "recipes"):
            page.get_by_role("tab", name=name.capitalize(), exact=True).click()
            page.wait_for_timeout(3000)
            save(page, out / f"engineer-{name}-1024-light.png", whole=name == "threshold")


def teaching(browser: Browser, station: PageStation, run: Path, out: Path) -> None:
    """A part is taught from the run's own images."""
    recipe = read_recipe(run)
    good = sorted(Path(recipe.data).rglob("good/*.*"))[:60]
    with opened(browser, station.origin, 1024, HEIGHTS[1024]) as watched:
        page = watched.page
        page.goto("/teach")
        log_in(page, Role.ENGINEER)
        page.get_by_role("button", name="Teach a new part").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Product").fill("Solar cell, type B")
        dialog.get_by_label("Name of the recipe").fill("cell-b")
        dialog.get_by_label("Job number").fill("2")
        dialog.get_by_role("button", name="Begin").click()
        page.get_by_role("tab", name="Files").click()
        for label, files in (("Good part", good), ("Golden part", held_out_images(recipe)[:4])):
            page.get_by_role("button", name=label, exact=True).first.click()
            page.locator("input[type=file]").set_input_files([str(path) for path in files])
            expect(page.get_by_text(re.compile(rf"^{len(files)} images were taken"))).to_be_visible()
        save(page, out / "teach-collect-1024-light.png")
        page.get_by_role("link", name="View").first.click()
        page.wait_for_timeout(2000)
        save(page, out / "teach-view-1024-light.png")
        page.get_by_role("link", name="Train").first.click()
        page.get_by_label("Minutes").fill(MINUTES)
        page.get_by_role("button", name="Start training").click()
        page.wait_for_timeout(30_000)
        save(page, out / "teach-train-1024-light.png")
        expect(page.get_by_role("heading", name="The training is done")).to_be_visible(timeout=LONG_MS)
        page.get_by_role("link", name="Check").first.click()
        page.wait_for_timeout(2000)
        save(page, out / "teach-result-1024-light.png")


def save(page: Page, path: Path, whole: bool = False) -> None:
    """Writes what a page shows, with few colours; with `whole` what is below the window too."""
    if whole:
        page.evaluate(LOAD_ALL)
    page.screenshot(path=str(path), full_page=whole, animations="disabled")
    with Image.open(path) as image:
        image.convert("RGB").quantize(COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    main()
