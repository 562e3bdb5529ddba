"""How good a trained detector is on the carried category: the metrics that need neither scikit-learn nor SciPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgekd.data.good_images import read_frames
from edgekd.data.layouts import read_category
from edgekd.data.masks import read_mask
from edgekd.metrics.auroc import pixel_auroc
from edgekd.models.detector import Detector
from gpu_script.networks import deployed_network

BATCH = 8


def evaluate(detector: Detector, category: Path, size: int, device: torch.device, most: int | None) -> dict[str, Any]:
    """Runs the deployed network in float32 over the test images.

    Args:
        detector: Trained.
        category: With test images and masks.
        size: The side of images, in pixels.
        device: Where to compute.
        most: Test images, evenly drawn; None for all.

    Returns:
        `image_auroc`, `pixel_auroc`, and how many good and defective images they come from.
    """
    images = read_category(category).test
    if most is not None:
        images = images[:: -(-len(images) // most)]
    frames = read_frames([image.path for image in images], size)
    network = deployed_network(detector.cpu(), "fp32", device)
    scores, maps = [], []
    with torch.inference_mode():
        for start in range(0, len(frames), BATCH):
            said = network(torch.from_numpy(frames[start : start + BATCH]).to(device))
            scores.append(said[0].cpu().numpy())
            maps.extend(said[1].cpu().numpy())
    empty = np.zeros((size, size), bool)
    masks = [empty if image.mask is None else read_mask(image.mask, size, size) for image in images]
    defective = np.array([image.defective for image in images])
    return {
        "image_auroc": image_auroc(np.concatenate(scores), defective),
        "pixel_auroc": pixel_auroc(maps, masks) if any(mask.any() for mask in masks) else None,
        "good_images": int((~defective).sum()),
        "defective_images": int(defective.sum()),
        "size": size,
    }


def image_auroc(scores: NDArray[np.floating], defective: NDArray[np.bool_]) -> float:
    """The chance that a defective image scores higher than a good one, ties one half.

    Args:
        scores: [N], finite.
        defective: [N], with both kinds.

    Raises:
        ValueError: A score is not finite.
    """
    if not np.isfinite(scores).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(scores))} of {len(scores)} scores are not finite")
    good, bad = scores[~defective][:, None], scores[defective][None, :]
    return float((bad > good).mean() + (bad == good).mean() / 2)
