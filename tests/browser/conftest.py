"""A browser for the tests, and what it must never see on any page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from .browsing import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window. It ends with the module: no other test can run asyncio in its process meanwhile."""
    with chromium() as started:
        yield started
