"""Checks of the image itself, with limits learned from the good images: a covered lens must not be judged as a part.

A check fails where something is wrong with the camera, the lens or the light. The margins are so wide that good and
defective parts pass; what each check finds is measured in docs/how-to/watch-a-line.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from edgekd.data.images import Image
from edgekd.errors import EdgekdError, unknown_name
from edgekd.verdicts.image_statistics import Statistics as Statistics

SIZE, DARK, BRIGHT, FLAT, BLURRED, FROZEN = CHECKS = ("size", "dark", "bright", "flat", "blurred", "frozen")

SMALL_SIDE = 256  # Statistics are those of an image of about this size; it makes them cheap and averages noise.
SATURATED = 250
FEWEST_IMAGES = 10  # To learn limits from.

DARK_MARGIN, BRIGHT_MARGIN = 0.75, 1.25  # Of the mean level of the darkest and the brightest good images,
RARE, ALL_PASS = 0.01, 0.95  # but for one in a hundred, which a limit of its own lets pass.
SATURATED_TIMES, SATURATED_MARGIN = 1.5, 0.2  # Of the good images' largest share of saturated pixels, and above it.
FLAT_MARGIN = 0.35  # Of the good images' least structure.
BLURRED_MARGIN = 0.85  # Of the good images' least sharpness.
SIZE_MARGIN, ASPECT_MARGIN = 1.25, 1.1  # Where the good images are of several sizes.


def statistics(image: Image) -> Statistics:
    """Measures an image.

    Args:
        image: uint8 [H, W, 3], BGR, as it was read.
    """
    height, width = image.shape[:2]
    step = max(1, round(max(height, width) / (2 * SMALL_SIDE)))
    # Every so many pixels, then the mean of four: fast, and details as fine as two pixels of the frame still count.
    few = cv2.resize(image, (max(2, width // step), max(2, height // step)), interpolation=cv2.INTER_NEAREST)
    grey = cv2.cvtColor(few, cv2.COLOR_BGR2GRAY)
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel()
    fine, middle, coarse = (cv2.mean(band)[0] for band in _bands(grey, 3))
    return Statistics(
        width,
        height,
        float(cv2.mean(grey)[0]),
        float(counts[SATURATED:].sum() / grey.size),
        middle,
        fine / max(coarse, 1e-6),
        middle / max(coarse, 1e-6),
    )


def _bands(grey: np.ndarray[Any, Any], count: int) -> list[np.ndarray[Any, Any]]:
    """What each halving of an image's size takes away, after the first."""
    level, bands = _halved(grey), []
    for _ in range(count):
        smaller = _halved(level)
        bands.append(cv2.absdiff(level, cv2.resize(smaller, (level.shape[1], level.shape[0]))))
        level = smaller
    return bands


