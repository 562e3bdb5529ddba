"""Alignment: the shift and rotation of a frame against a reference image, measured at a reduced scale.

A phase correlation at several rotations finds where to begin (OpenCV's phaseCorrelate), the enhanced correlation
coefficient from there the fraction of a pixel (findTransformECC; Evangelidis and Psarakis, IEEE TPAMI 30(10), 2008).
"""

from __future__ import annotations

import base64
import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.images import Image
from edgekd.errors import ArtifactError, ImageError
from edgekd.view import REDUCED_SIDE, Alignment

STEP = 3.0  # Degrees between the rotations that are tried.
ITERATIONS, PRECISION, SMOOTHING = 60, 1e-5, 5  # Of findTransformECC; the last is its Gaussian filter, in pixels.
LOWEST_CORRELATION = 0.5
SMALLEST_OVERLAP = 0.3  # Of a guess with the reference, as a share of the image.

Transform = NDArray[np.float64]  # [2, 3]: from pixels x, y of the reference to those of the frame.
Grey = NDArray[np.float32]


def encode_reference(image: Image) -> str:
    """The reference of an alignment: the image reduced, grey, as a PNG in base64.

    Args:
        image: uint8 [H, W, 3], BGR.
    """
    height, width = image.shape[:2]
    scale = min(1.0, REDUCED_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), size, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".png", grey)
    return base64.b64encode(encoded.tobytes()).decode("ascii")


@lru_cache(4)
def decode_reference(reference: str) -> Grey:
    """The image of `encode_reference`, float32 [h, w]. Not to be changed.

    Raises:
        ArtifactError: It is not one.
    """
    try:
        grey = cv2.imdecode(np.frombuffer(base64.b64decode(reference), np.uint8), cv2.IMREAD_GRAYSCALE)
    except (ValueError, cv2.error):
        grey = None
    if grey is None:
        raise ArtifactError("the reference image of the alignment is damaged: train or export again")
    decoded = np.asarray(grey, np.float32)
    decoded.flags.writeable = False
    return decoded


def reference_image(alignment: Alignment, height: int, width: int) -> Image:
    """The reference as a frame, blurred as it was reduced: for measurements of time.

    Args:
        alignment: With the reference.
        height, width: Of the frame, in pixels.

    Returns:
        uint8 [height, width, 3], BGR, grey.
    """
    enlarged = cv2.resize(decode_reference(alignment.reference), (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.cvtColor(np.asarray(enlarged.round(), np.uint8), cv2.COLOR_GRAY2BGR).astype(np.uint8)


def find_transform(image: Image, alignment: Alignment) -> Transform:
    """Measures how a frame lies against the reference.

    Args:
        image: uint8 [H, W, 3], BGR, of the size that the reference was made from.
        alignment: With the reference and its limits.

    Raises:
        ImageError: The frame is shifted or turned further than the limits, or does not match the reference.
    """
    reference = decode_reference(alignment.reference)
    rows, columns = reference.shape
    height, width = image.shape[:2]
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    reduced = np.asarray(cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, ITERATIONS, PRECISION)
    begin = _first_guess(reference, reduced, alignment.max_rotation).astype(np.float32)
    motion = cv2.MOTION_EUCLIDEAN if alignment.max_rotation else cv2.MOTION_TRANSLATION
    try:
        correlation, warp = cv2.findTransformECC(
            reference, reduced, begin, motion, criteria, np.ones_like(reference, np.uint8), SMOOTHING
        )
    except cv2.error:
        correlation, warp = math.nan, begin
    if not correlation >= LOWEST_CORRELATION:
        measured = "nothing in common" if math.isnan(correlation) else f"a correlation of {correlation:.2f}"
        raise ImageError(
            f"the frame does not match the reference image of the alignment: {measured}, at least "
            f"{LOWEST_CORRELATION:g} is needed"
        )
    return _within_limits(
        _at_full_scale(np.asarray(warp, np.float64), width / columns, height / rows), image, alignment
    )


def _within_limits(transform: Transform, image: Image, alignment: Alignment) -> Transform:
    height, width = image.shape[:2]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = float(np.linalg.norm(transform[:, :2] @ centre + transform[:, 2] - centre))
    rotation = math.degrees(math.atan2(transform[1, 0] - transform[0, 1], transform[0, 0] + transform[1, 1]))
    if shift > alignment.max_shift or abs(rotation) > alignment.max_rotation:
        raise ImageError(
            f"the frame is shifted by {shift:.1f} pixels and turned by {rotation:+.1f} degrees against the reference: "
            f"at most {alignment.max_shift:g} pixels and {alignment.max_rotation:g} degrees are allowed"
        )
    return transform


def _first_guess(reference: Grey, reduced: Grey, max_rotation: float) -> Transform:
    """The best of several rotations, each with the shift of its phase correlation and with none."""
    rows, columns = reference.shape
    window = cv2.createHanningWindow((columns, rows), cv2.CV_32F)
    steps = math.ceil(max_rotation / STEP)
    guesses = []
    for angle in (index * max_rotation / steps if steps else 0.0 for index in range(-steps, steps + 1)):
        turn = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), angle, 1.0)
        turned = cv2.warpAffine(reduced, turn, (columns, rows), borderMode=cv2.BORDER_REPLICATE)
        # A copy: OpenCV applies the window in place where the size suits its Fourier transform.
        shift, _ = cv2.phaseCorrelate(reference.copy(), np.asarray(turned, np.float32), window)
        back = np.asarray(cv2.invertAffineTransform(turn), np.float64)
        shifted = back.copy()
        shifted[:, 2] += back[:, :2] @ np.array(shift)
        guesses += [shifted, back]
    return np.asarray(max(guesses, key=lambda guess: _correlation(reference, reduced, guess)), np.float64)


def _correlation(reference: Grey, reduced: Grey, transform: Transform) -> float:
    """How alike the reference and the image are where they overlap, -1..1."""
    rows, columns = reference.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(reduced, transform, (columns, rows), flags=flags, borderValue=-1.0)
    both = moved >= 0
    if both.mean() < SMALLEST_OVERLAP:
        return -1.0
    pair = reference[both] - reference[both].mean(), moved[both] - moved[both].mean()
    spread = float(np.linalg.norm(pair[0]) * np.linalg.norm(pair[1]))
    return float(pair[0] @ pair[1]) / spread if spread > 0 else 0.0


def _at_full_scale(warp: Transform, across: float, down: float) -> Transform:
    """A transform between reduced images as one between whole ones; pixels are counted by their centres."""
    scale = np.array([across, down])
    linear = warp[:, :2] * scale[:, None] / scale[None, :]
    offset = 0.5 * (scale - 1)  # The centre of a reduced image's first pixel, in the whole one.
    return np.column_stack([linear, scale * warp[:, 2] + offset - linear @ offset])
