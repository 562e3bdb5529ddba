"""What is shown of a training before a release: promise, limits, drift, and what the detector says of parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from edgekd.artifact import read_manifest
from edgekd.json_files import read_object
from edgekd.station.page.teaching.project_files import TrainingFiles
from edgekd.verdicts.false_rejects import share_bound
from edgekd.verdicts.promise import promise_of, signs_of

OF_TRAINING = ("system", "minutes", "seconds", "iterations", "images", "held_out", "copies", "teachers", "device")
OF_THRESHOLD = (
    *("value", "false_reject_rate", "expected", "bound", "above", "good_images", "trained_images", "images_wanted"),
    *("origin", "median_good"),
)


def result_of(training: TrainingFiles) -> dict[str, Any]:
    """Everything that is shown of a training that is complete.

    Args:
        training: Its files.

    Raises:
        ArtifactError: A file is missing or damaged.
    """
    trained, manifest = read_object(training.trained), read_manifest(training.artifact)
    tried, threshold = read_object(training.tries), manifest.get("threshold")
    # Where trying was stopped after another limit was chosen, what is there was tried by the limit before.
    is_current = threshold is None or tried["threshold"] == threshold["value"]
    tries: list[dict[str, Any]] = tried["tries"] if is_current else []
    _, height, width, _ = manifest["inputs"]["frames"]["shape"]
    return {
        "run": {
            "number": training.number,
            **{name: trained[name] for name in OF_TRAINING},
            "size": [height, width],
            "below_ceiling": _sign(trained["below_ceiling"]),
        },
        "artifact": {
            "file": training.artifact.name,
            "precision": manifest["precision"],
            "sha256": manifest["sha256"],
            "bytes": training.artifact.stat().st_size,
        },
        "threshold": None if threshold is None else _threshold(threshold),
        "limits": [] if threshold is None else [_limit(each, threshold, tries) for each in threshold["limits"]],
        "drift": read_object(training.drift),
        "tries": tries,
        "tried": {
            "golden": sum(each["label"] == "golden" for each in tries),
            "golden_ok": sum(each["label"] == "golden" and each["as_expected"] for each in tries),
            "defect": sum(each["label"] == "defect" for each in tries),
            "defect_ng": sum(each["label"] == "defect" and each["as_expected"] for each in tries),
        },
    }


def _threshold(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: entry.get(name) for name in OF_THRESHOLD},
        "promise": promise_of(entry),
        "warnings": signs_of(entry),
        "suspicious": [
            {"name": each["name"], "score": each["score"], "image": _number(each["name"])}
            for each in entry.get("suspicious", ())
        ],
    }


def _sign(kept: Any) -> Any:
    """A warning with its figures; of an earlier training its text alone, None where there is none."""
    return {"code": "", "text": kept} if isinstance(kept, str) else kept


def _number(name: str) -> int | None:
    """The project's image that a file was."""
    stem = PurePath(name).stem
    return int(stem) if stem.isdecimal() else None


def _limit(
    limit: Mapping[str, Any], threshold: Mapping[str, Any], tries: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """A row of the table: what the limit promises, and how many of the defects that were tried it misses."""
    row = {name: limit[name] for name in ("false_reject_rate", "value", "expected", "bound")}
    row |= {"good": threshold["good_images"], "rejected": limit["above"]}
    scores = [each["score"] for each in tries if each["label"] == "defect" and each["score"] is not None]
    missed = sum(score <= limit["value"] for score in scores)
    bound = share_bound(missed, len(scores)) if scores else None
    return row | {"ng": len(scores), "missed": missed, "missed_bound": bound}
