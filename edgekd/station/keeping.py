"""Which images are kept: all of rejected parts, and a sample of the good ones."""

from __future__ import annotations

from edgekd.result import Verdict
from edgekd.station.parts import Outcome
from edgekd.station.recipes import Keep

EVERYTHING = ("original", "heat_map")


class Keeping:
    """Chooses the images of a recipe that are kept.

    Args:
        keep: Of the recipe.
    """

    def __init__(self, keep: Keep) -> None:
        self.keep = keep
        self._good = 0

    def wanted(self, outcome: Outcome) -> tuple[str, ...]:
        """The images of an answer that are to be kept; none for none."""
        if outcome.verdict is not Verdict.OK:
            return EVERYTHING
        self._good += 1
        every = self.keep.ok_every
        sampled = bool(every) and self._good % every == 0
        return ("original",) if sampled or self._good <= self.keep.ok_first else ()
