"""What the page shows of a recipe: itself, what its artifact's manifest tells, and what stands against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgekd.artifact import Manifest, frame_shape, manifest_path, read_entries, signature_path
from edgekd.errors import EdgekdError
from edgekd.station.page.recipe_views import view_of
from edgekd.station.page.threshold_view import is_ng
from edgekd.station.recipe_store import (
    StoredRecipe,
    list_files,
    list_recipes,
    problem_of,
    recipes_in_use,
    retired_path,
    revisions_in,
    stored_recipe,
)
from edgekd.station.recipes import Recipe, Release
from edgekd.toml_files import read_toml
from edgekd.verdicts.promise import promise_of, signs_of


def list_rows(recipes: Path) -> list[dict[str, Any]]:
    """All revisions for the list: by recipe, the newest first.

    Args:
        recipes: The folder of recipes; none is made yet where it does not exist.
    """
    if not recipes.is_dir():
        return []
    in_use = {each.folder for each in recipes_in_use(recipes)}
    stored = sorted(list_recipes(recipes), key=lambda each: (each.id, -each.revision))
    return [row_of(each, each.folder in in_use) for each in stored]


def row_of(stored: StoredRecipe, in_use: bool) -> dict[str, Any]:
    """A revision in the list.

    Args:
        stored: As it was found.
        in_use: Whether it is what its job loads.
    """
    recipe = stored.recipe
    release = None if recipe is None else recipe.release
    return {
        "id": stored.id,
        "revision": stored.revision,
        "job": None if recipe is None else recipe.job,
        "product": "" if recipe is None else recipe.product,
        "status": stored.status,
        "in_use": in_use,
        "released_by": "" if release is None else release.by,
        "at": "" if release is None else release.at,
        "reason": "" if release is None else release.reason,
        "retired": _retirement(stored),
        "digest": stored.digest,
        "problem": problem_of(stored),
    }


def find_revision(recipes: Path, name: str, revision: int) -> Path:
    """The folder of a revision.

    Args:
        recipes: The folder of recipes.
        name: Of the recipe.
        revision: Its number.

    Raises:
        LookupError: There is none.
    """
    if recipes.is_dir():
        for folder in revisions_in(recipes, name):
            if folder.name == str(revision):
                return folder
    raise LookupError(f"there is no recipe {name}/{revision}")


def facts_of(folder: Path, cameras: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """All that is shown of a revision.

    Args:
        folder: `ID/REVISION`, which exists.
        cameras: Of each station, by their names.

    Returns:
        The row of the list, and `recipe`, None where it cannot be read; then `problem` tells why. Of its artifact, None
        each where its manifest cannot be read: `detector`, `view`, `threshold` and `image_checks`.
    """
    stored = stored_recipe(folder)
    recipe = stored.recipe
    row = row_of(stored, folder in [each.folder for each in recipes_in_use(folder.parent.parent)])
    facts: dict[str, Any] = {**row, "recipe": None, "detector": None, "view": None, "threshold": None}
    facts |= {"image_checks": None, "references": [], "doubts": [], "files": []}
    if recipe is None:
        return facts
    facts |= {"recipe": recipe.model_dump(mode="json"), "references": _references(recipe)}
    try:
        facts["files"] = [{"name": name, "bytes": (folder / name).stat().st_size} for name in list_files(folder)]
        manifest = read_entries(manifest_path(folder / recipe.detector.artifact))
    except (EdgekdError, OSError) as error:
        return facts | {"problem": facts["problem"] or str(error)}
    return facts | {
        "detector": _detector(folder, recipe, manifest),
        "view": view_of(folder, recipe, manifest),
        "threshold": threshold_of(recipe, manifest),
        "image_checks": _checks(recipe, manifest),
        "doubts": list(doubts_of(folder, recipe, manifest, cameras)),
    }


def threshold_of(recipe: Recipe, manifest: Manifest) -> dict[str, Any] | None:
    """The threshold that judges, where it comes from, and what the artifact's own promises.

    Args:
        recipe: That may set one itself.
        manifest: Of its artifact.

    Returns:
        None where there is none yet. Of its `warnings`, each has a `code`, by which the page has it in the reader's
        language, what fills it in, and `text`, in English.
    """
    own, entry = recipe.detector.threshold, manifest.get("threshold")
    if own is None and not entry:
        return None
    entry = entry or {}
    return {
        "value": entry["value"] if own is None else own,
        "set_by_recipe": own is not None,
        "origin": recipe.detector.threshold_origin if own is not None else entry["origin"],
        "grey_zone": recipe.detector.grey_zone,
        "median_good": entry.get("median_good"),
        "of_artifact": entry.get("value"),
        "promise": promise_of(entry) if entry else "",
        "warnings": signs_of(entry) if entry else [],
        "history": [{"value": each.get("value"), "origin": each.get("origin")} for each in entry.get("history", ())],
    }


def doubts_of(
    folder: Path, recipe: Recipe, manifest: Manifest, cameras: Mapping[str, tuple[str, ...]]
) -> Iterator[dict[str, Any]]:
    """Why a station would not run a recipe, or not as expected.

    Args:
        folder: `ID/REVISION`.
        recipe: In it.
        manifest: Of its artifact.
        cameras: Of each station, by their names.

    Yields:
        `code`, by which the page has it in the reader's language, what fills it in, and `text`, in English.
    """
    if cameras and not any(set(names) <= set(recipe.cameras) for names in cameras.values()):
        own, wanted = (
            ", ".join(recipe.cameras),
            "; ".join(f"{name}: {', '.join(each)}" for name, each in cameras.items()),
        )
        text = f"no station has only cameras of this recipe ({own}): {wanted}"
        yield {"code": "cameras", "own": own, "wanted": wanted, "text": text}
    if not recipe.self_tests.references:
        text = "it holds no reference images, by which a station proves itself: it cannot be released"
        yield {"code": "references", "text": text}
    for each in recipes_in_use(folder.parent.parent):
        if each.id != recipe.id and each.recipe is not None and each.recipe.job == recipe.job:
            other = f"{each.id}/{each.revision}"
            text = f"job {recipe.job} is that of {other}: take another, or retire that one"
            yield {"code": "job", "job": recipe.job, "other": other, "text": text}
    threshold = threshold_of(recipe, manifest)
    if threshold is None:
        text = "neither the artifact nor the recipe holds a threshold: it cannot be released"
        yield {"code": "threshold", "text": text}
        return
    for reference in recipe.self_tests.references:
        middle = (reference.lowest + reference.highest) / 2
        judged = "NG" if is_ng(middle, threshold["value"], threshold["grey_zone"]) else "OK"
        if judged != reference.verdict:
            values = {"image": reference.image, "score": middle, "judged": judged, "expected": reference.verdict}
            about = f"{reference.image} scores about {middle:.4g}, which is {judged}, and must be {reference.verdict}"
            yield {"code": "self_test", **values, "text": f"the self-test would fail: {about}"}


def _references(recipe: Recipe) -> list[dict[str, Any]]:
    return [
        {"number": number, "name": each.image, "verdict": each.verdict, "lowest": each.lowest, "highest": each.highest}
        for number, each in enumerate(recipe.self_tests.references)
    ]


def _detector(folder: Path, recipe: Recipe, manifest: Manifest) -> dict[str, Any]:
    training = manifest.get("training") or {}
    quantization = manifest.get("quantization") or {}
    _, height, width = frame_shape(manifest)
    return {
        "artifact": recipe.detector.artifact,
        "sha256": manifest["sha256"],
        "signed": signature_path(folder / recipe.detector.artifact).is_file(),
        "system": manifest["system"],
        "precision": manifest["precision"],
        "height": height,
        "width": width,
        "macs": manifest["macs"],
        "trained": bool(manifest.get("trained")),
        "training_minutes": training.get("minutes"),
        "trained_images": training.get("trained_images"),
        "held_out_images": training.get("held_out_images"),
        "teachers": [each["name"] for each in manifest.get("teachers") or ()],
        "layers_in_float": len(quantization.get("layers_in_float") or ()),
        "engine": (manifest.get("engine") or {}).get("flavour") or "",
    }


def _checks(recipe: Recipe, manifest: Manifest) -> list[dict[str, Any]]:
    """The image checks with their limits; those that the recipe leaves out are not on."""
    from edgekd.verdicts.image_checks import CHECKS

    checks = manifest.get("image_checks") or {}
    return [
        {
            "name": name,
            "on": bool(checks[name].get("on", True)) and name not in recipe.detector.ignored_checks,
            "ignored": name in recipe.detector.ignored_checks,
            "limits": {key: value for key, value in checks[name].items() if key != "on"},
        }
        for name in CHECKS
        if checks.get(name)
    ]


def _retirement(stored: StoredRecipe) -> dict[str, str] | None:
    """Who took a revision out of use; None where nobody did, or it cannot be read."""
    if not stored.retired:
        return None
    try:
        return read_toml(retired_path(stored.folder), Release, "correct it").model_dump()
    except EdgekdError:
        return {"by": "", "at": "", "reason": ""}
