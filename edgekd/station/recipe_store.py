"""The recipes of a station on the disk: found by job, checked by digest, released, and never changed afterwards.

A folder of recipes holds `ID/REVISION/recipe.toml` with the detector, its manifest and the references beside it. A
release writes `ID/REVISION.sha256`, which lists every file as `sha256sum` does; the SHA-256 of that list is the
recipe's digest. `ID/REVISION.retired` takes a released revision out of use without changing it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from edgekd.artifact import sha256
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.json_files import read_regular
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.recipes import NAME, Recipe
from edgekd.toml_files import read_toml

RECIPE_FILE = "recipe.toml"
MOST_FILES = 1000
MOST_LIST_BYTES = 1 << 20


@dataclass(frozen=True)
class StoredRecipe:
    """A revision in a folder of recipes.

    Attributes:
        folder: Its own.
        id, revision: By its path.
        digest: Of a released or retired one, as it was released; "" for a draft.
        retired: Whether it is out of use.
        recipe: What it holds; None where it cannot be read.
        problem: Why not, in one line.
    """

    folder: Path
    id: str
    revision: int
    digest: str
    retired: bool
    recipe: Recipe | None
    problem: str = ""

    @property
    def status(self) -> str:
        """draft, released or retired."""
        return "retired" if self.retired else "released" if self.digest else "draft"


def read_recipe(folder: Path) -> Recipe:
    """Reads a revision; whether its files are those that were released is `released_recipe`'s to check.

    Args:
        folder: `ID/REVISION`.

    Raises:
        ArtifactError: recipe.toml is missing or wrong, the field is named; or a file that it names is missing.
    """
    path = folder / RECIPE_FILE
    recipe = read_toml(path, Recipe, "correct it")
    folder = folder.absolute()
    for name, value, expected in (("id", recipe.id, folder.parent.name), ("revision", recipe.revision, folder.name)):
        if str(value) != expected:
            raise ArtifactError(f"{path}: {name} must be that of its folder, {expected}, got {value}; correct it")
    for field, name in _files_of(recipe):
        if not (folder / name).is_file():
            raise ArtifactError(f"{path}: {field} names {name}, which is not there; put it into {folder}")
    if (recipe.status == "draft") != (recipe.release is None):
        raise ArtifactError(f"{path}: release belongs to a released recipe, and status is {recipe.status}; correct it")
    return recipe


def recipe_digest(folder: Path) -> str:
    """The SHA-256 over all files of a revision, their names and their content.

    It is that of the list that `sha256sum` writes, sorted by name.

    Raises:
        ArtifactError: Something in the folder is not a regular file with a plain name, such as a link.
    """
    return digest_of(list_files(folder))


def find_job(recipes: Path, job: int) -> Path:
    """The folder of the released revision that a job asks for; drafts and retired ones are never found.

    Args:
        recipes: The folder of recipes.
        job: What the PLC sends.

    Raises:
        StationError: JOB_UNKNOWN: there is none, or several recipes have this job.
    """
    found, problems = [], []
    for stored in recipes_in_use(recipes):
        if stored.recipe is None:
            problems.append(stored.problem)
        elif stored.recipe.job == job:
            found.append(stored)
    if len(found) == 1:
        return found[0].folder
    if found:
        names = " and ".join(f"{each.id}/{each.revision}" for each in found)
        raise StationError(ErrorCode.JOB_UNKNOWN, f"{names} are both released for job {job}: retire one of them")
    also = f"; {problems[0]}" if problems else ""
    raise StationError(ErrorCode.JOB_UNKNOWN, f"no released recipe for job {job} in {recipes}: release one{also}")


def released_recipe(folder: Path) -> tuple[Recipe, str]:
    """A revision that may judge parts: released, and with the very files that were released.

    Args:
        folder: `ID/REVISION`, as `find_job` gives it.

    Returns:
        The recipe, and its digest.

    Raises:
        StationError: JOB_UNKNOWN where it is a draft or retired, DIGEST_DIFFERS where a file is not the one that was
            released, LOADING_FAILED where it cannot be read.
    """
    listed = released_list(folder)
    if listed is None or retired_path(folder).exists():
        raise StationError(ErrorCode.JOB_UNKNOWN, f"{folder} is {'a draft' if listed is None else 'retired'}")
    try:
        present = list_files(folder)
    except EdgekdError as error:
        raise StationError(ErrorCode.DIGEST_DIFFERS, str(error)) from error
    if present != listed:
        raise StationError(ErrorCode.DIGEST_DIFFERS, f"{folder}: {_difference(listed, present)} since it was released")
    try:
        return read_recipe(folder), digest_of(listed)
    except EdgekdError as error:
        raise StationError(ErrorCode.LOADING_FAILED, str(error)) from error


def problem_of(stored: StoredRecipe) -> str:
    """Why a station would refuse a revision that is listed, in one line; "" where it would not, and of drafts."""
    if stored.problem or stored.status != "released":
        return stored.problem
    try:
        released_recipe(stored.folder)
    except StationError as error:
        return str(error)
    return ""


def list_recipes(recipes: Path) -> list[StoredRecipe]:
    """All revisions in a folder of recipes, by id and revision; one that cannot be read is among them.

    Raises:
        EdgekdError: There is no such folder.
    """
    return [stored_recipe(folder) for folder in revisions_in(recipes)]


def recipes_in_use(recipes: Path) -> Iterator[StoredRecipe]:
    """Of each recipe the last released revision, unless it is retired: an earlier one never takes its place."""
    last: dict[str, Path] = {}
    for folder in revisions_in(recipes):
        if list_path(folder).exists():
            last[folder.parent.name] = folder
    for folder in last.values():
        if not retired_path(folder).exists():
            yield stored_recipe(folder)


def stored_recipe(folder: Path) -> StoredRecipe:
    """A revision as it stands on the disk, also one that cannot be read.

    Args:
        folder: `ID/REVISION`, which exists.
    """
    name, revision, retired = folder.parent.name, int(folder.name), retired_path(folder).exists()
    digest = ""
    try:
        listed = released_list(folder)
        digest = "" if listed is None else digest_of(listed)
        return StoredRecipe(folder, name, revision, digest, retired, read_recipe(folder))
    except EdgekdError as error:
        return StoredRecipe(folder, name, revision, digest, retired, None, str(error))


def revisions_in(recipes: Path, only: str = "") -> list[Path]:
    """The folders of all revisions, by id and number."""
    try:
        folders = [each for each in recipes.iterdir() if NAME.fullmatch(each.name) and only in ("", each.name)]
        numbered = [one for each in folders if each.is_dir() for one in each.iterdir() if one.name.isdecimal()]
    except OSError as error:
        raise EdgekdError(f"cannot read the folder of recipes {recipes}: {error.strerror or error}") from error
    plain = [each for each in numbered if each.is_dir() and str(int(each.name)) == each.name]
    return sorted(plain, key=lambda each: (each.parent.name, int(each.name)))


def list_path(folder: Path) -> Path:
    """The file with the digests of a released revision."""
    return folder.with_name(f"{folder.name}.sha256")


def retired_path(folder: Path) -> Path:
    """The file that takes a revision out of use."""
    return folder.with_name(f"{folder.name}.retired")


def list_files(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a revision, by its path in the folder, sorted: the list is always the same."""
    names = []
    for parent, folders, files in os.walk(folder, onerror=_unreadable):
        for name in (*folders, *files):
            path = Path(parent, name)
            inner = path.relative_to(folder).as_posix()
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or not inner.isprintable() or "\\" in inner:
                raise ArtifactError(f"{folder} holds {inner!r}, which is not a regular file with a plain name")
            if stat.S_ISREG(mode):
                names.append(inner)
        if len(names) > MOST_FILES:
            raise ArtifactError(f"{folder} holds more than {MOST_FILES} files: it is not a recipe")
    try:
        return {name: sha256(folder / name) for name in sorted(names)}
    except OSError as error:
        _unreadable(error)


