"""The input normalisation that every system and every teacher shares."""

from __future__ import annotations

import torch
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)  # RGB, of 0..1
STD = (0.229, 0.224, 0.225)


def normalise(images: Tensor) -> Tensor:
    """Brings images to the mean and spread of ImageNet.

    Args:
        images: RGB [N, 3, H, W], 0..255, of any type.

    Returns:
        float32 [N, 3, H, W].
    """
    mean = torch.tensor(MEAN, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=images.device).view(1, 3, 1, 1)
    return (images.float() / 255).sub_(mean).div_(std)  # In place: new memory costs more than the arithmetic.
