"""Synthetic defects: a test set of defective images made from good ones, to judge detectors where none is at hand.

Unlike the anomalies that systems train on (`synthetic_anomalies`), these are of many kinds, small, and often faint, so
that detectors differ on them. Sources: blots, Zavrtanik et al., DRAEM (ICCV 2021); pieces of other places and thin
scars, Li et al., CutPaste (CVPR 2021). The other kinds are what lines see: stains, worn and missing spots, bent parts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.resizing import resize_image
from edgekd.data.synthetic_anomalies import corrupt

Frame = NDArray[np.float32]  # [H, W, 3], BGR, 0..255.
Shape = NDArray[np.bool_]  # [H, W], True where the defect is.

SMALLEST, LARGEST = 0.025, 0.18  # A spot's half axes, of the frame's shorter side.
SHORTEST, LONGEST = 0.06, 0.5  # A scratch, of the same.
THICKEST = 0.012
MARGIN = 0.1  # No defect's middle lies nearer to the frame's edge: parts are in the middle, and some networks crop.
FAINTEST, STRONGEST = 10.0, 100.0  # Grey levels by which a scratch or a stain differs.
LEAST_SHARE = 0.25  # Of a pasted piece in the blend.
VISIBLE, FEWEST_PIXELS = 10, 8  # So many pixels differ by as many grey levels, or the defect is drawn again.


def synthetic_defects(frames: NDArray[np.uint8], count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Makes defective images from good ones, one defect in each.

    The kinds take turns: blots, scratches, pasted pieces, missing spots, stains, blurred spots, bends. Place, size,
    direction and strength are drawn; a defect that does not show is drawn again. Grey images stay grey.

    Args:
        frames: Good ones, uint8 [N, H, W, 3], BGR. Each is used as often as any other, but for one.
        count: Defective images to make.
        seed: Of all that is drawn; the i-th image depends on the frames, the seed and i alone.

    Returns:
        The images, uint8 [count, H, W, 3], and their masks, uint8 [count, H, W], 1 where the defect is, else 0. None
        is empty. Outside its mask an image is as the frame that it was made from.
    """
    images = np.empty((count, *frames.shape[1:]), np.uint8)
    masks = np.empty((count, *frames.shape[1:3]), np.uint8)
    order = np.random.default_rng(seed).permutation(len(frames))
    for index in range(count):
        frame = frames[order[index % len(frames)]]
        images[index], masks[index] = _defective(frame, frames, index, np.random.default_rng([seed, index]))
    return images, masks


def varied_defects(
    images: Sequence[NDArray[np.uint8]], count: int, seed: int
) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    """Makes defective images from good ones of any sizes; see `synthetic_defects`.

    Args:
        images: Good ones, uint8 [H, W, 3], BGR.
        count: Defective images to make.
        seed: Of all that is drawn.

    Returns:
        The images, and their masks, uint8 [H, W].
    """
    order = np.random.default_rng(seed).permutation(len(images))
    pairs = [
        _defective(images[order[index % len(images)]], images, index, np.random.default_rng([seed, index]))
        for index in range(count)
    ]
    return [image for image, _ in pairs], [mask for _, mask in pairs]


def _defective(
    frame: NDArray[np.uint8],
    frames: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
    index: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    for attempt in itertools.count(index):
        other = resize_image(frames[int(rng.integers(len(frames)))], *frame.shape[:2])
        changed, shape = KINDS[attempt % len(KINDS)](frame.astype(np.float32), other.astype(np.float32), rng)
        if _is_grey(frame):
            changed = changed.mean(2, keepdims=True)
        image = np.where(shape[:, :, None], changed.round().clip(0, 255).astype(np.uint8), frame)
        difference = np.abs(image.astype(np.int16) - frame).max(2)
        if np.count_nonzero(difference >= VISIBLE) >= FEWEST_PIXELS:
            break
    return image, shape.astype(np.uint8)


def _blot(frame: Frame, other: Frame, rng: np.random.Generator) -> tuple[Frame, Shape]:
    """A blot of noise in a small window."""
    height, width = frame.shape[:2]
    side = min(height, width, max(8, round(2 * _length(SMALLEST, LARGEST, rng) * min(height, width))))
    across, down = _place(frame, rng)
    left, top = round(min(max(across - side / 2, 0), width - side)), round(min(max(down - side / 2, 0), height - side))
    window = np.s_[top : top + side, left : left + side]
    changed, shape = frame.copy(), np.zeros(frame.shape[:2], np.bool_)
    blot, mask = corrupt(frame[window].astype(np.uint8), None, rng)
    changed[window], shape[window] = blot, mask > 0
    return changed, shape


def _scratch(frame: Frame, other: Frame, rng: np.random.Generator) -> tuple[Frame, Shape]:
    """A thin line that bends a little, brighter or darker than its ground."""
    height, width = frame.shape[:2]
    pieces = int(rng.integers(2, 7))
    step = _length(SHORTEST, LONGEST, rng) * min(height, width) / pieces
    directions = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, rng.uniform(0, 0.6), pieces))
    ways = step * np.stack([np.cos(directions), np.sin(directions)], 1)
    points = np.cumsum(np.concatenate([[_place(frame, rng)], ways]), 0)
    thickness = 1 + int(rng.integers(max(1, round(THICKEST * min(height, width)))))
    line = np.zeros((height, width), np.uint8)
    cv2.polylines(line, [points.round().astype(np.int32)], False, 255, thickness, cv2.LINE_AA)
    return frame + line.astype(np.float32)[:, :, None] / np.float32(255) * _shade(rng), line > 0


