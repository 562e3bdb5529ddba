"""Anomaly maps drawn over images."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.images import Image

STRONGEST = 0.8  # Of the colour at `high`; the rest is the image, which should stay recognisable.
FAINTEST_COLOUR = 0.35  # Where the colormap starts: its lower end is black, which would darken and not glow.
GREY, VEIL = 128, 0.75  # Over what is not looked at; the rest of it is the image, without its colours.
OUTLINE = (255, 255, 0)  # Cyan, BGR: the colormap has nothing like it.
REGION = (255, 255, 255)
SMALLEST_TEXT, PIXELS_AT_FULL_SIZE = 0.4, 900  # Of OpenCV's font, and the side from which letters grow with the image.


def overlay(image: Image, anomaly_map: NDArray[np.float32], low: float, high: float) -> Image:
    """Blends an anomaly map over an image as a heat map: black body colours, which colour-blind people can read.

    Args:
        image: uint8 [H, W, 3], BGR.
        anomaly_map: float32 [h, w] of any size, stretched to the image; NaN, where nothing is looked at, is grey.
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
    drawn = np.asarray(np.round(image * (1 - share) + colours * share), dtype=np.uint8)
    unseen = np.isnan(anomaly_map)
    return veil(drawn, unseen) if unseen.any() else drawn


def veil(image: Image, unseen: NDArray[np.bool_]) -> Image:
    """Greys what is not looked at, so that nobody takes it for good.

    Args:
        image: uint8 [H, W, 3], BGR.
        unseen: bool [h, w] of any size, stretched to the image.

    Returns:
        uint8 [H, W, 3], BGR, a new array.
    """
    height, width = image.shape[:2]
    veiled = cv2.resize(unseen.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    drawn = np.array(image)
    drawn[veiled] = np.round(VEIL * GREY + (1 - VEIL) * drawn[veiled].mean(axis=1, keepdims=True))
    return drawn


def outline(image: Image, mask: NDArray[np.bool_], colour: tuple[int, int, int] = OUTLINE) -> Image:
    """Draws the outline of a mask on an image.

    Args:
        image: uint8 [H, W, 3], BGR.
        mask: bool [h, w] of any size, stretched to the image.
        colour: Of the line, BGR.

    Returns:
        uint8 [H, W, 3], BGR, a new array.
    """
    height, width = image.shape[:2]
    stretched = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(np.asarray(stretched), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    drawn = np.array(image)
    for line, thickness in (((0, 0, 0), 4), (colour, 2)):  # The dark edge keeps it visible on bright images.
        cv2.drawContours(drawn, contours, -1, line, thickness)
    return drawn


def outline_regions(image: Image, mask: NDArray[np.bool_], corners: Sequence[tuple[int, int]]) -> Image:
    """Draws the outlines of regions on an image, each with its number, from 1 upward.

    Args:
        image: uint8 [H, W, 3], BGR.
        mask: bool [h, w] of any size, True in a region, stretched to the image.
        corners: x and y of each region's upper left corner, in pixels of the image.

    Returns:
        uint8 [H, W, 3], BGR, a new array.
    """
    drawn = outline(image, mask, REGION)
    for number, (x, y) in enumerate(corners, start=1):
        drawn = write_text(drawn, str(number), x, y - 2, REGION)
    return drawn


def write_text(image: Image, text: str, x: int, y: int, colour: tuple[int, int, int] = REGION) -> Image:
    """Writes a line of text on a dark box, legible on any image.

    Args:
        image: uint8 [H, W, 3], BGR.
        text: ASCII.
        x, y: The lower left corner of the box, in pixels; moved so that the box lies in the image where it has room.
        colour: Of the letters, BGR.

    Returns:
        uint8 [H, W, 3], BGR, a new array.
    """
    height, width = image.shape[:2]
    scale = max(SMALLEST_TEXT, min(height, width) / PIXELS_AT_FULL_SIZE)
    thickness = max(1, round(scale))
    (across, up), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    margin = max(2, round(4 * scale))
    x = max(0, min(x, width - across - 2 * margin))
    y = min(height, max(y, up + below + 2 * margin))
    drawn = np.array(image)
    cv2.rectangle(drawn, (x, y - up - below - 2 * margin), (x + across + 2 * margin, y), (0, 0, 0), cv2.FILLED)
    at = (x + margin, y - below - margin)
    cv2.putText(drawn, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)
    return drawn
