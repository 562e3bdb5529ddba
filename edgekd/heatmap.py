"""Anomaly maps drawn over images."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.images import Image

STRONGEST = 0.8  # Of the colour at `high`; the rest is the image, which should stay recognisable.
FAINTEST_COLOUR = 0.35  # Where the colormap starts: its lower end is black, which would darken and not glow.
OUTLINE = (255, 255, 0)  # Cyan, BGR: the colormap has nothing like it.


def overlay(image: Image, anomaly_map: NDArray[np.float32], low: float, high: float) -> Image:
    """Blends an anomaly map over an image as a heat map: black body colours, which colour-blind people can read.

    Args:
        image: uint8 [H, W, 3], BGR.
        anomaly_map: float32 [h, w] of any size, stretched to the image; what is not a number is not drawn.
        low: Of the map: at and below it the image shows unchanged.
        high: Of the map: at and above it the colour is strongest.

    Returns:
        uint8 [H, W, 3], BGR, a new array.
    """
    height, width = image.shape[:2]
    finite = np.nan_to_num(np.asarray(anomaly_map, dtype=np.float32), nan=low, posinf=high, neginf=low)
    stretched = np.asarray(cv2.resize(finite, (width, height), interpolation=cv2.INTER_LINEAR))
    # Where there is no range between them, `low` is a plain limit.
    strength = np.clip((stretched - low) / (high - low), 0, 1) if high > low else 1.0 * (stretched > low)
    index = np.round(255 * (FAINTEST_COLOUR + (1 - FAINTEST_COLOUR) * strength))
    colours = cv2.applyColorMap(np.asarray(index, dtype=np.uint8), cv2.COLORMAP_INFERNO)
    share = (STRONGEST * strength)[:, :, np.newaxis]
    return np.asarray(np.round(image * (1 - share) + colours * share), dtype=np.uint8)


def outline(image: Image, mask: NDArray[np.bool_]) -> Image:
    """Draws the outline of a mask on an image.

    Args:
        image: uint8 [H, W, 3], BGR.
        mask: bool [h, w] of any size, stretched to the image.

    Returns:
        uint8 [H, W, 3], BGR, a new array.
    """
    height, width = image.shape[:2]
    stretched = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(np.asarray(stretched), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    drawn = np.array(image)
    for colour, thickness in (((0, 0, 0), 4), (OUTLINE, 2)):  # The dark edge keeps it visible on bright images.
        cv2.drawContours(drawn, contours, -1, colour, thickness)
    return drawn
