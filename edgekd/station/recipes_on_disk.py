"""Recipes as a station reads them: by job, released, with the files that were released."""

from __future__ import annotations

from pathlib import Path

from edgekd.station.ports import Released
from edgekd.station.recipe_store import find_job, released_recipe


class RecipesOnDisk:
    """A folder of recipes; implements `edgekd.station.ports.RecipesPort`.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def released(self, job: int) -> Released:
        """Reads the released recipe of a job and hashes its files.

        Raises:
            StationError: JOB_UNKNOWN, DIGEST_DIFFERS, LOADING_FAILED.
        """
        return Released(*released_recipe(find_job(self._folder, job)))
