"""The drift report: the same test images through torch and through every artifact of a run on every engine here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.data.layouts import Category, read_mask
from edgekd.data.preparing import Placement, assemble, frame_scores
from edgekd.engines import Engine, Frames, Outputs, require_finite
from edgekd.metrics.auroc import image_auroc, pixel_auroc
from edgekd.preprocessing import Preprocessing, Size
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


def outputs_of(
    engine: Engine,
    frames: Frames,
    on_frames: Callable[[int], None] = lambda done: None,
    names: Sequence[str] | None = None,
) -> GraphOutputs:
    """An engine's outputs for frames.

    Args:
        engine: Open.
        frames: uint8 [N, H, W, 3], BGR.
        on_frames: Called after each batch with the frames done so far.
        names: What each frame is called, for errors; None for its number.

    Raises:
        EdgekdError: A score or a map is not finite.
    """
    batches: list[tuple[Outputs, int]] = []
    called = names or [f"frame {index}" for index in range(len(frames))]
    for part, count in in_batches(frames, engine.spec.batch or 1):
        outputs, done = engine.infer(part), sum(count for _, count in batches)
        require_finite(outputs, called[done : done + count])
        batches.append((outputs, count))
        on_frames(sum(count for _, count in batches))
    scores = np.concatenate([outputs.scores[:count] for outputs, count in batches])
    return GraphOutputs(scores, np.concatenate([outputs.anomaly_maps[:count] for outputs, count in batches]))


class Prepared(NamedTuple):
    """How test images became the frames that were computed.

    Attributes:
        preprocessing: Of the run.
        placements: Of each image.
    """

    preprocessing: Preprocessing
    placements: Sequence[Placement]

    def scores(self, outputs: GraphOutputs) -> NDArray[np.float32]:
        """The scores of the images, float32 [N]."""
        return frame_scores(outputs.scores, self.preprocessing)

    def pixel_auroc(self, outputs: GraphOutputs, masks: Sequence[NDArray[np.bool_]]) -> float:
        """Good against defective pixels of the whole images, of those that are looked at."""
        maps, looked_at = self.maps(outputs), list(masks)
        if self.preprocessing.view.leaves_out:
            looked_at = [mask[~np.isnan(each)] for mask, each in zip(masks, maps, strict=True)]
            maps = [each[~np.isnan(each)] for each in maps]
        return pixel_auroc(maps, looked_at)

    def maps(self, outputs: GraphOutputs) -> list[NDArray[np.float32]]:
        """The anomaly maps of the whole images."""
        tiles = self.preprocessing.tiles
        return [
            assemble(outputs.maps[index * tiles : (index + 1) * tiles], placement, self.preprocessing)
            for index, placement in enumerate(self.placements)
        ]


def masks_of(category: Category, sizes: Sequence[Size]) -> list[NDArray[np.bool_]] | None:
    """The masks of a category's test images, bool [height, width]; None where it has none.

    Args:
        category: Of the images.
        sizes: Of their anomaly maps.
    """
    if not category.has_masks:
        return None
    return [
        read_mask(test.mask, *size) if test.mask else np.zeros(size, np.bool_)
        for test, size in zip(category.test, sizes, strict=True)
    ]


def drift_report(rows: Sequence[Row], prepared: Prepared, category: Category) -> list[dict[str, Any]]:
    """The drift of each row from the first.

    Args:
        rows: The reference first.
        prepared: How the test images became what was computed.
        category: Of the images, with their masks where they are known.

    Returns:
        A row of figures each: precision, backend, noise, largest, mean, rank_correlation, image_auroc, pixel_auroc,
        threshold, verdict_flips.
    """
    reference, defective = rows[0], [test.defective for test in category.test]
    expected = prepared.scores(reference.outputs)
    masks = masks_of(category, [(each.shape[0], each.shape[1]) for each in prepared.maps(reference.outputs)])
    report = []
    for row in rows:
        scores = prepared.scores(row.outputs)
        drift = measure_drift(reference.outputs.maps, row.outputs.maps, expected, scores)
        flips = None
        if reference.threshold is not None and row.threshold is not None:
            flips = verdict_flips(expected, reference.threshold, scores, row.threshold)
        report.append(
            {"precision": row.precision, "backend": row.backend}
            | drift._asdict()
            | {
                "image_auroc": image_auroc(scores, defective),
                "pixel_auroc": None if masks is None else prepared.pixel_auroc(row.outputs, masks),
                "threshold": row.threshold,
                "verdict_flips": flips,
            }
        )
    return report
