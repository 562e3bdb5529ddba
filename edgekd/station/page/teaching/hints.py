"""What is wrong with an image that was just taken, told while the part still lies there."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from edgekd.data.copies import group_copies
from edgekd.station.page.teaching.images import TaughtImage
from edgekd.verdicts.image_checks import BLURRED, BRIGHT, DARK, FLAT, NO_CHECKS, ImageChecks, learn_checks
from edgekd.verdicts.image_statistics import Statistics

Code = Literal["dark", "bright", "over_exposed", "flat", "blurred", "copy", "size"]

# Whatever the part: nothing can be told in images beyond these.
DARKEST, MOST_SATURATED, FLATTEST = 8.0, 0.5, 0.3
# Robust deviations from the median of the logarithms: images beyond do not teach what is usual.
USUAL = 4.0
FEW, FEW_SHARE = 2, 0.05  # So many may be beyond; more of them are usual too.
LEAST_SPREAD = 0.05  # Of the logarithm, where nearly all images are the same.
ABSOLUTE: Mapping[str, Mapping[str, float]] = {
    DARK: {"least": DARKEST, "good": DARKEST},
    BRIGHT: {"most": 250.0, "good": 250.0, "most_saturated": MOST_SATURATED, "good_saturated": MOST_SATURATED},
    FLAT: {"least": FLATTEST, "good": FLATTEST},
}
TEXTS: Mapping[str, str] = {
    "dark": "Too dark: check the lamp and the lens cover.",
    "bright": "Too bright: check the lamp and the exposure.",
    "over_exposed": "Over-exposed, white areas show nothing: lower the exposure.",
    "flat": "Hardly any contrast: check that the lens is free and a part is there.",
    "blurred": "Blurred: check the focus, and that the part does not move.",
    "size": "Another size than the other images: check the camera's settings.",
}


class Hint(NamedTuple):
    """What is wrong with an image.

    Attributes:
        code: For whoever shows it in another language.
        text: In one sentence, with what to do.
        of: Of a copy, the earlier image.
    """

    code: Code
    text: str
    of: int | None = None


def hints_of(images: Sequence[TaughtImage], thumbnails: Sequence[Path]) -> dict[int, list[Hint]]:
    """The hints of a project's images, by their numbers.

    Args:
        images: All of them.
        thumbnails: Their small files: copies are as alike there, and many are read within a second.
    """
    hints: dict[int, list[Hint]] = {each.id: [] for each in images}
    size = usual_size(images)
    good = [each.seen for each in images if each.label == "good" and (each.seen.width, each.seen.height) == size]
    checks = checks_from(good)
    for image in images:
        if image.label != "out":  # A defect may well be dark or flat.
            hints[image.id] += hints_of_image(image.seen, NO_CHECKS if image.label == "defect" else checks, size)
    first = group_copies(thumbnails)
    for index, leader in enumerate(first):
        if leader != index:
            other = images[leader].id
            hints[images[index].id].append(Hint("copy", f"Nearly the same as image {other}: show another part.", other))
    return hints


def hints_of_image(seen: Statistics, checks: ImageChecks, size: tuple[int, int] | None) -> list[Hint]:
    """What is wrong with an image by itself.

    Args:
        seen: What it is checked by.
        checks: Of the good images; see `checks_from`.
        size: Width and height that the good images have; None where there are none yet.
    """
    hints = []
    if size is not None and (seen.width, seen.height) != size:
        hints.append(Hint("size", TEXTS["size"]))
    codes: tuple[tuple[str, Code], ...] = ((DARK, "dark"), (BRIGHT, "bright"), (FLAT, "flat"), (BLURRED, "blurred"))
    for name, code in codes:
        reason = _failure(checks, name, seen)
        if reason is not None:
            told: Code = "over_exposed" if reason.startswith("over-exposed") else code
            return [*hints, Hint(told, TEXTS[told])]  # A covered lens is dark, flat and blurred: the first one counts.
    return hints


def usual_size(images: Sequence[TaughtImage]) -> tuple[int, int] | None:
    """Width and height of most good images; None where there are none."""
    sizes = Counter((each.seen.width, each.seen.height) for each in images if each.label == "good")
    return sizes.most_common(1)[0][0] if sizes else None


def checks_from(good: Sequence[Statistics]) -> ImageChecks:
    """Checks that usual good images pass; what is far off among them does not widen the limits.

    Args:
        good: Of all good images so far; from ten usual ones on there are limits.
    """
    names = ("level", "structure", "sharpness", "detail")
    usual = [True] * len(good)
    for name in names:
        values = [math.log(max(getattr(each, name), 1e-3)) for each in good]
        usual = [one and two for one, two in zip(usual, _near_the_median(values), strict=True)]
    learned: Mapping[str, Any] = learn_checks([seen for seen, near in zip(good, usual, strict=True) if near]) or {}
    limits: dict[str, Mapping[str, Any]] = {name: learned[name] for name in (BLURRED,) if name in learned}
    for name, absolute in ABSOLUTE.items():
        limits[name] = _stricter(absolute, learned.get(name, absolute))
    return ImageChecks(limits)


def _stricter(absolute: Mapping[str, float], learned: Mapping[str, Any]) -> dict[str, Any]:
    """The stricter of two checks: the higher of what must be reached, the lower of what must not be exceeded."""
    limits = dict(learned)
    for name, value in absolute.items():
        if name.startswith("least"):
            limits[name] = max(value, learned[name])
        elif name.startswith("most"):
            limits[name] = min(value, learned[name])
    return limits


def _near_the_median(values: Sequence[float]) -> list[bool]:
    if not values:
        return []
    median = statistics.median(values)
    spread = max(1.4826 * statistics.median(abs(value - median) for value in values), LEAST_SPREAD)
    near = [abs(value - median) <= USUAL * spread for value in values]
    few = near.count(False) <= max(FEW, FEW_SHARE * len(values))
    return near if few else [True] * len(values)  # So many are no mistakes: another lot, another batch of the supplier.


def _failure(checks: ImageChecks, name: str, seen: Statistics) -> str | None:
    return ImageChecks({name: checks.limits[name]}).failure(seen) if name in checks.limits else None
