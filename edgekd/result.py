"""What a detector says of one frame: the common tongue of runner, reports and callers."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


class Verdict(str, enum.Enum):
    """OK, NG (no good), or ERROR: everything that is not a clean answer."""

    OK = "OK"
    NG = "NG"
    ERROR = "ERROR"


@dataclass(frozen=True)
class AnomalyResult:
    """The answer for one frame.

    Attributes:
        score: The raw image score; NaN where there is none.
        verdict: NG where the score is above the threshold; ERROR where anything went wrong.
        anomaly_map: Raw, float32 [H, W] in the engine's resolution; None where it was not asked for.
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
    """The answer where there is none."""
    return AnomalyResult(math.nan, Verdict.ERROR, error=message)
