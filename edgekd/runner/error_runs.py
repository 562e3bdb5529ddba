"""Runs of ERRORs: a station on which everything fails must not look healthy to whatever watches it."""

from __future__ import annotations

from collections.abc import Iterator

from edgekd.errors import MachineError
from edgekd.result import Verdict
from edgekd.runner.pipeline import Answer


def end_after_errors(answers: Iterator[Answer], most: int | None) -> Iterator[Answer]:
    """Answers, until too many in a row are ERROR.

    Args:
        answers: In the order of the frames.
        most: ERRORs in a row; None for any number.

    Yields:
        Each answer, the last ERROR among them.

    Raises:
        MachineError: So many answers in a row were ERROR.
    """
    in_a_row = 0
    for answer in answers:
        yield answer
        in_a_row = in_a_row + 1 if answer.result.verdict is Verdict.ERROR else 0
        if most is not None and in_a_row >= most:
            last = f"the last one is {answer.name}: {answer.result.error}"
            raise MachineError(f"{in_a_row} frames in a row are ERROR ({last}): mend what is wrong, then start again")
