"""AUROC, of pictures and of pixels: the chance that a defective one scores higher than a good one, ties one half."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgekd.errors import EdgekdError, missing_package


def image_auroc(scores: ArrayLike, defective: ArrayLike) -> float:
    """AUROC over pictures.

    Args:
        scores: float [N], higher is more anomalous.
        defective: bool [N].

    Returns:
        The area under the ROC curve, 0..1.

    Raises:
        EdgekdError: Good or defective pictures are missing, or a score is not finite.
        MachineError: scikit-learn is not installed.
    """
    return _auroc(np.asarray(scores), np.asarray(defective, dtype=np.bool_), "picture")


def pixel_auroc(maps: Iterable[NDArray[np.float32]], masks: Iterable[NDArray[np.bool_]]) -> float:
    """AUROC over all pixels of all test pictures, pooled.

    Args:
        maps: One anomaly map a picture, float32 [H, W], higher is more anomalous.
        masks: One mask a picture, bool [H, W] of the same size; all False for a good picture.

    Returns:
        The area under the ROC curve, 0..1.

    Raises:
        EdgekdError: Maps and masks do not match, good or defective pixels are missing, or a pixel is not finite.
        MachineError: scikit-learn is not installed.
    """
    maps, masks = list(maps), list(masks)
    shapes, mask_shapes = [np.shape(each) for each in maps], [np.shape(each) for each in masks]
    if not shapes or shapes != mask_shapes:
        raise EdgekdError(
            f"pixel AUROC got {len(maps)} maps and {len(masks)} masks{_first_difference(shapes, mask_shapes)}: "
            "one mask a map is needed, of the same size"
        )
    scores = np.concatenate([np.asarray(each, dtype=np.float32).ravel() for each in maps])
    defective = np.concatenate([np.asarray(each, dtype=np.bool_).ravel() for each in masks])
    return _auroc(scores, defective, "pixel")


def _auroc(scores: NDArray[np.floating], defective: NDArray[np.bool_], unit: str) -> float:
    if scores.shape != defective.shape or scores.ndim != 1:
        raise EdgekdError(f"{unit} AUROC got {scores.size} scores and {defective.size} labels: one a {unit} is needed")
    for wanted, kind in ((~defective, "good"), (defective, "defective")):
        if not wanted.any():
            raise EdgekdError(f"{unit} AUROC needs good and defective {unit}s: there is no {kind} {unit}")
    broken = np.count_nonzero(~np.isfinite(scores))
    if broken:
        raise EdgekdError(f"{unit} AUROC needs finite scores: {broken} of {scores.size} {unit}s have none")
    try:
        from sklearn.metrics import roc_auc_score
    except ImportError as error:
        raise missing_package("scikit-learn", "evaluation", "evaluate") from error
    return float(roc_auc_score(defective, scores))


def _first_difference(shapes: list[tuple[int, ...]], mask_shapes: list[tuple[int, ...]]) -> str:
    differing = [pair for pair in zip(shapes, mask_shapes, strict=False) if pair[0] != pair[1]]
    return f", a map of {differing[0][0]} with a mask of {differing[0][1]}" if differing else ""
