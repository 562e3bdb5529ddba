"""Releasing and retiring recipes, and the next revision of one: what is released never changes."""

from __future__ import annotations

import contextlib
import datetime
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgekd.artifact import read_manifest, write_beside
from edgekd.errors import EdgekdError, MachineError
from edgekd.station.recipe_store import (
    RECIPE_FILE,
    digest_of,
    list_files,
    list_path,
    list_text,
    read_recipe,
    recipes_in_use,
    released_list,
    retired_path,
    revisions_in,
)
from edgekd.station.recipes import Recipe

READ_ONLY = 0o444


def release(folder: Path, by: str, reason: str) -> str:
    """Releases a draft: its files are listed with their digests and never change again.

    The revision that was in use until now is retired.

    Args:
        folder: `ID/REVISION`.
        by: Who does it.
        reason: Why.

    Returns:
        The recipe's digest.

    Raises:
        EdgekdError: There is none, it is released already, lacks an artifact that is whole, a threshold or a reference,
            or another recipe has its job.
    """
    import tomlkit

    _require_words(by, reason)
    _require_folder(folder)
    if released_list(folder) is not None:
        raise EdgekdError(f"{folder} is released already: what shall change needs a new revision")
    recipe = read_recipe(folder)
    _require_complete(folder, recipe)
    before = _require_own_job(folder, recipe)

    def set_released(content: Any) -> None:
        content["status"] = "released"
        content["release"] = tomlkit.item({"by": by, "at": _now(), "reason": reason})

    _edit(folder, set_released)
    listed = list_files(folder)
    for name in listed:
        (folder / name).chmod(READ_ONLY)
    with write_beside(list_path(folder)) as part:
        part.write_text(list_text(listed), encoding="utf-8")
    list_path(folder).chmod(READ_ONLY)
    for each in before:
        retire(each, by, f"revision {folder.name} took its place")
    return digest_of(listed)


def retire(folder: Path, by: str, reason: str) -> None:
    """Takes a released revision out of use; it stays as it is, since the record names it.

    Args:
        folder: `ID/REVISION`.
        by: Who does it.
        reason: Why.

    Raises:
        EdgekdError: There is none, it was not released, or is retired already.
    """
    import tomlkit

    _require_words(by, reason)
    _require_folder(folder)
    if released_list(folder) is None:
        raise EdgekdError(f"{folder} is a draft, which no station uses: delete it where it is not wanted")
    if retired_path(folder).exists():
        raise EdgekdError(f"{folder} is retired already")
    with write_beside(retired_path(folder)) as part:
        part.write_text(tomlkit.dumps({"by": by, "at": _now(), "reason": reason}), encoding="utf-8")


def next_revision(folder: Path) -> Path:
    """Copies a revision as a draft that may be changed, under the next number that is free.

    Args:
        folder: `ID/REVISION`.

    Returns:
        The new folder.
    """
    recipe = read_recipe(folder)
    number = 1 + max(int(each.name) for each in revisions_in(folder.absolute().parent.parent, recipe.id))
    with new_revision(folder.absolute().parent / str(number)) as part:
        for name in list_files(folder):
            target = part / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target)

        def set_draft(content: Any) -> None:
            content["revision"], content["status"] = number, "draft"
            content.pop("release", None)

        _edit(part, set_draft)
    return folder.absolute().parent / str(number)


def bring_back(folder: Path, by: str, reason: str) -> tuple[Path, str]:
    """Puts an earlier release into use again: as the next revision, since the later ones stay on record.

    Args:
        folder: `ID/REVISION` of the earlier release, retired or not.
        by: Who does it.
        reason: Why.

    Returns:
        The folder of the new revision, and its digest.

    Raises:
        EdgekdError: There is none, it was never released, it is in use, or a file is not the one that was released; or
            what `release` raises, and then nothing is changed.
    """
    _require_words(by, reason)
    _require_folder(folder)
    listed = released_list(folder)
    if listed is None:
        raise EdgekdError(f"{folder} was never released: release it")
    if folder.absolute() in [each.folder.absolute() for each in recipes_in_use(folder.absolute().parent.parent)]:
        raise EdgekdError(f"{folder} is in use already")
    if list_files(folder) != listed:
        raise EdgekdError(f"{folder} is not as it was released: restore its files from a backup")
    draft = next_revision(folder)
    try:
        return draft, release(draft, by, f"{reason} (revision {folder.name} again)")
    except EdgekdError:
        if released_list(draft) is None:
            discard(draft)
        raise


def discard(folder: Path) -> None:
    """Deletes a draft.

    Args:
        folder: `ID/REVISION`.

    Raises:
        EdgekdError: It was released: what the record may name stays.
        MachineError: It cannot be deleted.
    """
    if released_list(folder) is not None:
        raise EdgekdError(f"{folder} was released and stays, since the record may name it: retire it")
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        folder.rename(part)  # At once; what is left of it after a power cut is no revision.
        shutil.rmtree(part)
    except OSError as error:
        raise MachineError(f"cannot delete {folder}: {error.strerror or error}") from error


@contextlib.contextmanager
def new_revision(folder: Path) -> Iterator[Path]:
    """Makes a revision completely or not at all: yields a temporary folder, which is renamed after the block.

    Args:
        folder: `ID/REVISION`, which must not exist.

    Raises:
        EdgekdError: It exists, or cannot be written there.
    """
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        if folder.exists():
            raise EdgekdError(f"{folder} exists already: name another revision")
        part.mkdir(parents=True)
        yield part
        part.rename(folder)
    except OSError as error:
        raise MachineError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _require_complete(folder: Path, recipe: Recipe) -> None:
    manifest = read_manifest(folder / recipe.detector.artifact)
    if recipe.detector.threshold is None and not manifest.get("threshold"):
        raise EdgekdError(f"{folder}: the artifact holds no threshold: set detector.threshold, or 'edgekd threshold'")
    if not recipe.self_tests.references:
        raise EdgekdError(f"{folder} holds no reference image, by which a station proves itself: add one")


def _require_own_job(folder: Path, recipe: Recipe) -> list[Path]:
    """Refuses a job that another recipe has.

    Returns:
        The revisions of this recipe that are in use until now.
    """
    in_use = list(recipes_in_use(folder.absolute().parent.parent))
    for each in in_use:
        if each.id != recipe.id and each.recipe is not None and each.recipe.job == recipe.job:
            raise EdgekdError(
                f"job {recipe.job} is that of {each.id}/{each.revision}: take another, or retire that one"
            )
    return [each.folder for each in in_use if each.id == recipe.id]


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        recipes = shlex.quote(str(folder.absolute().parent.parent))
        raise EdgekdError(f"there is no recipe {folder}: see which there are with edgekd recipes list {recipes}")


def _require_words(by: str, reason: str) -> None:
    for name, value in (("who does it", by), ("the reason", reason)):
        if not value.strip():
            raise EdgekdError(f"{name} is missing: a change of a recipe is on record with both")


def _edit(folder: Path, change: Callable[[Any], None]) -> None:
    """Changes recipe.toml and keeps its comments."""
    import tomlkit

    path = folder / RECIPE_FILE
    content = tomlkit.parse(path.read_text(encoding="utf-8"))
    change(content)
    with write_beside(path) as part:
        part.write_text(tomlkit.dumps(content), encoding="utf-8")


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
