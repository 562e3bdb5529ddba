"""One row of numbers an image, by which images can be compared: the teacher's mean features."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from edgekd.models.detector import Detector
from edgekd.training.batches import normalised_images


@torch.inference_mode()
def image_descriptors(detector: Detector, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The mean of every channel of the teacher's features.

    Args:
        detector: With its teacher.
        frames: uint8 [N, H, W, 3], BGR.

    Returns:
        float32 [N, C].
    """
    cpu = torch.device("cpu")
    rows = []
    for index in range(len(frames)):
        targets = detector.targets(normalised_images(frames[index : index + 1], cpu))
        rows.append(torch.cat([target[0].flatten(1).mean(1) for target in targets]).numpy())
    return np.stack(rows)
