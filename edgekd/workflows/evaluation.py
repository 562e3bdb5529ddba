"""Evaluating an open engine on a test set: the figures, and what a report shows of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.artifact import Manifest
from edgekd.data.images import Image
from edgekd.data.layouts import Category, TestImage, read_mask
from edgekd.data.resizing import resize_image
from edgekd.engines import EVERY_MAP, Engine
from edgekd.errors import EdgekdError
from edgekd.papers.comparison import compare_with_paper
from edgekd.preprocessing import Size, in_pixels
from edgekd.profiling.timing import device_record, summarise
from edgekd.progress import Progress, silent
from edgekd.reports.evaluation import EvaluationReport, ReportSample
from edgekd.reports.metric_titles import paper_figures, report_metrics
from edgekd.reports.view_image import draw_view
from edgekd.runner.pipeline import STAGES, Answer, error_of, images_per_batch, inspect_stream
from edgekd.runner.sources import image_frames
from edgekd.verdicts.limits import Limits, measuring_limits
from edgekd.verdicts.promise import promise_of, warnings_of
from edgekd.view import View, describe
from edgekd.workflows.evaluation_figures import (
    PixelMetrics,
    decision_figures,
    image_figures,
    limit_counts,
    verdict_counts,
)

REPORT_SIDE = 256  # The longer side of an image in the report, in pixels.
AT_ONCE = 16  # Images that are in memory in their full size; more where a batch is larger.


class Evaluation(NamedTuple):
    """An evaluation for programs and for people.

    Attributes:
        figures: The content of `evaluate --json`.
        report: What the HTML report shows.
    """

    figures: dict[str, Any]
    report: EvaluationReport


def evaluate_engine(engine: Engine, manifest: Manifest, category: Category, progress: Progress = silent) -> Evaluation:
    """Runs an engine over a category's test set and measures its answers.

    Args:
        engine: To evaluate.
        manifest: Of its artifact; its threshold gives the verdicts, where it has one.
        category: With its test images.
        progress: Called after each image.

    Raises:
        EdgekdError: A test image cannot be read or gets no clean answer: figures over the rest would be those of
            another test set.
    """
    threshold = manifest["threshold"]["value"] if manifest.get("threshold") else None
    origin = manifest["threshold"]["origin"] if manifest.get("threshold") else "the artifact holds no threshold"
    samples, timings, pixels = [], [], PixelMetrics(category, engine.preprocessing.view)
    example: Image | None = None
    step, total = f"evaluating {len(category.test)} images", len(category.test)
    for image, answer in _answers(engine, category, measuring_limits(manifest)):
        if answer.result.error:
            raise EdgekdError(f"the evaluation stopped: {error_of(answer)}")
        assert answer.result.anomaly_map is not None
        mask = read_mask(image.mask, *answer.result.anomaly_map.shape) if image.mask else None
        pixels.add(image, answer, mask)
        samples.append(_sample(category, image, answer, mask))
        timings.append(answer.result.timings)
        progress(step, len(samples), total)
        if example is None and _is_worth_drawing(engine.preprocessing.view) and answer.image is not None:
            example = draw_view(answer.image, engine.preprocessing)
    latency = {stage: summarise([times[stage] for times in timings]) for stage in STAGES}
    defective = [sample.defective for sample in samples]
    figures = {
        "system": manifest["system"],
        "precision": manifest["precision"],
        "sha256": manifest["sha256"],
        "category": category.name,
        "test_good": defective.count(False),
        "test_defective": defective.count(True),
        **image_figures(category, samples),
        **pixels.figures(),
        **decision_figures(samples, threshold, origin),
        "threshold": threshold,
        "verdicts": None if threshold is None else verdict_counts(samples),
        "limits": limit_counts(samples, manifest),
        "size": (engine.spec.height, engine.spec.width),
        "iterations": manifest.get("iterations"),
        "teachers": [{key: teacher[key] for key in ("name", "sha256")} for teacher in manifest.get("teachers", [])],
        "engine": {"backend": engine.spec.backend, "version": engine.spec.version, "device": engine.spec.device},
        "device": device_record(engine.spec.threads or 0),
    }
    figures["paper"] = compare_with_paper(manifest, category, figures)
    return Evaluation(figures, _report(engine, manifest, origin, figures, samples, latency, example))


def _is_worth_drawing(view: View) -> bool:
    return view.is_partial or view.align is not None or view.count > 1


def _answers(engine: Engine, category: Category, limits: Limits) -> Iterator[tuple[TestImage, Answer]]:
    """The answers to the test images; the engine rests, and is not timed, while they are looked at."""
    batch = images_per_batch(engine)
    at_once = batch * max(1, AT_ONCE // batch)
    for first in range(0, len(category.test), at_once):
        images = category.test[first : first + at_once]
        frames = image_frames([image.path for image in images], engine.preprocessing.bit_depth)
        answers = list(inspect_stream(engine, frames, limits, EVERY_MAP, keep_images=True))
        yield from zip(images, answers, strict=True)


def _sample(category: Category, image: TestImage, answer: Answer, mask: NDArray[np.bool_] | None) -> ReportSample:
    assert answer.image is not None
    assert answer.result.anomaly_map is not None
    return ReportSample(
        name=image.path.relative_to(category.root).as_posix(),
        defect=image.defect,
        defective=image.defective,
        score=answer.result.score,
        verdict=answer.result.verdict,
        image=resize_image(answer.image, *_report_size(answer.image)),
        anomaly_map=_for_report(answer.result.anomaly_map),
        mask=None if mask is None else _for_report(mask.astype(np.uint8)) > 0,
        severity=answer.result.severity,
    )


def _for_report(values: NDArray[Any]) -> NDArray[Any]:
    """A map or mask no larger than a report shows it, since those of all images are kept in memory."""
    if max(values.shape) <= REPORT_SIDE:
        return values
    height, width = _report_size(values)
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA))


def _report_size(values: NDArray[Any]) -> Size:
    """Height and width of an image or a map in the report, where it keeps its shape."""
    height, width = values.shape[:2]
    scale = REPORT_SIDE / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _report(
    engine: Engine,
    manifest: Manifest,
    origin: str,
    figures: dict[str, Any],
    samples: list[ReportSample],
    latency: dict[str, dict[str, float]],
    example: Image | None,
) -> EvaluationReport:
    return EvaluationReport(
        title=f"{manifest['system'].upper().replace('_PLUS', '+')} on {figures['category']}",
        image_auroc=figures["image_auroc"],
        pixel_auroc=figures["pixel_auroc"],
        metrics=report_metrics(figures),
        threshold=figures["threshold"],
        threshold_origin=origin,
        samples=samples,
        provenance=_provenance(engine, manifest),
        latency=latency,
        paper=paper_figures(figures),
        notes=_notes(manifest, figures),
        pixel_limit=measuring_limits(manifest).pixel_limit,
        limits=figures["limits"] or [],
        view=describe(engine.preprocessing.view),
        view_image=example,
    )


def _provenance(engine: Engine, manifest: Manifest) -> dict[str, str]:
    spec = engine.spec
    teachers = [f"{teacher['name']}, SHA-256 {teacher['sha256'][:16]}" for teacher in manifest.get("teachers", [])]
    device = device_record(spec.threads or 0)
    return {
        "System": f"{manifest['system']}, {manifest['precision']}, {in_pixels((spec.height, spec.width))}",
        "View": describe(engine.preprocessing.view),
        "Training": f"{manifest['iterations']} iterations" if manifest.get("trained") else "none: scores mean nothing",
        "Teacher": "; ".join(teachers) or "none",
        "Graph": f"{manifest['file']}, SHA-256 {manifest['sha256'][:16]}",
        "Engine": f"{spec.backend} {spec.version}, {f'{spec.threads} threads' if spec.threads else spec.device}",
        "Device": f"{device['processor']}, {device['system']}",
    }


def _notes(manifest: Manifest, figures: dict[str, Any]) -> list[str]:
    notes = [] if manifest.get("trained") else ["This detector is untrained: its scores mean nothing."]
    empty = figures["empty_masks"]
    if figures["unseen_defects"]:
        notes.append(
            "Defective images whose defect lies wholly where the view does not look, left out of the pixel metrics: "
            f"{figures['unseen_defects']}."
        )
    if empty:
        notes.append(f"Defective images whose mask marks no pixel, left out of the pixel metrics: {empty}.")
    if manifest.get("threshold"):
        lines = (promise_of(manifest["threshold"]), *warnings_of(manifest["threshold"]))
        notes += [f"The threshold: {line}." for line in lines]
    return notes
