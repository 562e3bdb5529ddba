"""The folders and files of a project, which the page and the process of the long work both know."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from edgekd.artifact import write_json
from edgekd.json_files import read_object
from edgekd.run_folder import DETECTOR_FILE, artifact_name
from edgekd.station.page.teaching.images import IMAGES_FOLDER
from edgekd.station.page.teaching.work_files import WorkFolder
from edgekd.typed import checked

PROJECT_FILE, DRAFT_FILE = "project.json", "draft.json"
PRECISION = "int8"


@dataclass(frozen=True)
class TeachingView:
    """What of an image is looked at.

    Attributes:
        crop: x, y, width and height in pixels; None for all of it.
        ignore: Polygons inside which nothing is looked at, points in pixels.
        tiles: Rows and columns; None for one tile.
    """

    crop: tuple[int, int, int, int] | None = None
    ignore: tuple[tuple[tuple[int, int], ...], ...] = ()
    tiles: tuple[int, int] | None = None


@dataclass(frozen=True)
class Settings:
    """What a project is for.

    Attributes:
        name: Its own, and the recipe's.
        station: Whose camera takes images, and where the recipe is used.
        product: In words.
        job: What the PLC asks for.
        by: Who made it.
        created_utc_ms: When.
        system: That was trained last.
        view: What of an image is looked at.
        bit_depth: Bits that the camera's images of 16 bits use; None for 8-bit images.
    """

    name: str
    station: str
    product: str
    job: int
    by: str
    created_utc_ms: int
    system: str
    view: TeachingView = field(default_factory=TeachingView)
    bit_depth: int | None = None


_SETTINGS = TypeAdapter(Settings)


@dataclass(frozen=True)
class ProjectFiles:
    """Where a project's files are.

    Attributes:
        folder: Its own.
    """

    folder: Path

    @property
    def work(self) -> WorkFolder:
        """Of the long work."""
        return WorkFolder(self.folder / "work")

    @property
    def images(self) -> Path:
        """The images as they came."""
        return self.folder / IMAGES_FOLDER

    @property
    def draft(self) -> Path:
        """Which recipe was made last."""
        return self.folder / DRAFT_FILE

    def settings(self) -> Settings:
        """What the project is for.

        Raises:
            ArtifactError: Its file is damaged.
        """
        path = self.folder / PROJECT_FILE
        return checked(_SETTINGS, read_object(path), path, "put it back, or remove the project's folder")

    def put_settings(self, settings: Settings) -> None:
        """Writes what the project is for."""
        write_json(self.folder / PROJECT_FILE, _SETTINGS.dump_python(settings, mode="json"))

    def training(self, number: int) -> TrainingFiles:
        """The files of a training."""
        return TrainingFiles(self.folder / "runs" / str(number))

    def trainings(self) -> list[TrainingFiles]:
        """All trainings, the oldest first."""
        runs = self.folder / "runs"
        numbers = sorted(int(each.name) for each in runs.iterdir() if each.name.isdecimal()) if runs.is_dir() else []
        return [self.training(number) for number in numbers]


@dataclass(frozen=True)
class TrainingFiles:
    """Where the files of a training are.

    Attributes:
        folder: Its own.
    """

    folder: Path

    @property
    def number(self) -> int:
        """From 1."""
        return int(self.folder.name)

    @property
    def good(self) -> Path:
        """The good images that it was trained on, and held out of."""
        return self.folder / "good"

    @property
    def run(self) -> Path:
        """edgekd's run folder."""
        return self.folder / "run"

    @property
    def artifact(self) -> Path:
        """The detector that is released."""
        return self.run / artifact_name(DETECTOR_FILE, PRECISION)

    @property
    def check(self) -> Path:
        """The test images that the INT8 detector is compared on."""
        return self.folder / "check"

    @property
    def trained(self) -> Path:
        """What training said of itself."""
        return self.folder / "trained.json"

    @property
    def drift(self) -> Path:
        """How far INT8 is from what was trained."""
        return self.folder / "drift.json"

    @property
    def tries(self) -> Path:
        """What it says of golden parts and defects, beside the folder of the heat maps."""
        return self.folder / "tries.json"

    @property
    def comparison(self) -> Path:
        """What it would have changed among the recorded parts."""
        return self.folder / "comparison.json"

    @property
    def is_complete(self) -> bool:
        """Whether it has everything that is shown before a release."""
        return self.artifact.exists() and self.drift.exists() and self.tries.exists()

    def heat_map(self, image: int) -> Path:
        """Of an image that was tried."""
        return self.folder / "tries" / f"{image:05}.jpg"
