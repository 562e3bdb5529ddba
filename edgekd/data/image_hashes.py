"""Whether the images of a run are those that it was begun with: its recipe has their hashes."""

from __future__ import annotations

import hashlib
import logging
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgekd.artifact import sha256
from edgekd.data.layouts import find_good_images, find_validation_images
from edgekd.errors import EdgekdError, ImageError, few_of
from edgekd.recipe import TrainingRecipe

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataChanges:
    """What differs between the images of a recipe and those that are there, by path relative to its data.

    Attributes:
        added: Good images that the recipe does not know.
        removed: Images of the recipe that are gone.
        changed: Images of the recipe that have another hash.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def __str__(self) -> str:
        kinds = (("added", self.added), ("removed", self.removed), ("changed", self.changed))
        return ", ".join(f"{kind} {few_of(names)}" for kind, names in kinds if names)


def named(data: Path, paths: Sequence[Path]) -> list[str]:
    """The names that a recipe has for images: their paths relative to its data."""
    return [path.relative_to(data).as_posix() for path in paths]


def hash_images(data: Path, names: Sequence[str]) -> dict[str, str]:
    """The SHA-256 of images, by name; read by four threads.

    Args:
        data: The folder of a recipe.
        names: Of images in it.

    Raises:
        ImageError: One cannot be read.
    """

    def digest(name: str) -> str:
        try:
            return sha256(data / name)
        except OSError as error:
            raise ImageError(f"cannot read {data / name}: {error.strerror or error}") from error

    with ThreadPoolExecutor(4) as readers:
        return dict(zip(names, readers.map(digest, names), strict=True))


def digests_by_path(recipe: TrainingRecipe) -> dict[Path, str]:
    """The hashes of a recipe's images by their paths, as `read_frames` takes them."""
    return {Path(recipe.data) / name: digest for name, digest in recipe.images.items()}


def hashes_digest(images: dict[str, str]) -> str:
    """One SHA-256 over the hashes of images."""
    lines = "".join(f"{digest} {name}\n" for name, digest in sorted(images.items()))
    return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()


def images_there(recipe: TrainingRecipe) -> list[str]:
    """The names of the good images that are there now, but those that the recipe leaves out as copies.

    Raises:
        EdgekdError: The folder is gone, or holds none.
    """
    data = Path(recipe.data)
    there = dict.fromkeys(named(data, [*find_good_images(data), *find_validation_images(data)]))
    return [name for name in there if name not in recipe.left_out]


def find_changes(recipe: TrainingRecipe) -> DataChanges:
    """What differs between a recipe's images and those that are there; every image is read.

    Args:
        recipe: Of a run; nothing differs from one without hashes.

    Raises:
        EdgekdError: The folder is gone, or an image cannot be read.
    """
    if not recipe.images:
        return DataChanges()
    there = images_there(recipe)
    now = hash_images(Path(recipe.data), [name for name in there if name in recipe.images])
    return DataChanges(
        added=tuple(name for name in there if name not in recipe.images),
        removed=tuple(name for name in recipe.images if name not in now),
        changed=tuple(name for name, digest in now.items() if digest != recipe.images[name]),
    )


def require_unchanged_images(run: Path, recipe: TrainingRecipe) -> None:
    """Refuses a run whose images have another content than it was trained on, before limits rest on them.

    Those that are gone are missing from what is measured, which a warning reports. Those that were added are not used.

    Args:
        run: The folder of the run.
        recipe: Its recipe.

    Raises:
        EdgekdError: Images changed, an image cannot be read, or the folder is gone.
    """
    changes = find_changes(recipe)
    if changes.changed:
        raise EdgekdError(
            f"images of {run} changed since it was trained: {few_of(changes.changed)}; put them back, or take them as "
            f"they are: {accepting_command(run, recipe)}"
        )
    if changes.removed:
        logger.warning("images of %s are gone since it was trained: %s", run, few_of(changes.removed))
    if changes.added:
        logger.info("images were added since %s was trained, and are not used: %s", run, few_of(changes.added))


def accepting_command(run: Path, recipe: TrainingRecipe) -> str:
    """The command that lets a run go on with images that changed."""
    return shlex.join(["edgekd", "train", recipe.system, "--run", str(run), "--resume", "--accept-changed-data"])
