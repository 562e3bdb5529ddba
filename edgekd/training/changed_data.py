"""A run that is resumed goes on with the images that it was begun with, or with others that somebody accepted."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from edgekd.data.copies import group_copies
from edgekd.data.image_hashes import (
    DataChanges,
    accepting_command,
    find_changes,
    hash_images,
    hashes_digest,
    images_there,
    named,
)
from edgekd.data.layouts import find_validation_images
from edgekd.errors import EdgekdError
from edgekd.recipe import TrainingRecipe, read_recipe, write_recipe
from edgekd.run_folder import checkpoint_name
from edgekd.training.checkpoints import iterations_done

logger = logging.getLogger(__name__)


def recipe_to_resume(run: Path, accept_changed_data: bool) -> TrainingRecipe:
    """The recipe of a run that is to be resumed, whose images were compared with those that are there.

    Args:
        run: A folder that `start_run` made.
        accept_changed_data: Whether to go on with images that changed; the recipe is written anew with their hashes.

    Raises:
        EdgekdError: Images were added, removed or changed, and that was not accepted; nothing was written.
    """
    recipe = read_recipe(run)
    if not recipe.images and not accept_changed_data:
        logger.warning(
            "%s was begun by an earlier edgekd, which kept no hashes of its images: whether they changed is not known",
            run,
        )
        return recipe
    changes = find_changes(recipe)
    if recipe.images and not changes:
        return recipe
    if not accept_changed_data:
        raise EdgekdError(
            f"the images of {run} are not those that it was begun with: {changes}; put that right, or go on with them: "
            f"{accepting_command(run, recipe)}"
        )
    recipe = _with_changes(run, recipe, changes)
    write_recipe(run, recipe)
    logger.warning("going on with images that changed: %s", changes or "no hashes were kept until now")
    return recipe


def _with_changes(run: Path, recipe: TrainingRecipe, changes: DataChanges) -> TrainingRecipe:
    """The recipe with the images that are there now; of those added, copies of held-out ones are left out."""
    data = Path(recipe.data)
    there = images_there(recipe)
    held_out = [name for name in recipe.held_out if name in set(there)]
    validation = set(named(data, find_validation_images(data)))
    held_out += [name for name in changes.added if name in validation]
    copies = _copies_of(data, held_out, [name for name in changes.added if name not in validation])
    images = hash_images(data, [name for name in there if name not in copies])
    entry = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "iterations": sum(iterations_done(path) for path in run.glob(checkpoint_name("*"))),
        **{kind: list(names) for kind, names in asdict(changes).items()},
        "images_before": hashes_digest(recipe.images) if recipe.images else None,
    }
    return replace(
        recipe,
        held_out=tuple(held_out),
        left_out=(*recipe.left_out, *sorted(copies)),
        images=images,
        trained_images=len(images) - len(held_out),
        data_changes=(*recipe.data_changes, entry),
    )


def _copies_of(data: Path, held_out: Sequence[str], added: Sequence[str]) -> set[str]:
    """Those of the added images that are copies of held-out ones."""
    groups = group_copies([data / name for name in (*held_out, *added)])
    of_held_out = set(groups[: len(held_out)])
    return {name for name, group in zip(added, groups[len(held_out) :], strict=True) if group in of_held_out}
