"""From good images to a detector in INT8 that is compared with what was trained; each step is done once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

import edgekd
from edgekd.artifact import read_manifest, require_current, write_json
from edgekd.data.images import Image, read_image
from edgekd.data.synthetic_defects import varied_defects
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.json_files import read_object
from edgekd.recipe import held_out_images, read_recipe
from edgekd.run_folder import DETECTOR_FILE, RECIPE_FILE, STUDENT_FILE, artifact_name
from edgekd.station.page.teaching.project_files import PRECISION, ProjectFiles, TrainingFiles
from edgekd.station.page.teaching.reporting import Report
from edgekd.station.page.teaching.trying import try_images
from edgekd.station.page.teaching.work_files import Order
from edgekd.verdicts.promise import promise_of

PROMISED = ("false_reject_rate", "expected", "bound", "above", "good_images")  # Figures of a threshold.
MOST_COMPARED = 30  # Good and defective images each that INT8 is compared on.
SEED = 0


def make_detector(project: ProjectFiles, order: Order, report: Report) -> None:
    """Trains, exports, compares and tries, and leaves out what was done before an interruption.

    Args:
        project: Whose images.
        order: Its options are `system`, `training`, which are those of `edgekd.train`, and the files of the images by
            their labels.
        report: Is told how far it is.

    Raises:
        EdgekdError: A step failed.
    """
    training = project.training(order.number)
    with report.step("images") as step:
        _link(project.images, order.options["good"], training.good)
        count = len(order.options["good"])
        step.came_to(f"{count} good images", count=count)
    with report.step("training") as step:
        trained = _train(training, order.options, report)
        figures = {name: trained[name] for name in ("iterations", "system", "device")}
        step.came_to("{iterations} iterations of {system} on {device}".format(**figures), **figures)
    for name, precision in (("float", "fp32"), ("int8", PRECISION)):
        with report.step(name) as step:
            threshold = _export(training.run, precision, report)
            if threshold:
                step.came_to(promise_of(threshold), **{name: threshold.get(name) for name in PROMISED})
    with report.step("drift") as step:
        rows = _compare(project, training, order, report)
        worst = max(row["noise"] for row in rows if row["precision"] == PRECISION)
        step.came_to(f"the INT8 map differs by {100 * worst:.1f} % of its deviation", noise=worst)
    with report.step("tries") as step:
        try_images(project, training, order.options["golden"], order.options["defect"], report, step)


def _link(source: Path, names: Sequence[str], target: Path) -> None:
    """Puts images into a folder of their own, so that it stays as it is while people go on collecting."""
    part = target.with_name(f"{target.name}.part")
    if target.exists():
        return
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name in names:
        _place(source / name, part / name)
    part.rename(target)


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise EdgekdError(f"the image {source.name} was removed: start the training again") from None
    except OSError:  # A disk without links.
        shutil.copyfile(source, target)


def _train(training: TrainingFiles, options: dict[str, Any], report: Report) -> dict[str, Any]:
    run = training.run
    if (run / STUDENT_FILE).exists() and training.trained.exists():
        return read_object(training.trained)
    asked: dict[str, Any] = options["training"]
    if "minutes" in asked:
        report.expect(60 * asked["minutes"])
    if (run / RECIPE_FILE).exists():
        result = edgekd.train(options["system"], run=run, resume=True, progress=report.progress)
    else:
        result = edgekd.train(options["system"], data=training.good, run=run, progress=report.progress, **asked)
    content = result.to_dict() | {"minutes": asked.get("minutes")}
    if (below := result.below_ceiling) is not None:
        code = "teacher_finds_little" if below.is_near else "trained_too_shortly"
        content["below_ceiling"] = {"code": code, **below.to_dict(), "text": str(below)}
    write_json(training.trained, content)
    return content


def _export(run: Path, precision: str, report: Report) -> dict[str, Any] | None:
    """Exports a run unless that was done, and returns the threshold."""
    artifact = run / artifact_name(DETECTOR_FILE, precision)
    try:
        manifest = read_manifest(artifact)
        require_current(artifact, manifest, run)
    except ArtifactError:
        manifest = edgekd.export(run, precision=precision, progress=report.progress).manifest
    threshold: dict[str, Any] | None = manifest.get("threshold")
    return threshold


def _compare(project: ProjectFiles, training: TrainingFiles, order: Order, report: Report) -> list[dict[str, Any]]:
    """Compares what was trained with what was exported; without defects of the part it paints some."""
    if training.drift.exists():
        rows: list[dict[str, Any]] = read_object(training.drift)["rows"]
        return rows
    shutil.rmtree(training.check, ignore_errors=True)
    good = [project.images / name for name in order.options["golden"].values()]
    good = [*held_out_images(read_recipe(training.run)), *good][:MOST_COMPARED]
    for path in good:
        _place(path, training.check / "test" / "good" / path.name)
    defects = list(order.options["defect"].values())[:MOST_COMPARED]
    for name in defects:
        _place(project.images / name, training.check / "test" / "defect" / name)
    if not defects:
        _paint_defects([read_image(path, order.options["training"].get("bit_depth")) for path in good], training.check)
    result = edgekd.drift(training.run, training.check, progress=report.progress)
    write_json(training.drift, {"images": result.images, "synthetic": not defects, "rows": result.rows})
    return result.rows


def _paint_defects(good: Sequence[Image], check: Path) -> None:
    images, masks = varied_defects(good, len(good), SEED)
    for folder in (check / "test" / "defect", check / "ground_truth" / "defect"):
        folder.mkdir(parents=True)
    for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
        cv2.imwrite(str(check / "test" / "defect" / f"{number:03}.png"), image)
        cv2.imwrite(str(check / "ground_truth" / "defect" / f"{number:03}_mask.png"), 255 * mask)
