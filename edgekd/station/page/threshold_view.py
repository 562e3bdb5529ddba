"""What a threshold did and would do: the scores on record against it, what good images promise, the table of limits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgekd.artifact import Manifest
from edgekd.station.page.recorded_scores import RecordedScore
from edgekd.verdicts.false_rejects import share_bound
from edgekd.verdicts.good_scores import most_above
from edgekd.verdicts.limits import limits_of

BINS = 60
SHOWN_BEYOND = 2.0  # Of the way from a typical good image to the threshold, above it; the last bin holds the rest.
NEAR = 6
MOST_CHANGED = 200
GreyZone = tuple[float, float] | None


def counted(recorded: Sequence[RecordedScore], threshold: float, grey_zone: GreyZone = None) -> dict[str, Any]:
    """How many parts on record a limit would make NG, and what people found them to be.

    Args:
        recorded: The last parts that the detector judged.
        threshold: Scores above it are NG.
        grey_zone: Scores inside are NG too.

    Returns:
        `parts`, `above` and `bound`, the share of such parts above the limit that is not exceeded with a confidence of
        95 %; of those that somebody looked at `good`, `good_above`, `bad` and `bad_below`, which the limit misses.
    """
    above = [is_ng(each.score, threshold, grey_zone) for each in recorded]
    of = {label: [ng for each, ng in zip(recorded, above, strict=True) if each.review == label] for label in LABELS}
    return {
        "parts": len(recorded),
        "above": sum(above),
        "bound": share_bound(sum(above), len(recorded)) if recorded else None,
        "good": len(of["good"]),
        "good_above": sum(of["good"]),
        "bad": len(of["bad"]),
        "bad_below": len(of["bad"]) - sum(of["bad"]),
    }


LABELS = ("good", "bad")


def is_ng(score: float, threshold: float, grey_zone: GreyZone = None) -> bool:
    """Whether a score is NG: above the threshold, or in the grey zone.

    Args:
        score: Of a part.
        threshold: Of the recipe.
        grey_zone: Likewise.
    """
    return score > threshold or (grey_zone is not None and grey_zone[0] <= score <= grey_zone[1])


def promised(manifest: Manifest, threshold: float) -> dict[str, Any] | None:
    """What the good images that the detector had not seen promise of any threshold.

    Args:
        manifest: Of the artifact.
        threshold: Scores above it are NG.

    Returns:
        `good_images`, `above`, of them at most, and `bound`, the share of new good parts above the threshold that is
        not exceeded with a confidence of 95 %; None where their scores are not known.
    """
    good, entry = manifest.get("good_scores"), manifest.get("threshold") or {}
    if not good:
        return None
    # Quantiles lie between images; of the artifact's own limits it was counted.
    limits = entry.get("limits", ()) if entry.get("good_images") == good["count"] else ()
    known = [limit["above"] for limit in limits if limit.get("above") is not None and limit["value"] <= threshold]
    above = min([most_above(good, threshold), *known])
    return {"good_images": good["count"], "above": above, "bound": share_bound(above, good["count"])}


def limit_table(
    manifest: Manifest, recorded: Sequence[RecordedScore], threshold: float, grey_zone: GreyZone
) -> list[dict[str, Any]]:
    """The table of limits: what was asked for, what is expected and sure, and what the record tells of each.

    Args:
        manifest: Of the artifact.
        recorded: The last parts that the detector judged.
        threshold: That the recipe judges by; where it is none of the artifact's limits it has a row of its own.
        grey_zone: Of the recipe.
    """
    rows = [
        {
            "asked": limit["false_reject_rate"],
            "expected": limit.get("expected"),
            "bound": limit.get("bound"),
            "threshold": limit["value"],
            "measured": counted(recorded, limit["value"]),
            "current": limit["value"] == threshold and grey_zone is None,
        }
        for limit in (manifest.get("threshold") or {}).get("limits", ())
    ]
    if not any(row["current"] for row in rows):
        promise = promised(manifest, threshold)
        own = {"asked": None, "expected": None, "bound": None if promise is None else promise["bound"]}
        own |= {"threshold": threshold, "measured": counted(recorded, threshold, grey_zone), "current": True}
        rows.append(own)
    return sorted(rows, key=lambda row: -row["threshold"])


def histogram(manifest: Manifest, recorded: Sequence[RecordedScore], threshold: float) -> dict[str, Any]:
    """How often scores on record occur, by verdict and by what people found.

    Args:
        manifest: Of the artifact.
        recorded: The last parts that the detector judged.
        threshold: That the recipe judges by.

    Returns:
        `edges` of the bins, the last of which holds all that lies beyond it too, and counts `ok`, `ng`, `good`, `bad`.
    """
    scores = np.array([each.score for each in recorded], np.float64)
    edges = _edges(manifest, scores, threshold)
    chosen = {
        "ok": [each.verdict == "OK" for each in recorded],
        "ng": [each.verdict == "NG" for each in recorded],
        **{label: [each.review == label for each in recorded] for label in LABELS},
    }
    clipped = np.clip(scores, edges[0], edges[-1])
    counts = {name: np.histogram(clipped[np.array(which, bool)], edges)[0].tolist() for name, which in chosen.items()}
    return {"edges": edges.tolist(), **counts}


def changes(recorded: Sequence[RecordedScore], threshold: float, grey_zone: GreyZone = None) -> dict[str, Any]:
    """What would have been another verdict by another threshold.

    Args:
        recorded: The last parts that the detector judged.
        threshold: To be tried.
        grey_zone: Likewise.

    Returns:
        How many parts would be `ok_to_ng` and `ng_to_ok`, and `changed`, the first of them, those nearest to the
        threshold first.
    """
    judged = [(each, "NG" if is_ng(each.score, threshold, grey_zone) else "OK") for each in recorded]
    changed = [(each, new) for each, new in judged if new != each.verdict]
    nearest = sorted(changed, key=lambda pair: abs(pair[0].score - threshold))[:MOST_CHANGED]
    return {
        "ok_to_ng": sum(new == "NG" for _, new in changed),
        "ng_to_ok": sum(new == "OK" for _, new in changed),
        "changed": [
            {"result_id": each.result_id, "old": each.verdict, "new": new, "score": each.score, "review": each.review}
            for each, new in nearest
        ],
    }


def nearest_ids(recorded: Sequence[RecordedScore], threshold: float) -> dict[str, list[int]]:
    """The parts just below and just above a threshold whose images are kept, the nearest first, by their result ids.

    Args:
        recorded: The last parts that the detector judged.
        threshold: To be looked at.
    """
    kept = sorted((each for each in recorded if each.image), key=lambda each: abs(each.score - threshold))
    return {
        "below": [each.result_id for each in kept if each.score <= threshold][:NEAR],
        "above": [each.result_id for each in kept if each.score > threshold][:NEAR],
    }


def listed(recorded: Sequence[RecordedScore], manifest: Manifest, threshold: float) -> list[dict[str, Any]]:
    """Parts on record as JSON, with their severity by a threshold; null where it is not known.

    Args:
        recorded: The last parts that the detector judged.
        manifest: Of the artifact.
        threshold: That severity is 1 at.
    """
    limits = limits_of(manifest, threshold)
    severities = (limits.severity(each.score) for each in recorded)
    return [
        {**each._asdict(), "severity": value if math.isfinite(value) else None}
        for each, value in zip(recorded, severities, strict=True)
    ]


def _edges(manifest: Mapping[str, Any], scores: np.ndarray[Any, Any], threshold: float) -> np.ndarray[Any, Any]:
    quantiles = [value for _, value in (manifest.get("good_scores") or {}).get("quantiles", ())]
    values = np.concatenate([scores, quantiles, [threshold]])
    low, high = float(values.min()), float(values.max())
    median = (manifest.get("threshold") or {}).get("median_good")
    way = threshold - median if median is not None else 0.0
    if way > 0:
        high = min(high, threshold + SHOWN_BEYOND * way)
    high = max(high, threshold + 0.05 * (threshold - low))  # So that the limit is inside.
    if not high > low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)
