"""Anomaly maps drawn over pictures."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.pictures import Picture

STRONGEST = 0.8  # Of the colour at `high`; the rest is the picture, which should stay recognisable.
FAINTEST_COLOUR = 0.35  # Where the colormap starts: its lower end is black, which would darken and not glow.
OUTLINE = (255, 255, 0)  # Cyan, BGR: the colormap has nothing like it.


def overlay(picture: Picture, anomaly_map: NDArray[np.float32], low: float, high: float) -> Picture:
    """Blends an anomaly map over a picture as a heat map: black body colours, which colour-blind people can read.

    Args:
        picture: uint8 [H, W, 3], BGR.
        anomaly_map: float32 [h, w] of any size, stretched to the picture; what is not a number is not drawn.
        low: Of the map: at and below it the picture shows unchanged.
        high: Of the map: at and above it the colour is strongest.

    Returns:
        uint8 [H, W, 3], BGR, a new array.
    """
    height, width = picture.shape[:2]
    finite = np.nan_to_num(np.asarray(anomaly_map, dtype=np.float32), nan=low, posinf=high, neginf=low)
    stretched = np.asarray(cv2.resize(finite, (width, height), interpolation=cv2.INTER_LINEAR))
    # Where there is no range between them, `low` is a plain limit.
    strength = np.clip((stretched - low) / (high - low), 0, 1) if high > low else 1.0 * (stretched > low)
    index = np.round(255 * (FAINTEST_COLOUR + (1 - FAINTEST_COLOUR) * strength))
    colours = cv2.applyColorMap(np.asarray(index, dtype=np.uint8), cv2.COLORMAP_INFERNO)
    share = (STRONGEST * strength)[:, :, np.newaxis]
    return np.asarray(np.round(picture * (1 - share) + colours * share), dtype=np.uint8)


def outline(picture: Picture, mask: NDArray[np.bool_]) -> Picture:
    """Draws the outline of a mask on a picture.

    Args:
        picture: uint8 [H, W, 3], BGR.
        mask: bool [h, w] of any size, stretched to the picture.

    Returns:
        uint8 [H, W, 3], BGR, a new array.
    """
    height, width = picture.shape[:2]
    stretched = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(np.asarray(stretched), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    drawn = np.array(picture)
    for colour, thickness in (((0, 0, 0), 4), (OUTLINE, 2)):  # The dark edge keeps it visible on bright pictures.
        cv2.drawContours(drawn, contours, -1, colour, thickness)
    return drawn
