"""The images that an evaluation report shows: where the detector is wrong, and where it is most certain."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edgekd.data.images import Image
from edgekd.data.resizing import resize_image
from edgekd.heatmap import REGION, outline, overlay
from edgekd.reports.evaluation import EvaluationReport, ReportSample
from edgekd.result import Verdict

PER_GROUP = 6
LARGEST_SIDE = 256
JPEG_QUALITY = 82  # With 4 groups of 6 cards of 2 images, even noise stays below 3 MB.


@dataclass(frozen=True)
class Card:
    """A sample of the gallery; its images are data URIs, None where the sample has none."""

    sample: ReportSample
    image: str | None
    heat_map: str | None


@dataclass(frozen=True)
class Group:
    """Samples that are shown together, the most interesting first."""

    title: str
    explanation: str
    cards: list[Card]


def gallery(report: EvaluationReport) -> list[Group]:
    """Picks the samples to show and encodes their images; groups without a sample are left out."""
    low, high = colour_range(report.samples)
    return [
        Group(title, explanation, [_card(sample, low, high, report.pixel_limit) for sample in samples])
        for title, explanation, samples in _picks(report)
        if samples
    ]


def colour_range(samples: Sequence[ReportSample]) -> tuple[float, float]:
    """The map values between which heat maps fade in, the same for every image of a report.

    Returns:
        The median over good images of their maps' 99th percentile, and the median over defective images of their maps'
        peak.
    """
    backgrounds, peaks, all_peaks = [], [], [0.0]
    for sample in samples:
        values = np.empty(0) if sample.anomaly_map is None else sample.anomaly_map[np.isfinite(sample.anomaly_map)]
        if values.size:
            all_peaks.append(float(values.max()))
            if sample.defective:
                peaks.append(all_peaks[-1])
            else:
                backgrounds.append(float(np.percentile(values, 99)))
    low = float(np.median(backgrounds)) if backgrounds else 0.0
    high = float(np.median(peaks)) if peaks else max(all_peaks)
    # The peaks of a detector that finds nothing are in the background: then only the very highest are drawn.
    return low, high if high > low else max(all_peaks)


def _picks(report: EvaluationReport) -> list[tuple[str, str, list[ReportSample]]]:
    """Title, explanation and samples of every group."""
    ordered = sorted((sample for sample in report.samples if sample.scored), key=lambda sample: sample.score)
    good = [sample for sample in ordered if not sample.defective]
    defective = [sample for sample in ordered if sample.defective]
    if report.threshold is None:
        return [
            ("Lowest-scoring defects", "Defective, lowest scores first.", defective[:PER_GROUP]),
            ("Highest-scoring good", "Good, highest scores first.", good[::-1][:PER_GROUP]),
            ("Most anomalous", "Defective, highest scores first.", defective[::-1][:PER_GROUP]),
            ("Best good", "Good, lowest scores first.", good[:PER_GROUP]),
        ]
    missed, passed = (_judged(samples, Verdict.OK) for samples in (defective, good))
    found, rejected = (_judged(samples, Verdict.NG)[::-1] for samples in (defective, good))
    return [
        ("Missed defects", "Defective but judged OK, lowest scores first.", missed[:PER_GROUP]),
        ("False rejects", "Good but judged NG, highest scores first.", rejected[:PER_GROUP]),
        ("Most anomalous", "Defects found, highest scores first.", found[:PER_GROUP]),
        ("Best good", "Good and judged OK, lowest scores first.", passed[:PER_GROUP]),
    ]


def _judged(samples: Sequence[ReportSample], verdict: Verdict) -> list[ReportSample]:
    return [sample for sample in samples if sample.verdict is verdict]


def _card(sample: ReportSample, low: float, high: float, pixel_limit: float) -> Card:
    if sample.image is None:
        return Card(sample, None, None)
    image = drawn = _shrunk(sample.image)
    if sample.anomaly_map is not None:
        drawn = overlay(image, sample.anomaly_map, low, high)
        if (found := sample.anomaly_map > pixel_limit).any():
            drawn = outline(drawn, found, REGION)
    if sample.mask is not None:
        drawn = outline(drawn, sample.mask)
    return Card(sample, data_uri(image), None if drawn is image else data_uri(drawn))


def shrunk_data_uri(image: Image) -> str:
    """An image for a page, at most 256 pixels wide and high.

    Args:
        image: uint8 [H, W, 3], BGR.
    """
    return data_uri(_shrunk(image))


def _shrunk(image: Image) -> Image:
    height, width = image.shape[:2]
    shrink = min(1.0, LARGEST_SIDE / max(height, width))
    return resize_image(image, max(1, round(height * shrink)), max(1, round(width * shrink)))


def data_uri(image: Image) -> str:
    """An image as a JPEG inside a page; uint8 [H, W, 3], BGR."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
