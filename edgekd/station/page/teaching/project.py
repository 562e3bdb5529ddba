"""A project: its images, what they tell, and the long work that is ordered for it."""

from __future__ import annotations

import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edgekd.artifact import manifest_path, read_entries
from edgekd.data.view_geometry import looking_tiles
from edgekd.errors import EdgekdError
from edgekd.json_files import read_object
from edgekd.paper_setups import PAPER_SETUPS
from edgekd.preprocessing import Preprocessing
from edgekd.station.error_codes import ErrorCode
from edgekd.station.page.link import RefusedError
from edgekd.station.page.teaching.hints import Hint, hints_of, usual_size
from edgekd.station.page.teaching.images import ImageStore, TaughtImage
from edgekd.station.page.teaching.project_files import ProjectFiles, Settings, TeachingView, TrainingFiles
from edgekd.station.page.teaching.wanted import wanted
from edgekd.station.page.teaching.working import Working
from edgekd.station.recipe_store import list_path, retired_path, stored_recipe
from edgekd.view import View

SYSTEMS = tuple(PAPER_SETUPS)


class Project:
    """A project. Any thread may call it.

    Args:
        files: Its files.
        data: Folder of the record.
        recipes: Folder of the recipes.
    """

    def __init__(self, files: ProjectFiles, data: Path, recipes: Path) -> None:
        self.files, self.recipes = files, recipes
        self.images = ImageStore(files.folder)
        self._settings = files.settings()
        self.working = Working(files, self._settings.station, data, recipes)
        self._lock = threading.RLock()
        self._hints: tuple[tuple[TaughtImage, ...], dict[int, list[Hint]]] = ((), {})

    @property
    def settings(self) -> Settings:
        """What it is for."""
        return self._settings

    @property
    def is_working(self) -> bool:
        """Whether long work goes on."""
        return self.files.work.is_locked()

    def change(self, **fields: Any) -> None:
        """Changes what it is for; fields that are None stay."""
        given = {name: value for name, value in fields.items() if value is not None}
        with self._lock:
            self._settings = replace(self._settings, **given)
            self.files.put_settings(self._settings)

    def require_bit_depth(self, bit_depth: int | None) -> None:
        """Takes note of how many bits the camera's images use.

        Args:
            bit_depth: Of an image; None for 8.

        Raises:
            EdgekdError: Those before it use another number.
        """
        with self._lock:
            before = self._settings.bit_depth
            if bit_depth == before:
                return
            if self.images.all():
                raise EdgekdError(
                    f"the image has {bit_depth or 8} bits and those before it {before or 8}: set the camera as before"
                )
            self._settings = replace(self._settings, bit_depth=bit_depth)
            self.files.put_settings(self._settings)

    def set_view(self, view: TeachingView) -> None:
        """Says what of an image is looked at.

        Raises:
            EdgekdError: It does not fit the images, or looks at nothing.
        """
        size = usual_size(self.images.all())
        if size is None:
            raise EdgekdError("take an image first: the view is drawn on it")
        width, height = size
        tiles = view.tiles or (1, 1)
        whole = View(frame=(height, width), crop=view.crop, ignore=view.ignore, tiles=tiles)
        looking_tiles(Preprocessing(32, 32, view=whole))
        self.change(view=view)

    def hints(self) -> dict[int, list[Hint]]:
        """What is wrong with images, by their numbers; computed once for each state of them."""
        images = self.images.all()
        with self._lock:
            if self._hints[0] != images:
                self._hints = images, hints_of(images, [self.images.thumbnail_path(each) for each in images])
            return self._hints[1]

    def counts(self) -> dict[str, int]:
        """Images by their labels, good ones that are copies, and those with a hint."""
        images, hints = self.images.all(), self.hints()
        labels = [each.label for each in images]
        counts = {label: labels.count(label) for label in ("good", "out", "defect", "golden")}
        of_good = [hints.get(each.id, []) for each in images if each.label == "good"]  # One may be removed meanwhile.
        copies = sum(any(hint.code == "copy" for hint in each) for each in of_good)
        hinted = sum(map(bool, of_good))
        return counts | {"copies": copies, "hinted": hinted}

    def wanted(self) -> dict[str, Any]:
        """How many more good images are wanted, and why."""
        counts = self.counts()
        return wanted(counts["good"] - counts["copies"])

    # Trainings and what became of them.

    def last_complete(self) -> TrainingFiles | None:
        """The newest training that has everything that is shown before a release; None where there is none."""
        return next((each for each in reversed(self.files.trainings()) if each.is_complete), None)

    def require_complete(self) -> TrainingFiles:
        """The same.

        Raises:
            RefusedError: There is none.
        """
        training = self.last_complete()
        if training is None:
            raise RefusedError(ErrorCode.SYSTEM, "There is no detector yet: train one first.")
        return training

    def draft(self) -> dict[str, Any] | None:
        """The recipe that was made of the newest complete training; None for none.

        Returns:
            `id`, `revision` and `status`, and its own `job` and `product`: the project's may have changed since.
        """
        training = self.last_complete()
        if training is None or not self.files.draft.exists():
            return None
        draft = read_object(self.files.draft)
        folder = self.recipes / draft["id"] / str(draft["revision"])
        if draft["run"] != training.number or not folder.is_dir():
            return None
        recipe = stored_recipe(folder).recipe
        if recipe is not None and _hash(folder / recipe.detector.artifact) != _hash(training.artifact):
            return None  # The draft was deleted, and another one got its number.
        status = "released" if list_path(folder).exists() else "draft"
        holds = recipe or self._settings  # One that cannot be read cannot be released.
        return {
            "id": draft["id"],
            "revision": draft["revision"],
            "status": "retired" if retired_path(folder).exists() else status,
            "job": holds.job,
            "product": holds.product,
        }

    def draft_folder(self) -> Path:
        """The folder of the draft that can be released.

        Raises:
            RefusedError: There is none.
        """
        draft = self.draft()
        if draft is None or draft["status"] != "draft":
            raise RefusedError(ErrorCode.SYSTEM, "There is no draft to release: make the recipe first.")
        return self.recipes / str(draft["id"]) / str(draft["revision"])

    def describe(self) -> dict[str, Any]:
        """The project as JSON has it."""
        images = self.images.all()
        size = usual_size(images)
        good = [each for each in images if each.label == "good" and (each.seen.width, each.seen.height) == size]
        training, job, draft = self.last_complete(), self.working.job(), self.draft()
        return {
            **asdict(self._settings),
            "frame": None if size is None else {"width": size[0], "height": size[1]},
            "example": good[-1].id if good else None,
            "counts": self.counts(),
            "wanted": self.wanted(),
            "work": job,
            "run": None if training is None else _run(training),
            "draft": draft,
            "step": _step(job, training, draft, self.wanted()["code"]),
        }


def _hash(artifact: Path) -> str:
    """Of a detector, as its manifest tells; "" where that cannot be read."""
    try:
        return str(read_entries(manifest_path(artifact)).get("sha256", ""))
    except EdgekdError:
        return ""


def _run(training: TrainingFiles) -> dict[str, Any]:
    trained = read_object(training.trained)
    known = {name: trained[name] for name in ("system", "minutes", "seconds", "iterations")}
    ended = round(training.tries.stat().st_mtime * 1000)
    return {"number": training.number, **known, "ended_utc_ms": ended, "compared": training.comparison.exists()}


def _step(
    job: dict[str, Any] | None, training: TrainingFiles | None, draft: dict[str, Any] | None, wanted_code: str
) -> str:
    """Where one is on the way from the first image to a release."""
    if job is not None and job["kind"] == "train" and job["state"] not in ("done", "failed"):
        return "train"
    if draft is not None:
        return "release" if draft["status"] == "draft" else "released"
    if training is not None:
        return "check"
    return "collect" if wanted_code == "too_few" else "train"
