"""Progress: what a long step calls while it works, so that a command line or a page can show it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A callback that follows a long piece of work, step by step."""

    def __call__(self, step: str, done: int, total: int | None = None, loss: float | None = None) -> None:
        """Takes note of how far a step has come.

        Args:
            step: What is being done, such as "training hkt" or "evaluating 200 images"; each step counts on its own.
            done: Units done so far, from 0 upward.
            total: Units in all; None while that is unknown.
            loss: Of a training step, the loss of the last iteration.
        """


def silent(step: str, done: int, total: int | None = None, loss: float | None = None) -> None:
    """The progress callback that shows nothing."""


def prefixed(prefix: str, progress: Progress) -> Progress:
    """A progress callback whose steps begin with a prefix: steps of one name so count on their own.

    Args:
        prefix: Such as the name of a run.
        progress: That is called.
    """

    def call(step: str, done: int, total: int | None = None, loss: float | None = None) -> None:
        progress(f"{prefix}: {step}", done, total, loss)

    return call
