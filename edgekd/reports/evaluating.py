"""Evaluating an engine on a test set: the figures, and what a report shows of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from edgekd.artifact import Manifest
from edgekd.data.layouts import Category, read_mask
from edgekd.data.pictures import resize_picture
from edgekd.engines import EVERY_MAP, Engine
from edgekd.errors import EdgekdError
from edgekd.metrics.auroc import image_auroc, pixel_auroc
from edgekd.profiling.timing import device_record, summarise
from edgekd.reports.evaluation import EvaluationReport, ReportSample
from edgekd.result import Verdict
from edgekd.runner.pipeline import STAGES, Answer, inspect_stream
from edgekd.runner.sources import picture_frames

REPORT_SIDE = 256  # Of a picture in the report, in pixels.


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
        category: With its test pictures.

    Raises:
        EdgekdError: A test picture cannot be read: a figure over the rest would be another test set's.
    """
    threshold = manifest["threshold"]["value"] if manifest.get("threshold") else None
    paths = [picture.path for picture in category.test]
    limit = np.inf if threshold is None else threshold
    answers = list(inspect_stream(engine, picture_frames(paths), limit, EVERY_MAP, keep_pictures=True))
    samples = [_sample(engine, category, index, reply) for index, reply in enumerate(answers)]
    scores, defective = [sample.score for sample in samples], [sample.defective for sample in samples]
    image = image_auroc(scores, defective)
    pixel = pixel_auroc(*_maps_and_masks(engine, samples)) if category.has_masks else None
    latency = {stage: summarise([reply.result.timings[stage] for reply in answers]) for stage in STAGES}
    figures = {
        "system": manifest["system"],
        "precision": manifest["precision"],
        "sha256": manifest["sha256"],
        "category": category.name,
        "test_good": defective.count(False),
        "test_defective": defective.count(True),
        "image_auroc": image,
        "pixel_auroc": pixel,
        "threshold": threshold,
        "verdicts": None if threshold is None else _verdicts(samples),
        "size": engine.spec.height,
        "iterations": manifest.get("iterations"),
        "teachers": [{key: teacher[key] for key in ("name", "sha256")} for teacher in manifest.get("teachers", [])],
        "engine": {"backend": engine.spec.backend, "version": engine.spec.version},
        "device": device_record(engine.spec.threads or 0),
    }
    return Evaluation(figures, _report(engine, manifest, category, figures, samples, latency))


def _sample(engine: Engine, category: Category, index: int, reply: Answer) -> ReportSample:
    if reply.result.error:
        raise EdgekdError(f"the evaluation stopped: {reply.result.error}")
    picture, spec = category.test[index], engine.spec
    assert reply.picture is not None
    return ReportSample(
        name=picture.path.relative_to(category.root).as_posix(),
        defect=picture.defect,
        defective=picture.defective,
        score=reply.result.score,
        verdict=reply.result.verdict,
        picture=resize_picture(reply.picture, REPORT_SIDE, REPORT_SIDE),
        anomaly_map=reply.result.anomaly_map,
        mask=read_mask(picture.mask, spec.height, spec.width) if picture.mask else None,
    )


def _maps_and_masks(engine: Engine, samples: list[ReportSample]) -> tuple[list[Any], list[Any]]:
    """Maps and masks of the same order; a good picture's mask is empty."""
    empty = np.zeros((engine.spec.height, engine.spec.width), np.bool_)
    maps = [sample.anomaly_map for sample in samples]
    return maps, [empty if sample.mask is None else sample.mask for sample in samples]


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
        "engine": f"{spec.backend} {spec.version}, {spec.threads} threads",
        "device": f"{device['processor']}, {device['system']}",
    }
    origin = manifest["threshold"]["origin"] if manifest.get("threshold") else "none is stored in the artifact"
    return EvaluationReport(
        title=f"{manifest['system'].upper().replace('_PLUS', '+')} on {category.name}",
        image_auroc=figures["image_auroc"],
        pixel_auroc=figures["pixel_auroc"],
        threshold=figures["threshold"],
        threshold_origin=origin,
        samples=samples,
        provenance=provenance,
        latency=latency,
        notes=[] if manifest.get("trained") else ["This detector is untrained: its answers mean nothing."],
    )