def _halved(grey: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    height, width = grey.shape
    return cv2.resize(grey, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)


def learn_checks(good: Sequence[Statistics]) -> dict[str, Any] | None:
    """The limits that good images pass.

    Args:
        good: Of all good images of a run.

    Returns:
        The manifest's entry `image_checks`: by each check's name whether it is on, its limits, and what the good images
        reach; `good_images`; and `quantiles` of level and sharpness. None for fewer than ten images.
    """
    if len(good) < FEWEST_IMAGES:
        return None
    columns = {name: [float(value) for value in values] for name, values in _columns(good).items()}
    level, saturated = columns["level"], max(columns["saturated"])
    structure, sharpness, detail = (min(columns[name]) for name in ("structure", "sharpness", "detail"))
    # The fewer images there are, the further beyond them good ones may lie; light differs between batches besides.
    lamps, unseen = min(1.0, 10 / len(good) ** 0.5), max(0.0, 20 / len(good) - 0.25)
    usual = max(float(np.median(level)), 1e-6)
    low, high = np.quantile(level, (RARE, 1 - RARE)).tolist()
    darkest = min(DARK_MARGIN * low * math.pow(low / usual, lamps), ALL_PASS * min(level))
    brightest = max(BRIGHT_MARGIN * high * math.pow(high / usual, lamps), max(level) / ALL_PASS)
    return {
        "good_images": len(good),
        "quantiles": {name: _quantiles(columns[name]) for name in ("level", "sharpness")},
        SIZE: {"on": True, **_size_limits(good)},
        DARK: {"on": True, "least": darkest, "good": min(level)},
        BRIGHT: {
            "on": True,
            "most": brightest,
            "good": max(level),
            "most_saturated": SATURATED_TIMES * saturated + SATURATED_MARGIN,
            "good_saturated": saturated,
        },
        FLAT: {"on": True, "least": FLAT_MARGIN * structure, "good": structure},
        BLURRED: {
            "on": True,
            "least": _least(columns["sharpness"], BLURRED_MARGIN, unseen),
            "good": sharpness,
            "least_detail": _least(columns["detail"], BLURRED_MARGIN, unseen),
            "good_detail": detail,
        },
        FROZEN: {"on": True},
    }


def _least(values: Sequence[float], margin: float, spread: float) -> float:
    """A limit below the least of the values, the further the further that lies below their median."""
    least, median = min(values), max(float(np.median(values)), 1e-6)
    return margin * least * math.pow(least / median, spread)


def _quantiles(values: Sequence[float]) -> list[list[float]]:
    return [[share / 20, float(np.quantile(values, share / 20))] for share in range(21)]


def _columns(good: Sequence[Statistics]) -> dict[str, tuple[float, ...]]:
    return dict(zip(Statistics._fields, zip(*good, strict=True), strict=True))


def _size_limits(good: Sequence[Statistics]) -> dict[str, list[float]]:
    """One size where all images have it; otherwise a range of sides and shapes."""
    widths, heights = [each.width for each in good], [each.height for each in good]
    shapes = [width / height for width, height in zip(widths, heights, strict=True)]
    if len({(each.width, each.height) for each in good}) == 1:
        return {"width": [widths[0], widths[0]], "height": [heights[0], heights[0]], "shape": [shapes[0], shapes[0]]}
    return {
        "width": [min(widths) / SIZE_MARGIN, max(widths) * SIZE_MARGIN],
        "height": [min(heights) / SIZE_MARGIN, max(heights) * SIZE_MARGIN],
        "shape": [min(shapes) / ASPECT_MARGIN, max(shapes) * ASPECT_MARGIN],
    }


@dataclass(frozen=True)
class ImageChecks:
    """The checks of an artifact that are on.

    Attributes:
        limits: By the check's name, as the manifest has them; one that is missing is off.
    """

    limits: Mapping[str, Mapping[str, Any]]

    @property
    def frozen(self) -> bool:
        """Whether repeated frames are an error."""
        return FROZEN in self.limits

    def __bool__(self) -> bool:
        return bool(self.limits)

    def failure(self, seen: Statistics) -> str | None:
        """Why an image cannot be judged.

        Args:
            seen: The image's.

        Returns:
            The reason of the first check that fails, in one line; None where all pass.
        """
        # A covered lens is dark, flat and blurred: the first reason is the one to act upon.
        for name, check in ((SIZE, _size), (DARK, _dark), (BRIGHT, _bright), (FLAT, _flat), (BLURRED, _blurred)):
            if name in self.limits and (reason := check(seen, self.limits[name])) is not None:
                return reason
        return None


NO_CHECKS = ImageChecks({})


def checks_of(entry: Mapping[str, Any] | None, ignored: Sequence[str] = ()) -> ImageChecks:
    """The checks that a manifest holds and that are on.

    Args:
        entry: `image_checks` of the manifest; None, as in artifacts of before, for no checks.
        ignored: Names of checks to leave out.

    Raises:
        EdgekdError: There is no check of such a name.
    """
    for name in ignored:
        if name not in CHECKS:
            raise EdgekdError(unknown_name("image check", name, CHECKS))
    limits = {name: entry[name] for name in CHECKS if entry and entry.get(name) and name not in ignored}
    return ImageChecks({name: limit for name, limit in limits.items() if limit.get("on", True)})


def _size(seen: Statistics, limits: Mapping[str, Any]) -> str | None:
    shape = seen.width / seen.height
    found = ((seen.width, limits["width"]), (seen.height, limits["height"]), (shape, limits["shape"]))
    if all(low <= value <= high for value, (low, high) in found):
        return None
    (least_width, most_width), (least_height, most_height) = limits["width"], limits["height"]
    if least_width == most_width and least_height == most_height:
        good = f"the good images have {least_width:.0f} x {least_height:.0f}"
    else:
        good = (
            f"good images are from {least_width:.0f} to {most_width:.0f} wide and from {least_height:.0f} to "
            f"{most_height:.0f} high, width over height {limits['shape'][0]:.2f} to {limits['shape'][1]:.2f}"
        )
    return f"another size: {seen.width} x {seen.height} pixels, {good}: check the camera's settings"


def _dark(seen: Statistics, limits: Mapping[str, Any]) -> str | None:
    if seen.level >= limits["least"]:
        return None
    good = f"at least {limits['good']:.0f} in the good images"
    return f"too dark: mean level {seen.level:.0f}, {good}: check the lamp and the lens"


def _bright(seen: Statistics, limits: Mapping[str, Any]) -> str | None:
    if seen.level > limits["most"]:
        good = f"at most {limits['good']:.0f} in the good images"
        return f"too bright: mean level {seen.level:.0f}, {good}: check lamp and exposure"
    if seen.saturated > limits["most_saturated"]:
        good = f"at most {limits['good_saturated']:.0%} in the good images"
        return f"over-exposed: {seen.saturated:.0%} of the pixels are white, {good}: check lamp and exposure"
    return None


def _flat(seen: Statistics, limits: Mapping[str, Any]) -> str | None:
    if seen.structure >= limits["least"]:
        return None
    good = f"at least {limits['good']:.2g} in the good images"
    return f"flat: contrast of {seen.structure:.2g} levels, {good}: check that the lens is free and a part is there"


def _blurred(seen: Statistics, limits: Mapping[str, Any]) -> str | None:
    fine_enough = seen.sharpness >= limits["least"]
    if fine_enough and seen.detail >= limits["least_detail"]:
        return None
    value, good = (seen.detail, limits["good_detail"]) if fine_enough else (seen.sharpness, limits["good"])
    return f"blurred: sharpness {value:.2f}, at least {good:.2f} in the good images: check focus and lens"
