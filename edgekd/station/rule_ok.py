"""The rule OK: the one place of a station from which the verdict OK can come.

OK goes out only if everything holds at once; whatever is missing, doubtful or late makes it NG or ERROR. A test reads
the source of all other modules and fails where one of them could give OK.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from edgekd.result import Verdict
from edgekd.station.error_codes import TEXTS, ErrorCode
from edgekd.station.parts import Inspected
from edgekd.station.ports import Released
from edgekd.station.states import State


class Row(enum.Enum):
    """What became of the answer's row in the record."""

    TO_COME = "to come"
    COMMITTED = "committed"
    FAILED = "failed"


@dataclass(frozen=True)
class Evidence:
    """Everything that a verdict rests on.

    Attributes:
        acquisition_id: Whose answer is decided.
        state: What the station is doing now.
        fault: Why it is in FAULT; NONE elsewhere.
        recipe: What control itself read of the loaded recipe; None where none is loaded.
        inspected: What the inspector said; None where it said nothing.
        now: `time.monotonic()`.
        due: `time.monotonic()` at which the answer is due at the latest.
        row: What became of the answer's row. While it is to come, the decision is what the row is to hold, and is not
            given out: that takes another decision, about the committed row.
    """

    acquisition_id: int
    state: State
    fault: ErrorCode
    recipe: Released | None
    inspected: Inspected | None
    now: float
    due: float
    row: Row


@dataclass(frozen=True)
class Decision:
    """A verdict, and why it is ERROR or, in the grey zone, NG."""

    verdict: Verdict
    error: ErrorCode = ErrorCode.NONE
    text: str = ""


def decide(evidence: Evidence) -> Decision:
    """The verdict that goes out.

    Args:
        evidence: Everything that it rests on.

    Returns:
        ERROR where anything went wrong, with what; else NG where the score is above the threshold or in the grey zone;
        else OK.
    """
    inspected = evidence.inspected
    if inspected is None:
        return _error(ErrorCode.ROW_NOT_WRITTEN if evidence.row is Row.FAILED else ErrorCode.ANSWER_LATE)
    wrong = _what_went_wrong(evidence, inspected)
    if wrong is not None:
        return wrong
    if inspected.uncertain:
        return Decision(Verdict.NG, text="The score lies in the grey zone: uncertain.")
    if inspected.score <= inspected.threshold:
        return Decision(Verdict.OK)
    return Decision(Verdict.NG)


def _what_went_wrong(evidence: Evidence, inspected: Inspected) -> Decision | None:
    """The first thing that makes it an ERROR, what a technician has to mend before what follows from it."""
    if evidence.row is Row.FAILED:
        return _error(ErrorCode.ROW_NOT_WRITTEN)
    if inspected.error is not ErrorCode.NONE:
        return _error(inspected.error, inspected.error_text)
    if inspected.acquisition_id != evidence.acquisition_id:
        return _error(ErrorCode.SYSTEM, "The inspector answered for another part. Call an engineer.")
    if not evidence.now <= evidence.due:
        return _error(ErrorCode.ANSWER_LATE)
    if evidence.state is not State.RUNNING:
        return _error(evidence.fault or ErrorCode.SYSTEM)
    if evidence.recipe is None or evidence.recipe.recipe.status != "released":
        return _error(ErrorCode.JOB_UNKNOWN)
    if inspected.recipe_digest != evidence.recipe.digest:
        return _error(ErrorCode.DIGEST_DIFFERS)
    if not (math.isfinite(inspected.score) and math.isfinite(inspected.threshold)):
        return _error(ErrorCode.SCORE_NOT_FINITE)
    return None


def _error(code: ErrorCode, text: str = "") -> Decision:
    return Decision(Verdict.ERROR, code, text or " ".join(TEXTS[code]))
