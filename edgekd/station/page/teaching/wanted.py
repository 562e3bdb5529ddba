"""How many good images are wanted, and why: what a threshold can promise rests on those that are held out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgekd.data.good_images import held_out_count
from edgekd.verdicts.false_rejects import expected_share, share_bound
from edgekd.verdicts.promise import share

LEAST_GOOD = 30  # Fewer hold out fewer than three, by which some systems scale their maps.
FEW = 40  # From here on ten are held out.
ENOUGH = 300  # Thirty are held out: fewer promise so little that it is pointed out wherever a threshold is shown.
MILESTONES = (FEW, 100, ENOUGH, 1000, 3000)


@dataclass(frozen=True)
class Promise:
    """What a threshold at the highest score of the held-out images would promise.

    Attributes:
        good: Good images in all, copies left out.
        held_out: Of them, not trained on.
        expected: The share of new good parts that is expected above the threshold.
        bound: The share that is not exceeded with a confidence of 95 %.
    """

    good: int
    held_out: int
    expected: float
    bound: float


def promise(good: int) -> Promise:
    """What so many good images would promise."""
    held_out = held_out_count(good, None)
    return Promise(good, held_out, expected_share(0, held_out), share_bound(0, held_out))


def wanted(good: int) -> dict[str, Any]:
    """How many more good images are wanted, and why.

    Args:
        good: That there are, copies left out.

    Returns:
        `good`, `held_out`, `expected` and `bound` of those that there are; `enough`; `more`, how many until the next
        step; `code` and `text`, why; `milestones`, what other numbers would promise.
    """
    code, aim = _next(good)
    now, then = promise(good), promise(max(aim, good))
    more = max(0, aim - good)
    return {
        **asdict(now),
        "enough": code == "enough",
        "more": more,
        "code": code,
        "text": _text(code, more, now, then),
        "milestones": [asdict(promise(number)) for number in MILESTONES],
    }


Code = Literal["too_few", "few", "more", "enough"]


def _next(good: int) -> tuple[Code, int]:
    """What is the case, and the number to aim at."""
    if good < LEAST_GOOD:
        return "too_few", LEAST_GOOD
    if good < FEW:
        return "few", FEW
    if good < ENOUGH:
        return "more", ENOUGH
    return "enough", next((number for number in MILESTONES if number > good), good)


def _text(code: Code, more: int, now: Promise, then: Promise) -> str:
    if code == "too_few":
        return f"{more} more good parts are needed before training can begin."
    if code == "enough":
        return (
            f"Enough: {now.held_out} held-out images promise at most {share(now.bound)} false rejects with 95 % "
            "confidence. More make the promise better."
        )
    return (
        f"Training can begin. {now.held_out} held-out images promise at most {share(now.bound)} false rejects; "
        f"{more} more good parts would make it {share(then.bound)}, since a tenth of them is held out."
    )
