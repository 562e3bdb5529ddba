"""Whether a line is still the one that its detector was trained for: recent results beside the good images'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.artifact import Manifest, manifest_path, read_entries
from edgekd.errors import EdgekdError
from edgekd.result import Verdict
from edgekd.station.page.trends import Span
from edgekd.station.parts import Outcome
from edgekd.station.recipe_store import read_recipe
from edgekd.station.recipes import NAME
from edgekd.station.record.reading import RecordReader
from edgekd.verdicts.monitor import WINDOWS, Monitor, image_monitors, score_monitor

LOOKED_AT = 1000  # Results; the longest window of the monitor is 200 parts.
BAND = (0.05, 0.5, 0.95)  # Shares of the good images, between which nothing has moved.


def drift_of(record: RecordReader, recipes: Path, span: Span) -> dict[str, Any]:
    """What has moved since the recipe that judged last was taught, as JSON has it.

    Args:
        record: The record.
        recipes: Folder of the recipes.
        span: Whose results, and of which recipe; its hours do not matter.

    Returns:
        `recipe`, `revision`, `looked_at` (results), `needed` (so many before anything can be told), `moved` (a line
        each), and where most of the good images' values lie, as `score` and `checks` by their names, each with p5, p50
        and p95; `problem` says why nothing is known.
    """
    last = record.newest(
        "station = ? AND (? = '' OR recipe = ?) AND (? = 0 OR revision = ?) AND revision > 0",
        (span.station, span.recipe, span.recipe, span.revision, span.revision),
        1,
    )
    if not last:
        return _nothing("", 0, "There is no result of this recipe on record yet.")
    recipe, revision = last[0].outcome.recipe_id, last[0].outcome.revision
    try:
        manifest = _manifest(recipes, recipe, revision)
    except EdgekdError as error:
        return _nothing(recipe, revision, str(error))
    if not (manifest.get("good_scores") or (manifest.get("image_checks") or {}).get("quantiles")):
        return _nothing(recipe, revision, "The detector does not hold what its good images were like.")
    found = record.newest(
        "station = ? AND recipe = ? AND revision = ? AND NOT self_test AND verdict != ?",
        (span.station, recipe, revision, Verdict.ERROR.value),
        LOOKED_AT,
    )
    return {
        "recipe": recipe,
        "revision": revision,
        "looked_at": len(found),
        "needed": WINDOWS[0],
        "moved": moved(manifest, [each.outcome for each in reversed(found)]),
        "score": _band((manifest.get("good_scores") or {}).get("quantiles")),
        "checks": {
            name: band
            for name, quantiles in ((manifest.get("image_checks") or {}).get("quantiles") or {}).items()
            if (band := _band(quantiles)) is not None
        },
        "problem": "",
    }


def moved(manifest: Manifest, outcomes: Sequence[Outcome]) -> list[str]:
    """What has moved and is not back, a line each.

    Args:
        manifest: Of the detector that judged.
        outcomes: Its answers, the oldest first; those that are ERROR are left out.
    """
    scores = score_monitor(manifest.get("good_scores"), (manifest.get("threshold") or {}).get("good_images"))
    checks = image_monitors(manifest.get("image_checks"))
    for outcome in outcomes:
        seen = outcome.inspected
        if seen is None or outcome.verdict is Verdict.ERROR:
            continue
        name = f"part {outcome.part.part_id}" if outcome.part.part_id else f"result {outcome.result_id}"
        at = datetime.fromtimestamp(outcome.published_utc_ms / 1000, timezone.utc).astimezone()
        if scores is not None:
            scores.add(seen.score, name, at)
        for check, monitor in checks.items():
            if check in seen.checks:
                monitor.add(seen.checks[check], name, at)
    monitors: list[Monitor] = [*([scores] if scores is not None else []), *checks.values()]
    return [monitor.moved for monitor in monitors if monitor.moved is not None]


def _manifest(recipes: Path, recipe: str, revision: int) -> Manifest:
    if not NAME.fullmatch(recipe):  # A record that came from elsewhere.
        raise EdgekdError("The recipe has a name that no recipe can have.")
    folder = recipes / recipe / str(revision)
    return read_entries(manifest_path(folder / read_recipe(folder).detector.artifact))


def _band(quantiles: Sequence[Sequence[float]] | None) -> Mapping[str, float] | None:
    """Where most values of the good images lie."""
    if not quantiles:
        return None
    shares, values = zip(*quantiles, strict=True)
    return {f"p{share * 100:g}": float(np.interp(share, shares, values)) for share in BAND}


def _nothing(recipe: str, revision: int, problem: str) -> dict[str, Any]:
    known = {"recipe": recipe, "revision": revision, "looked_at": 0, "needed": WINDOWS[0], "moved": []}
    return {**known, "score": None, "checks": {}, "problem": problem}
