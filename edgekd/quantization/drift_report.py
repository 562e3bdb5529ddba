"""The drift report: the same test images through torch and through every artifact of a run on every engine here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.data.layouts import Category, read_mask
from edgekd.engines import Engine, Frames
from edgekd.metrics.auroc import image_auroc, pixel_auroc
from edgekd.preprocessing import Size
from edgekd.quantization.drift import measure_drift, verdict_flips
from edgekd.quantization.running import GraphOutputs, in_batches


class Row(NamedTuple):
    """One artifact on one engine, or torch itself.

    Attributes:
        precision: "fp32", "fp16" or "int8".
        backend: "torch", "openvino", "onnxruntime".
        outputs: For every test image.
        threshold: Of the artifact; None where it has none.
    """

    precision: str
    backend: str
    outputs: GraphOutputs
    threshold: float | None


def outputs_of(engine: Engine, frames: Frames, on_frames: Callable[[int], None] = lambda done: None) -> GraphOutputs:
    """An engine's outputs for frames.

    Args:
        engine: Open.
        frames: uint8 [N, H, W, 3], BGR.
        on_frames: Called after each batch with the frames done so far.
    """
    batches = []
    for part, count in in_batches(frames, engine.spec.batch or 1):
        batches.append((engine.infer(part), count))
        on_frames(sum(count for _, count in batches))
    scores = np.concatenate([outputs.scores[:count] for outputs, count in batches])
    return GraphOutputs(scores, np.concatenate([outputs.anomaly_maps[:count] for outputs, count in batches]))


def masks_of(category: Category, size: Size) -> NDArray[np.bool_] | None:
    """The masks of a category's test images, bool [N, height, width]; None where it has none."""
    if not category.has_masks:
        return None
    empty = np.zeros(size, np.bool_)
    return np.stack([read_mask(test.mask, *size) if test.mask else empty for test in category.test])


def drift_report(
    rows: Sequence[Row], defective: Sequence[bool], masks: NDArray[np.bool_] | None
) -> list[dict[str, Any]]:
    """The drift of each row from the first.

    Args:
        rows: The reference first.
        defective: Of every test image.
        masks: Of their defective pixels; None where they are not known.

    Returns:
        A row of figures each: precision, backend, noise, largest, mean, rank_correlation, image_auroc, pixel_auroc,
        threshold, verdict_flips.
    """
    reference = rows[0]
    report = []
    for row in rows:
        drift = measure_drift(reference.outputs.maps, row.outputs.maps, reference.outputs.scores, row.outputs.scores)
        flips = None
        if reference.threshold is not None and row.threshold is not None:
            flips = verdict_flips(reference.outputs.scores, reference.threshold, row.outputs.scores, row.threshold)
        report.append(
            {"precision": row.precision, "backend": row.backend}
            | drift._asdict()
            | {
                "image_auroc": image_auroc(row.outputs.scores, list(defective)),
                "pixel_auroc": None if masks is None else pixel_auroc(list(row.outputs.maps), list(masks)),
                "threshold": row.threshold,
                "verdict_flips": flips,
            }
        )
    return report
