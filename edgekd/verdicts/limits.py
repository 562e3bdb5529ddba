"""The limits that an artifact judges by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgekd.artifact import Manifest
from edgekd.errors import EdgekdError
from edgekd.verdicts.image_checks import CHECKS, NO_CHECKS, ImageChecks, checks_of


@dataclass(frozen=True)
class Limits:
    """What scores and anomaly maps are judged by.

    Attributes:
        threshold: Scores above it are NG; infinity where there is none, and then no verdict is OK.
        median_good: The score of a typical good image, where severity is 0; NaN where it is not known.
        pixel_limit: Where the anomaly map is above it is a region; NaN where it is not known.
        checks: That an image must pass before it is scored.
    """

    threshold: float
    median_good: float = math.nan
    pixel_limit: float = math.nan
    checks: ImageChecks = NO_CHECKS

    def severity(self, score: float) -> float:
        """A score on the scale that all systems and precisions share: 0 is a typical good image, 1 the threshold.

        Args:
            score: Raw.

        Returns:
            Negative for an image that is better than the typical good one; NaN where the score is not finite, and
            where the threshold or the median of the good images is not known.
        """
        span = self.threshold - self.median_good
        if not (math.isfinite(score) and math.isfinite(span) and span > 0):
            return math.nan
        return (score - self.median_good) / span


def limits_of(manifest: Manifest, threshold: float | None = None, ignored_checks: Sequence[str] = ()) -> Limits:
    """The limits that an artifact holds; those that an earlier version did not write are not known.

    Args:
        manifest: The artifact's.
        threshold: Scores above it are NG; None for the artifact's own.
        ignored_checks: Names of image checks to leave out.

    Raises:
        EdgekdError: It holds no threshold and none is given, or there is no such check.
    """
    return Limits(
        # The log would keep a number of numpy's as bytes.
        threshold=stored_threshold(manifest) if threshold is None else float(threshold),
        median_good=_number(manifest, "threshold", "median_good"),
        pixel_limit=_number(manifest, "pixel_limit", "value"),
        checks=checks_of(manifest.get("image_checks"), ignored_checks),
    )


def measuring_limits(manifest: Manifest, otherwise: float = math.inf) -> Limits:
    """The limits of an artifact to measure it by: no image is refused before it is scored.

    Args:
        manifest: The artifact's.
        otherwise: The threshold where it holds none.
    """
    return limits_of(manifest, None if manifest.get("threshold") else otherwise, CHECKS)


def stored_threshold(manifest: Manifest) -> float:
    """The threshold that an artifact holds.

    Args:
        manifest: The artifact's.

    Raises:
        EdgekdError: It holds none.
    """
    threshold = manifest.get("threshold")
    if not threshold:
        why = "it is untrained" if not manifest.get("trained") else "too few good images were held out"
        raise EdgekdError(f"{manifest['file']} holds no threshold ({why}): give one with --threshold")
    return float(threshold["value"])


def _number(manifest: Manifest, entry: str, name: str) -> float:
    value = (manifest.get(entry) or {}).get(name)
    return math.nan if value is None else float(value)
