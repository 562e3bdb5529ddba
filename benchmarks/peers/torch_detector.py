"""The trained detector of a run as somebody would use it who has only torch."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from torch import nn

from edgekd.training.run import load_run

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def load_detector(run: Path) -> nn.Module:
    """The network as it was trained, unfolded; its `answer` gives scores and maps of normalised RGB images."""
    detector, _ = load_run(run)
    return detector.eval()


def as_images(image: np.ndarray, size: int) -> np.ndarray:
    """An image as the network reads it: float32 [1, 3, size, size], RGB, normalised by ImageNet's mean and deviation.

    Args:
        image: uint8 [H, W, 3], BGR.
        size: In pixels.
    """
    resized = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    rgb = cv2.cvtColor(resized, cv2.COLOR_BGR2RGB).astype(np.float32) / 255
    return np.ascontiguousarray(((rgb - MEAN) / STD).transpose(2, 0, 1)[None])
