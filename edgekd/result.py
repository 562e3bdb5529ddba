"""The result for one frame, which runner, reports and callers share."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


class Verdict(str, enum.Enum):
    """OK, NG (no good), or ERROR, which is everything that is not a clean result."""

    OK = "OK"
    NG = "NG"
    ERROR = "ERROR"


@dataclass(frozen=True)
class AnomalyResult:
    """The result for one frame.

    Attributes:
        score: The raw image score; NaN where there is none.
        verdict: NG where the score is above the threshold; ERROR where anything went wrong.
        anomaly_map: Raw, float32 [H, W] in the engine's resolution; None where it was not requested.
        timings: Milliseconds by stage: pre, inference, post, end_to_end.
        error: What went wrong, in one line, with verdict ERROR.
    """

    score: float
    verdict: Verdict
    anomaly_map: NDArray[np.float32] | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None


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
    return AnomalyResult(math.nan, Verdict.ERROR, error=message)
