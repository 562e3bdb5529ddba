"""The result for one frame, which runner, reports and callers share."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # The process beside the line that answers a PLC does without numpy.
    import numpy as np
    from numpy.typing import NDArray


class Verdict(str, enum.Enum):
    """OK, NG (no good), or ERROR, which is everything that is not a clean result."""

    OK = "OK"
    NG = "NG"
    ERROR = "ERROR"


@dataclass(frozen=True)
class Region:
    """A connected part of a frame where the anomaly map is above its limit, in pixels of the frame as it was read.

    Attributes:
        area: In square pixels.
        box: x, y of its upper left corner, width, height.
        centroid: x, y.
        peak: The highest value of the anomaly map in it.
    """

    area: int
    box: tuple[int, int, int, int]
    centroid: tuple[float, float]
    peak: float


@dataclass(frozen=True)
class AnomalyResult:
    """The result for one frame.

    Attributes:
        score: The raw image score; NaN where there is none.
        severity: 0 for a typical good image, 1 at the threshold, whatever the system; NaN where it is not known.
        verdict: NG where the score is above the threshold; ERROR where anything went wrong.
        regions: Where the anomaly map is above the pixel limit, the highest peak first; none where the map was not
            requested or the artifact holds no pixel limit.
        anomaly_map: Raw, float32 [H, W] in the engine's resolution; None where it was not requested.
        timings: Milliseconds by stage: pre, inference, post, end_to_end.
        error: What went wrong, in one line, with verdict ERROR.
        more_regions: How many regions there are beyond those listed.
    """

    score: float
    severity: float
    verdict: Verdict
    regions: tuple[Region, ...] = ()
    anomaly_map: NDArray[np.float32] | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    more_regions: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON has it: without the map, and None for what is not a finite number."""
        return {
            "score": _number(self.score),
            "severity": _number(self.severity),
            "verdict": self.verdict.value,
            "error": self.error,
            "regions": [asdict(region) for region in self.regions],
            "more_regions": self.more_regions,
        }


def verdict_of(score: float, threshold: float) -> Verdict:
    """The verdict of a score: NG above the threshold, ERROR where either is not a finite number."""
    if not (math.isfinite(score) and math.isfinite(threshold)):
        return Verdict.ERROR
    return Verdict.NG if score > threshold else Verdict.OK


def error_result(message: str) -> AnomalyResult:
    """The result for a frame that could not be inspected.

    Args:
        message: What went wrong, in one line.
    """
    return AnomalyResult(math.nan, math.nan, Verdict.ERROR, error=message)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
