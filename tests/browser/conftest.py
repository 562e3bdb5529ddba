"""A browser for the tests, and a whole station to look at with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from ..station.whole.numbered import released_recipe
from .browsing import chromium
from .stage import PageStation


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window. It ends with the module: no other test can run asyncio in its process meanwhile."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two released recipes, jobs 1 and 2."""
    folder = tmp_path_factory.mktemp("page") / "recipes"
    for job in (1, 2):
        released_recipe(folder, job)
    return folder


@pytest.fixture(scope="module")
def line(browser: Browser, recipes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageStation]:
    """A station that runs, is online, and has no part yet. It starts only where there is a browser."""
    with PageStation(tmp_path_factory.mktemp("line"), recipes).running() as station:
        station.connect()
        yield station