def _pasted(frame: Frame, other: Frame, rng: np.random.Generator) -> tuple[Frame, Shape]:
    """A piece of another place, turned, of this image or of another one."""
    source = frame if rng.random() < 0.5 else other
    height, width = frame.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(0, 360), 1.0)
    turn[:, 2] += rng.uniform(-0.5, 0.5, 2) * np.array([width, height])
    moved = cv2.warpAffine(source, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    share = np.float32(rng.uniform(LEAST_SHARE, 1))
    return frame + share * (np.float32(rng.uniform(0.85, 1.15)) * moved - frame), _spot(frame, rng)


def _missing(frame: Frame, other: Frame, rng: np.random.Generator) -> tuple[Frame, Shape]:
    """A spot that is filled from its surroundings, as if what was there were missing."""
    shape = _spot(frame, rng)
    filled = cv2.inpaint(frame.astype(np.uint8), shape.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    return filled.astype(np.float32), shape


def _blurred(frame: Frame, other: Frame, rng: np.random.Generator) -> tuple[Frame, Shape]:
    """A spot without its detail, as if worn."""
    deviation = _length(0.008, 0.04, rng) * min(frame.shape[:2])
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), deviation), np.float32), _spot(frame, rng)


def _stain(frame: Frame, other: Frame, rng: np.random.Generator) -> tuple[Frame, Shape]:
    """A spot that is brighter or darker, most in its middle."""
    shape = _spot(frame, rng)
    return frame + _fade(shape)[:, :, None] * _shade(rng), shape


def _bent(frame: Frame, other: Frame, rng: np.random.Generator) -> tuple[Frame, Shape]:
    """A spot whose content is shifted, most in its middle, so that what passes through it bends."""
    shape = _spot(frame, rng)
    fade = _fade(shape)
    rows, columns = np.indices(frame.shape[:2], np.float32)
    direction, way = rng.uniform(0, 2 * np.pi), _length(0.01, 0.06, rng) * min(frame.shape[:2])
    across = columns + np.float32(way * np.cos(direction)) * fade
    down = rows + np.float32(way * np.sin(direction)) * fade
    return np.asarray(cv2.remap(frame, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)), shape


KINDS: tuple[Callable[[Frame, Frame, np.random.Generator], tuple[Frame, Shape]], ...] = (
    _blot,
    _scratch,
    _pasted,
    _missing,
    _stain,
    _blurred,
    _bent,
)


def _spot(frame: Frame, rng: np.random.Generator) -> Shape:
    """An ellipse or a rectangle; where, how large and how far turned is drawn."""
    height, width = frame.shape[:2]
    wide, high = (2 * _length(SMALLEST, LARGEST, rng) * min(height, width) for _ in range(2))
    box = (_place(frame, rng), (wide, high), rng.uniform(0, 180))
    mask = np.zeros((height, width), np.uint8)
    if rng.random() < 0.5:
        cv2.fillConvexPoly(mask, np.asarray(cv2.boxPoints(box)).round().astype(np.int32), 1)
    else:
        cv2.ellipse(mask, box, 1, -1)
    return mask > 0


def _place(frame: Frame, rng: np.random.Generator) -> tuple[float, float]:
    """A place that is not at the frame's edge, (x, y) in pixels."""
    height, width = frame.shape[:2]
    across, down = rng.uniform(MARGIN, 1 - MARGIN, 2)
    return float(across * width), float(down * height)


def _is_grey(frame: NDArray[np.uint8]) -> bool:
    return bool((frame == frame[:, :, :1]).all())


def _fade(shape: Shape) -> Frame:
    """1 in the middle of a shape, falling smoothly to 0 at its edge, [H, W]."""
    depth = cv2.distanceTransform(shape.astype(np.uint8), cv2.DIST_L2, 3)
    share = depth / max(float(depth.max()), 1.0)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def _shade(rng: np.random.Generator) -> NDArray[np.float32]:
    """By how much a defect differs from its ground, nearly grey, float32 [3], BGR."""
    strength = _length(FAINTEST, STRONGEST, rng) * (1 if rng.random() < 0.5 else -1)
    return np.asarray(strength * rng.uniform(0.8, 1.2, 3), np.float32)


def _length(least: float, most: float, rng: np.random.Generator) -> float:
    """Drawn such that small ones are as likely as large ones: uniform in its logarithm."""
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))
