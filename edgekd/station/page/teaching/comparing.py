"""A new detector on the recorded images, beside the one that is released: what it would have changed."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import edgekd
from edgekd.artifact import write_json
from edgekd.errors import EdgekdError
from edgekd.result import AnomalyResult
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.page.teaching.project_files import ProjectFiles
from edgekd.station.page.teaching.reporting import Report
from edgekd.station.page.teaching.work_files import Order
from edgekd.station.recipe_store import read_recipe
from edgekd.station.recipes import Detector
from edgekd.station.record.reading import MOST, Recorded, RecordReader

RIGHT = {"good": "OK", "bad": "NG"}


def compare(project: ProjectFiles, data: Path, recipes: Path, order: Order, report: Report) -> None:
    """Judges recorded images by the released recipe's detector and by the new one.

    Both judge the very images that are on record, so that whatever differs is the detectors' doing. Every NG and ERROR
    is on record, and one OK in so many: the counts are those of the record, not of the line.

    Args:
        project: Whose detector is new.
        data: Folder of the record.
        recipes: Folder of the recipes.
        order: Its options are `id` and `revision` of the released recipe, `station` and `most` images.
        report: Is told how far it is.

    Raises:
        EdgekdError: There is no recorded image, or a detector cannot be opened.
    """
    options, training = order.options, project.training(order.number)
    folder = recipes / options["id"] / str(options["revision"])
    released = read_recipe(folder).detector
    with RecordReader(data / VERDICTS_FILE) as record:
        found = list(_with_images(record, options["station"], options["most"]))
    if not found:
        raise EdgekdError("no image is on record for this station yet: let it judge some parts first")
    with report.step("comparison") as step, contextlib.ExitStack() as opened:
        old = opened.enter_context(
            edgekd.Inspector(
                folder / released.artifact, threshold=released.threshold, ignored_checks=released.ignored_checks
            )
        )
        new = opened.enter_context(edgekd.Inspector(training.artifact))
        entries = []
        for count, (recorded, path) in enumerate(found, start=1):
            entries.append(_entry(recorded, released, old(data / path), new(data / path)))
            report.progress("judging recorded images", count, len(found))
        content = _summary(entries) | {
            "old": {"id": options["id"], "revision": options["revision"]},
            "new": {"project": options["project"], "run": training.number},
        }
        write_json(training.comparison, content)
        step.text = f"{len(content['changed'])} of {content['n']} recorded parts would be judged otherwise"


def _with_images(record: RecordReader, station: str, most: int) -> Iterator[tuple[Recorded, str]]:
    """The newest answers whose image is on record, and its path."""
    before_id, left = None, most
    while left > 0 and (page := record.last(MOST, before_id, station)):
        for recorded in page:
            path = next((image.path for image in recorded.images if image.kind == "original"), None)
            if path is not None and left > 0:
                left -= 1
                yield recorded, path
        before_id = page[-1].outcome.result_id


def _verdict(result: AnomalyResult, detector: Detector) -> str:
    """The verdict as the recipe gives it: in its grey zone parts are NG."""
    zone = detector.grey_zone
    uncertain = zone is not None and zone[0] <= result.score <= zone[1]
    return "NG" if uncertain and result.error is None else result.verdict.value


def _entry(recorded: Recorded, released: Detector, old: AnomalyResult, new: AnomalyResult) -> dict[str, Any]:
    before, now = old.to_dict(), new.to_dict()
    return {
        "result_id": recorded.outcome.result_id,
        "part_id": recorded.outcome.part.part_id,
        "time_utc_ms": recorded.outcome.published_utc_ms,
        "recorded": recorded.outcome.verdict.value,
        "old": _verdict(old, released),
        "new": now["verdict"],
        **{f"{name}_old": before[name] for name in ("score", "severity")},
        **{f"{name}_new": now[name] for name in ("score", "severity")},
        "reviews": [review.label for review in recorded.reviews],
    }


def _summary(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What is shown: how often each verdict came, what changed, and who was right about what people reviewed."""
    reviewed = [each for each in entries if each["reviews"]]
    right = {
        which: sum(each[which] == RIGHT[each["reviews"][-1]] for each in reviewed)  # The last review counts.
        for which in ("old", "new")
    }
    counts = {which: Counter(each[which] for each in entries) for which in ("old", "new")}
    return {
        "n": len(entries),
        "counts": {which: {name: counts[which][name] for name in ("OK", "NG", "ERROR")} for which in counts},
        "changed": [each for each in entries if each["old"] != each["new"]],
        "reviewed": {"n": len(reviewed), "old_right": right["old"], "new_right": right["new"]},
    }
