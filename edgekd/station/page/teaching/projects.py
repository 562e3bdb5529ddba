"""What is being taught: a folder a project, in the folder of the record."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from edgekd.data.folders import list_folder
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.station.clock import Clock
from edgekd.station.error_codes import ErrorCode
from edgekd.station.page.link import RefusedError
from edgekd.station.page.teaching.project import Project
from edgekd.station.page.teaching.project_files import PROJECT_FILE, ProjectFiles, Settings
from edgekd.station.recipes import NAME
from edgekd.verdicts.text import printable

TEACH_FOLDER, IMPORT_FOLDER = "teach", "import"
DEFAULT_SYSTEM = "hkt"
LOOK_S = 1.0  # Between looks at work that goes on.


class Projects:
    """All projects. Any thread may call it.

    Args:
        data: Folder of the record; the projects are in `teach` in it, folders to import in `import`.
        recipes: Folder of the recipes.
    """

    def __init__(self, data: Path, recipes: Path) -> None:
        self._data, self._recipes = data, recipes
        self._folder = data / TEACH_FOLDER
        self._lock = threading.RLock()
        self._open: dict[str, Project] = {}

    def names(self) -> list[str]:
        """The names of all projects, in order."""
        if not self._folder.is_dir():
            return []
        return sorted(each.name for each in self._folder.iterdir() if self._is_project(each.name))

    def _is_project(self, name: str) -> bool:
        return NAME.fullmatch(name) is not None and (self._folder / name / PROJECT_FILE).is_file()

    def get(self, name: str) -> Project:
        """A project by its name.

        Raises:
            KeyError: There is none.
            ArtifactError: It is damaged.
        """
        with self._lock:
            if not self._is_project(name):
                self._open.pop(name, None)
                raise KeyError(name)
            if name not in self._open:
                self._open[name] = Project(ProjectFiles(self._folder / name), self._data, self._recipes)
            return self._open[name]

    def create(self, name: str, station: str, product: str, job: int, by: str) -> Project:
        """Makes a project.

        Raises:
            RefusedError: The name is taken.
            EdgekdError: It cannot be written.
        """
        with self._lock:
            if (self._folder / name).exists():
                raise RefusedError(ErrorCode.SYSTEM, f"{name} is taught already: choose another name.")
            files = ProjectFiles(self._folder / name)
            try:
                files.put_settings(Settings(name, station, product, job, by, Clock().utc_ms(), DEFAULT_SYSTEM))
            except EdgekdError:
                with contextlib.suppress(OSError):
                    files.folder.rmdir()  # So that the name is free once the disk has room.
                raise
            return self.get(name)

    def remove(self, name: str) -> None:
        """Removes a project with its images and detectors; recipes that were made of it stay.

        Raises:
            KeyError: There is none.
            RefusedError: Its work goes on.
        """
        with self._lock:
            project = self.get(name)
            if project.is_working:
                raise RefusedError(ErrorCode.SYSTEM, f"{name} is at work: stop it first.")
            gone = self._folder / f".{name}.removed"
            shutil.rmtree(gone, ignore_errors=True)
            del self._open[name]
            project.images.end()
            project.files.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def all(self) -> Iterator[Project]:
        """All projects that can be read."""
        for name in self.names():
            try:
                yield self.get(name)
            except (KeyError, ArtifactError):
                continue

    def require_free(self, but: Project) -> None:
        """Refuses work while that of another project goes on: a station has few cores.

        Raises:
            RefusedError: It does.
        """
        for project in self.all():
            if project is not but and project.is_working:
                raise RefusedError(
                    ErrorCode.SYSTEM, f"{project.files.folder.name} is at work: wait until it is done, or stop it."
                )

    def resume(self) -> None:
        """Goes on with work that was interrupted when the page or the machine ended."""
        for project in self.all():
            job = project.working.job()
            if job is not None and job["state"] == "interrupted":
                project.working.go_on()

    async def changes(self) -> AsyncIterator[dict[str, Any]]:
        """What becomes of all work: a job each time that its state or its step changes."""
        seen: dict[str, tuple[Any, ...]] = {}
        while True:
            for job in await asyncio.to_thread(self._jobs):
                now = (job["started_utc_ms"], job["state"], job["step"])
                if seen.get(job["project"], now) != now or (job["project"] not in seen and job["state"] == "running"):
                    yield job
                seen[job["project"]] = now
            await asyncio.sleep(LOOK_S)

    def _jobs(self) -> list[dict[str, Any]]:
        return [job for project in self.all() if (job := project.working.job()) is not None]

    def import_folders(self) -> dict[str, Path]:
        """The folders whose images can be taken, by their names as text, since a name may hold any bytes."""
        root = self._data / IMPORT_FOLDER
        if not root.is_dir():
            return {}
        folders = [each for each in sorted(root.iterdir()) if each.is_dir() and not each.is_symlink()]
        return {printable(each.name): each for each in folders}

    def images_in(self, folder: str) -> list[Path]:
        """The images of a folder that can be imported; links are not followed out of it.

        Raises:
            KeyError: There is no such folder.
        """
        path = self.import_folders()[folder].resolve()
        return [each for each in list_folder(path).images if each.resolve().is_relative_to(path)]