def _unreadable(error: OSError) -> NoReturn:
    raise ArtifactError(f"cannot read {error.filename}: {error.strerror or error}") from error


def list_text(listed: dict[str, str]) -> str:
    """Digests as `sha256sum` writes them."""
    return "".join(f"{digest}  {name}\n" for name, digest in listed.items())


def digest_of(listed: dict[str, str]) -> str:
    """The digest of a recipe with these files."""
    return hashlib.sha256(list_text(listed).encode()).hexdigest()


def released_list(folder: Path) -> dict[str, str] | None:
    """What was released; None of a draft."""
    path = list_path(folder)
    if not path.exists():
        return None
    try:
        lines = read_regular(path, MOST_LIST_BYTES).decode().splitlines()
    except (ArtifactError, UnicodeDecodeError) as error:
        raise StationError(ErrorCode.DIGEST_DIFFERS, f"{path} is damaged: {error}") from error
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _difference(listed: dict[str, str], present: dict[str, str]) -> str:
    """The first file that is not as it was released."""
    for name in sorted({*listed, *present}):
        if name not in present:
            return f"{name} was removed"
        if name not in listed:
            return f"{name} was added"
        if listed[name] != present[name]:
            return f"{name} was changed"
    return "its list of files was changed"


def _files_of(recipe: Recipe) -> Iterator[tuple[str, str]]:
    yield "detector.artifact", recipe.detector.artifact
    for index, reference in enumerate(recipe.self_tests.references):
        yield f"self_tests.references[{index}].image", reference.image
