"""Texts that come from outside stay texts on every page: serial numbers, lots, names of products, notes, alarms."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn

from edgekd.result import Verdict
from edgekd.station.configuration import OneStation
from edgekd.station.error_codes import ErrorCode
from edgekd.station.page.roles import Role
from edgekd.station.page.views import Viewed
from edgekd.station.parts import Part
from edgekd.station.snapshot import Alarm, Counters, Snapshot
from edgekd.station.states import State

from ..engines.hand_made import graph, save
from ..station.page.stage import app_of, make_page
from ..station.recipe_folders import write_draft
from ..station.record.recording import RECIPE, opened, outcome
from ..station.whole.laid_out import until
from .browsing import opened as opened_page

pytestmark = pytest.mark.browser

EVIL = "<img src=x onerror=\"window.hacked='img'\"><script>window.hacked='script'</script>'\"${{hacked}}"
PASSWORD = "one lens and two lamps"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page on which everything has an evil name."""
    folder = tmp_path_factory.mktemp("evil")
    loaded = replace(RECIPE, product=EVIL)
    snapshot = Snapshot(
        "line",
        state=State.READY,
        recipe=loaded,
        counters=Counters(ok=1, ng=1),
        alarms=(Alarm(ErrorCode.LINK_LOST, EVIL, 1_000),),
        links=((f"camera {EVIL}", False),),
        outcome=evil_part(3),
    )
    view = Viewed(OneStation(name="line", cameras=("top",)), 0).view(snapshot)
    page = make_page(folder, {"line": {**view, "lot": {"lot": EVIL, "total": 2, "ok": 1, "ng": 1, "error": 0}}})
    page.users.add("erik", Role.ENGINEER, PASSWORD)
    fill_record(page.data)
    fill_recipes(page.recipes, folder)
    page.projects.create("cell", "line", EVIL, 4, EVIL)
    server = uvicorn.Server(uvicorn.Config(app_of(page), port=0, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def evil_part(number: int, verdict: Verdict = Verdict.NG):
    recipe = replace(RECIPE, product=EVIL)
    return outcome(number, verdict, part=Part(number, EVIL[:60], EVIL[:60]), error_text=EVIL, recipe=recipe)


def fill_record(data: Path) -> None:
    record = opened(data)
    for number, verdict in enumerate((Verdict.OK, Verdict.NG, Verdict.ERROR), 1):
        record.write(evil_part(number, verdict))
        record.review(number, EVIL, "bad", EVIL)
    record.audit(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL)
    record.close()


def fill_recipes(recipes: Path, folder: Path) -> None:
    image = folder / "ok.png"
    image.write_bytes(b"no image")
    draft = write_draft(recipes, save(graph(), folder, 120.0), image)
    text = (draft / "recipe.toml").read_text()
    (draft / "recipe.toml").write_text(text.replace("revision = 1", f"revision = 1\nproduct = '''{EVIL}'''"))


@pytest.mark.parametrize("path", ["/", "/engineer", "/teach"])
def test_no_text_becomes_part_of_a_page(browser, origin, path):
    with opened_page(browser, origin) as watched:
        watched.expected |= {"401 /api/session", "403 /api/session"}
        page = watched.page
        page.goto("/")
        page.evaluate(
            """(password) => fetch("/api/login", {method: "POST", headers: {"Content-Type": "application/json"},
               body: JSON.stringify({name: "erik", password})})""",
            PASSWORD,
        )
        page.goto(path)
        page.wait_for_selector("main :is(button, a)")
        for number in range(page.locator("[role=tab]").count()):
            page.locator("[role=tab]").nth(number).click()
            page.wait_for_load_state("networkidle") if path != "/" else None
        page.wait_for_function("(text) => document.body.innerText.includes(text)", arg=EVIL[:30])
        assert page.evaluate("window.hacked") is None
        assert page.locator("img[src=x]").count() == 0
