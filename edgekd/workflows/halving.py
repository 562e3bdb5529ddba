"""Successive halving within a time: many candidates are trained for a short time, the best of them anew for longer.

A learning rate that falls to nothing cannot be continued, so each round trains from the start.

Source: Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization (AISTATS 2016).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from edgekd.workflows.candidates import Candidate, Trial

ROUNDS, KEPT = 3, 3  # Of a round, a third goes on.
OVERHEAD = 30.0  # Seconds of judging and timing at the smallest size, until some were measured; more for more pixels.
LEAST_SECONDS = 30.0  # Of a training; in less than that none learns enough to be compared.
GROWTH = 1.5  # By which the next round's trainings are longer at least, or it is not worth its time.
DIGITS = 3  # Of an image AUROC: what differs less is a tie.


class Round(NamedTuple):
    """Trainings of equal length.

    Attributes:
        candidates: To train.
        minutes: For each training.
    """

    candidates: list[Candidate]
    minutes: float


def first_round(candidates: Sequence[Candidate], seconds: float, at_once: int) -> Round:
    """The first round: all candidates, or those of the smallest size where the time is too short for all.

    Args:
        candidates: The small sizes first.
        seconds: For all rounds.
        at_once: Trainings that run side by side.
    """
    smallest = min(candidate.pixels for candidate in candidates)
    for taken in (list(candidates), [candidate for candidate in candidates if candidate.pixels == smallest]):
        pixels = sum(candidate.pixels for candidate in taken) / len(taken)
        each = _seconds_each(len(taken), seconds / ROUNDS, at_once, OVERHEAD * pixels / smallest)
        if each >= LEAST_SECONDS:
            break
    return Round(taken, max(LEAST_SECONDS, each) / 60)


def next_round(number: int, last: Round, ranked: Sequence[Trial], seconds: float, at_once: int) -> Round | None:
    """A later round: the best third of the last one, or fewer so that each is trained for clearly longer.

    Args:
        number: Of the round, from 2 on.
        last: The round before.
        ranked: Its trials, the best first; those that do not come into question are left out.
        seconds: For this round and those after it.
        at_once: Trainings that run side by side.

    Returns:
        None where the time is not enough for a single one, or all rounds are done.
    """
    if number > ROUNDS or not ranked:
        return None
    overhead = sum(max(0.0, trial.seconds - 60 * trial.minutes) for trial in ranked) / len(ranked)
    share = seconds / (ROUNDS + 1 - number)
    for count in range(math.ceil(len(last.candidates) / KEPT), 0, -1):
        # The last candidate has all of the time that is left.
        each = _seconds_each(count, share if count > 1 else seconds, at_once, overhead)
        if each >= GROWTH * 60 * last.minutes:
            return Round([trial.candidate for trial in ranked[:count]], each / 60)
    return None


def rank(trials: Sequence[Trial], latency_ms: dict[str, float], limit: float | None) -> list[Trial]:
    """The trials that come into question, the best first; of equal ones the faster one, then the one trained longer.

    Args:
        trials: Of one round, or of all.
        latency_ms: By the candidate's name; of every candidate that did not fail.
        limit: On the latency, in milliseconds; None for none.
    """

    def key(trial: Trial) -> tuple[float, float, float]:
        assert trial.image_auroc is not None
        return -round(trial.image_auroc, DIGITS), latency_ms[trial.candidate.name], -trial.minutes

    able = [trial for trial in trials if trial.error is None]
    return sorted((each for each in able if limit is None or latency_ms[each.candidate.name] <= limit), key=key)


def _seconds_each(count: int, seconds: float, at_once: int, overhead: float) -> float:
    """Seconds of each training where so many, with what comes after each, fit into a time."""
    return seconds / math.ceil(count / at_once) - overhead
