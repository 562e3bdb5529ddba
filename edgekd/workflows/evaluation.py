"""Evaluating an engine on a test set: the figures, and what a report shows of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.artifact import Manifest
from edgekd.data.layouts import Category, TestImage, read_mask
from edgekd.data.resizing import resize_image
from edgekd.engines import EVERY_MAP, Engine
from edgekd.errors import EdgekdError
from edgekd.papers.comparison import compare_with_paper
from edgekd.profiling.timing import device_record, summarise
from edgekd.reports.evaluation import EvaluationReport, ReportSample
from edgekd.reports.evaluation_figures import (
    PixelMetrics,
    decision_figures,
    image_figures,
    paper_figures,
    report_metrics,
)
from edgekd.result import Verdict
from edgekd.runner.pipeline import STAGES, Answer, inspect_stream
from edgekd.runner.sources import image_frames

REPORT_SIDE = 256  # Of an image in the report, in pixels.
AT_ONCE = 16  # Images that are in memory in their full size; more where a batch is larger.


class Evaluation(NamedTuple):
    """An evaluation for programs and for people.

    Attributes:
        figures: The content of `evaluate --json`.
        report: What the HTML report shows.
    """

    figures: dict[str, Any]
    report: EvaluationReport


def evaluate(engine: Engine, manifest: Manifest, category: Category) -> Evaluation:
    """Runs an engine over a category's test set and measures its answers.

    Args:
        engine: To measure.
        manifest: Of its artifact; its threshold gives the verdicts, where it has one.
        category: With its test images.

    Raises:
        EdgekdError: A test image cannot be read: a figure over the rest would be another test set's.
    """
    threshold = manifest["threshold"]["value"] if manifest.get("threshold") else None
    origin = manifest["threshold"]["origin"] if manifest.get("threshold") else "none is stored in the artifact"
    samples, timings, pixels = [], [], PixelMetrics(category)
    for image, reply in _answers(engine, category, np.inf if threshold is None else threshold):
        if reply.result.error:
            raise EdgekdError(f"the evaluation stopped: {reply.result.error}")
        mask = read_mask(image.mask, engine.spec.height, engine.spec.width) if image.mask else None
        pixels.add(image, reply, mask)
        samples.append(_sample(category, image, reply, mask))
        timings.append(reply.result.timings)
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
        "verdicts": None if threshold is None else _verdicts(samples),
        "size": engine.spec.height,
        "iterations": manifest.get("iterations"),
        "teachers": [{key: teacher[key] for key in ("name", "sha256")} for teacher in manifest.get("teachers", [])],
        "engine": {"backend": engine.spec.backend, "version": engine.spec.version, "device": engine.spec.device},
        "device": device_record(engine.spec.threads or 0),
    }
    figures["paper"] = compare_with_paper(manifest, category, figures)
    return Evaluation(figures, _report(engine, manifest, category, origin, figures, samples, latency))


def _answers(engine: Engine, category: Category, threshold: float) -> Iterator[tuple[TestImage, Answer]]:
    """The answers to the test images; the engine rests, and is not timed, while they are looked at."""
    batch = engine.spec.batch or 1
    at_once = batch * max(1, AT_ONCE // batch)
    for first in range(0, len(category.test), at_once):
        images = category.test[first : first + at_once]
        frames = image_frames([image.path for image in images])
        answers = list(inspect_stream(engine, frames, threshold, EVERY_MAP, keep_images=True))
        yield from zip(images, answers, strict=True)


def _sample(category: Category, image: TestImage, reply: Answer, mask: NDArray[np.bool_] | None) -> ReportSample:
    assert reply.image is not None
    assert reply.result.anomaly_map is not None
    return ReportSample(
        name=image.path.relative_to(category.root).as_posix(),
        defect=image.defect,
        defective=image.defective,
        score=reply.result.score,
        verdict=reply.result.verdict,
        image=resize_image(reply.image, REPORT_SIDE, REPORT_SIDE),
        anomaly_map=_for_report(reply.result.anomaly_map),
        mask=None if mask is None else _for_report(mask.astype(np.uint8)) > 0,
    )


def _for_report(values: NDArray[Any]) -> NDArray[Any]:
    """A map or mask in no more than the size that a report shows, for the memory of many."""
    height, width = values.shape
    if max(height, width) <= REPORT_SIDE:
        return values
    return np.asarray(cv2.resize(values, (REPORT_SIDE, REPORT_SIDE), interpolation=cv2.INTER_AREA))


def _verdicts(samples: list[ReportSample]) -> dict[str, int]:
    """How many verdicts of each kind, and how many of them are wrong."""
    counts = {verdict.value: sum(sample.verdict is verdict for sample in samples) for verdict in Verdict}
    false_rejects = sum(sample.verdict is Verdict.NG and not sample.defective for sample in samples)
    missed = sum(sample.verdict is Verdict.OK and sample.defective for sample in samples)
    return counts | {"false_rejects": false_rejects, "missed_defects": missed}


def _report(
    engine: Engine,
    manifest: Manifest,
    category: Category,
    origin: str,
    figures: dict[str, Any],
    samples: list[ReportSample],
    latency: dict[str, dict[str, float]],
) -> EvaluationReport:
    spec = engine.spec
    teachers = [f"{teacher['name']}, SHA-256 {teacher['sha256'][:16]}" for teacher in manifest.get("teachers", [])]
    device = device_record(spec.threads or 0)
    provenance = {
        "system": f"{manifest['system']}, {manifest['precision']}, {spec.width} x {spec.height} pixels",
        "trained": f"{manifest['iterations']} iterations" if manifest.get("trained") else "no: answers mean nothing",
        "teacher": "; ".join(teachers) or "none",
        "graph": f"{manifest['file']}, SHA-256 {manifest['sha256'][:16]}",
        "engine": f"{spec.backend} {spec.version}, {f'{spec.threads} threads' if spec.threads else spec.device}",
        "device": f"{device['processor']}, {device['system']}",
    }
    return EvaluationReport(
        title=f"{manifest['system'].upper().replace('_PLUS', '+')} on {category.name}",
        image_auroc=figures["image_auroc"],
        pixel_auroc=figures["pixel_auroc"],
        metrics=report_metrics(figures),
        threshold=figures["threshold"],
        threshold_origin=origin,
        samples=samples,
        provenance=provenance,
        latency=latency,
        paper=paper_figures(figures),
        notes=_notes(manifest, figures),
    )


def _notes(manifest: Manifest, figures: dict[str, Any]) -> list[str]:
    notes = [] if manifest.get("trained") else ["This detector is untrained: its answers mean nothing."]
    empty = figures["empty_masks"]
    if empty:
        notes.append(f"Defective images whose mask marks no pixel, left out of the pixel metrics: {empty}.")
    return notes
