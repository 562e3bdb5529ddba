"""A part is taught from nothing in a browser, and judged as `edgekd evaluate` does: camera, training, INT8, release."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from edgekd.station.page.roles import Role

from ..conftest import monocrystalline
from ..run_command import main
from .browsing import opened
from .people import log_in
from .stage import PageStation

pytestmark = pytest.mark.slow  # Three minutes of training, and what belongs to it.
MINUTES = "3"
TAUGHT, GOOD, DEFECTIVE = 60, 50, 50  # Cells to teach with; cells to judge.
LONG_MS = 15 * 60_000  # For a training and its export, on a machine that does other things too.


def mixed(probability: str) -> list[Path]:
    """Cells of all modules, which differ, in an order of chance that is always the same."""
    found = monocrystalline(probability)
    random.Random(0).shuffle(found)
    return found


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> Path:
    """A folder that plays a camera: 60 good cells to teach with, then good and defective ones by turns."""
    folder = tmp_path_factory.mktemp("cells")
    good, bad = mixed("0.0"), mixed("1.0")
    unseen = [path for pair in zip(good[TAUGHT : TAUGHT + GOOD], bad[:DEFECTIVE], strict=True) for path in pair]
    for number, path in enumerate([*good[:TAUGHT], *unseen]):
        shutil.copyfile(path, folder / f"{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def untaught(browser, cells, tmp_path_factory) -> Iterator[PageStation]:
    """A station that has a camera and no recipe."""
    folder = tmp_path_factory.mktemp("untaught")
    (folder / "recipes").mkdir()
    camera = {"top": {"kind": "video", "source": str(cells)}}
    station = PageStation(folder, folder / "recipes", job=None, cameras=camera, storage={"low": 0.001, "least": 0.0005})
    with station.running():
        yield station


def images_of(page: Page, label: str) -> int:
    """How many images of a kind have been taken."""
    answer = page.evaluate("() => fetch('/api/teach/cell/images').then(answer => answer.json())")
    return sum(image["label"] == label for image in answer["images"])


def collect(page: Page) -> None:
    """Takes all images to teach with from the camera, and adds some defects and golden parts from files."""
    take = page.get_by_role("button", name="Take an image")
    for _ in range(TAUGHT):
        with page.expect_response(re.compile("/collect$")) as taken:
            take.click()
        assert taken.value.ok, taken.value.text()
    assert images_of(page, "good") == TAUGHT
    page.get_by_role("tab", name="Files").click()
    good, bad = mixed("0.0")[-3:], mixed("1.0")[-5:]
    for label, files, kind in (("Defect", bad, "defect"), ("Golden part", good, "golden")):
        page.get_by_role("button", name=label, exact=True).first.click()
        page.locator("input[type=file]").set_input_files([str(path) for path in files])
        expect(page.get_by_text(re.compile(rf"^{len(files)} images were taken"))).to_be_visible()
        assert images_of(page, kind) == len(files)


def draw(page: Page) -> None:
    """Ignores a corner of the image, by keyboard."""
    page.get_by_role("link", name=re.compile("View")).first.click()
    page.get_by_role("button", name="Add an area").click()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    page.get_by_role("button", name="Remove area 1").click()
    expect(page.get_by_text("Nothing is ignored.")).to_be_visible()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()


def test_a_part_is_taught_from_nothing_and_judged_as_evaluate_does(browser, untaught, cells, tmp_path):
    origin = untaught.origin
    with opened(browser, origin, width=1200, height=1000) as watched:
        page = watched.page
        page.goto("/teach")
        log_in(page, Role.ENGINEER)
        page.get_by_role("button", name="Teach a new part").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Product").fill("Solar cell <b>B</b>")
        dialog.get_by_label("Name of the recipe").fill("cell")
        dialog.get_by_label("Job number").fill("7")
        expect(dialog.get_by_role("button", name="Begin")).to_be_enabled()  # Once the page knows its stations.
        page.keyboard.press("Enter")
        collect(page)
        draw(page)
        page.get_by_role("link", name=re.compile("Train")).first.click()
        page.get_by_label("Minutes").fill(MINUTES)
        page.get_by_role("button", name="Start training").click()
        expect(page.get_by_role("heading", name="Training goes on")).to_be_visible()

    # The browser was closed. Somebody opens another one.
    with opened(browser, origin, width=390, height=800, language="de") as watched:
        page = watched.page
        page.goto("/teach#/cell/train")
        log_in(page, Role.ENGINEER, "de")
        expect(page.get_by_role("img", name=re.compile("^Verlust|^Loss"))).to_be_visible(timeout=LONG_MS)
    with opened(browser, origin, width=1200, height=1000) as watched:
        page = watched.page
        page.goto("/teach#/cell/train")
        log_in(page, Role.ENGINEER)
        expect(page.get_by_role("heading", name="The training is done")).to_be_visible(timeout=LONG_MS)
        page.get_by_role("link", name=re.compile("Check")).first.click()
        expect(page.get_by_text(re.compile(r"^[0-3] of 3$")).first).to_be_visible()  # Golden parts.
        page.get_by_role("tab", name="INT8").click()
        expect(page.get_by_role("table")).to_contain_text("int8")
        page.get_by_role("link", name=re.compile("Release")).first.click()
        page.get_by_role("button", name="Make the draft").click()
        page.get_by_label("Reason").fill("the first recipe of the cell", timeout=LONG_MS)
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Sign and release").click()
        page.get_by_role("button", name="Take the station online").click()
        page.get_by_role("button", name="Change to job 7 now").click()
        expect(page.get_by_text(re.compile("judges with it now"))).to_be_visible(timeout=120_000)

        page.goto("/")
        untaught.connect()
        judged = judged_cells(page, untaught, cells)
        expect(page.get_by_role("region", name="Last part", exact=True)).to_contain_text(re.compile("OK|NG|ERROR"))
    assert judged == evaluated(untaught, cells, tmp_path)
    assert judged["defective"]["NG"] > DEFECTIVE / 2  # It has learnt something.
    who = untaught.station.rows("SELECT who, role, why FROM audit WHERE why = 'the first recipe of the cell'")
    assert ("erik", "engineer", "the first recipe of the cell") in who


def judged_cells(page: Page, station: PageStation, cells: Path) -> dict[str, dict[str, int]]:
    """Lets parts come until each unseen cell was judged, and counts verdicts of good and defective ones."""
    images = len(list(cells.iterdir()))
    verdicts: dict[int, str] = {}
    for _ in range(2 * images):
        result = station.trigger()
        shown = page.evaluate("id => fetch(`/api/results/${id}`).then(answer => answer.json())", result.result_id)
        assert result.verdict is not None
        assert shown["verdict"] == result.verdict.value
        verdicts[(shown["frame_id"] - 1) % images] = shown["verdict"]
        if all(number in verdicts for number in range(TAUGHT, images)):
            break
    counted = {kind: dict.fromkeys(("OK", "NG", "ERROR"), 0) for kind in ("good", "defective")}
    for number in range(TAUGHT, images):
        counted["defective" if (number - TAUGHT) % 2 else "good"][verdicts[number]] += 1
    return counted


def evaluated(station: PageStation, cells: Path, folder: Path) -> dict[str, dict[str, int]]:
    """The same by `edgekd evaluate`, of the detector that was released."""
    for number, path in enumerate(sorted(cells.iterdir())):
        kind = "train/good" if number < TAUGHT else f"test/{'crack' if (number - TAUGHT) % 2 else 'good'}"
        (folder / "cell" / kind).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / "cell" / kind / path.name)
    detector = next((station.recipes / "cell" / "1").glob("*.onnx"))
    answer = folder / "evaluate.json"
    assert main(["evaluate", "--engine", str(detector), "--data", str(folder / "cell"), "--json", str(answer)]) == 0
    found = json.loads(answer.read_text())["verdicts"]
    rejected, missed = found["false_rejects"], found["missed_defects"]
    return {
        "good": {"OK": GOOD - rejected, "NG": rejected, "ERROR": 0},
        "defective": {"OK": missed, "NG": DEFECTIVE - missed, "ERROR": 0},
    }
