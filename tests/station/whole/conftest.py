"""Recipes and a running station that the tests of whole stations share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .laid_out import WholeStation
from .numbered import released_recipe

FOUR = ("left", "right", "front", "back")


@pytest.fixture(scope="session")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two released recipes for any of the cameras: jobs 1 and 2, both held ready."""
    folder = tmp_path_factory.mktemp("whole") / "recipes"
    for job in (1, 2):
        released_recipe(folder, job, cameras=("top", *FOUR), preload=True)
    return folder


@pytest.fixture
def laid_out(tmp_path: Path, recipes: Path) -> Iterator[Callable[..., WholeStation]]:
    """Lays stations out, and ends them after the test."""
    made: list[WholeStation] = []

    def lay_out(**options: Any) -> WholeStation:
        folder = tmp_path / f"station_{len(made)}"
        folder.mkdir()
        made.append(WholeStation(folder, recipes, **options))
        return made[-1]

    yield lay_out
    for station in made:
        station.close()
