"""The threshold of a recipe on the page: over the scores on record, and what another one would have changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from pydantic import Field

from edgekd.artifact import Manifest, manifest_path, read_entries
from edgekd.station.page import threshold_view
from edgekd.station.page.context import Page
from edgekd.station.page.recipe_facts import threshold_of
from edgekd.station.page.recorded import recorded_result
from edgekd.station.page.recorded_scores import RecordedScore, recorded_scores
from edgekd.station.page.routes.recipes import REVISION, Body, Engineer, Folder, OfPage
from edgekd.station.recipe_store import read_recipe
from edgekd.station.recipes import Recipe

router = APIRouter(prefix="/api/recipes")
Score = Annotated[float, Field(allow_inf_nan=False, ge=-1e15, le=1e15)]


class Try(Body):
    """A threshold to be tried, and a grey zone with it."""

    threshold: Score
    grey_zone: tuple[Score, Score] | None = None


@router.get(f"{REVISION}/threshold")
def show(page: OfPage, user: Engineer, folder: Folder) -> dict[str, Any]:
    """The scores of good images and of the last parts, the table of limits, and the parts just below and above."""
    recipe, manifest, recorded = _read(page, folder)
    now = threshold_of(recipe, manifest)
    if now is None:
        raise HTTPException(409, "This recipe has no threshold yet: set detector.threshold.")
    value, zone = now["value"], now["grey_zone"]
    return {
        "now": now,
        "promised": threshold_view.promised(manifest, value),
        "good_scores": manifest.get("good_scores"),
        "scores": threshold_view.listed(recorded, manifest, value),
        "histogram": threshold_view.histogram(manifest, recorded, value),
        "table": threshold_view.limit_table(manifest, recorded, value, zone),
        "near": _near(page, recorded, value),
    }


@router.post(f"{REVISION}/threshold/try")
def try_out(page: OfPage, user: Engineer, folder: Folder, body: Try) -> dict[str, Any]:
    """What another threshold would have changed among the parts on record; nothing is set."""
    _, manifest, recorded = _read(page, folder)
    return {
        "threshold": body.threshold,
        "grey_zone": body.grey_zone,
        "promised": threshold_view.promised(manifest, body.threshold),
        "measured": threshold_view.counted(recorded, body.threshold, body.grey_zone),
        **threshold_view.changes(recorded, body.threshold, body.grey_zone),
        "near": _near(page, recorded, body.threshold),
    }


def _read(page: Page, folder: Path) -> tuple[Recipe, Manifest, list[RecordedScore]]:
    recipe = read_recipe(folder)
    manifest = read_entries(manifest_path(folder / recipe.detector.artifact))
    return recipe, manifest, recorded_scores(page.record.path, manifest["sha256"])


def _near(page: Page, recorded: list[RecordedScore], threshold: float) -> dict[str, Any]:
    ids = threshold_view.nearest_ids(recorded, threshold)
    found = {side: [page.record.result(each) for each in of_side] for side, of_side in ids.items()}
    return {side: [recorded_result(each) for each in results if each is not None] for side, results in found.items()}
