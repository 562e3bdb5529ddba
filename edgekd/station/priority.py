"""Lets a process that serves people compute only while verdicts leave the processor idle."""

from __future__ import annotations

import contextlib
import os

LEAST = 19  # The least of the usual priorities, for systems that know no other.


def compute_when_idle() -> None:
    """Gives this process, and those that it starts, what time everything else leaves.

    Linux wakes anything else at once where such a process runs; a low priority alone keeps its share of a core, and is
    not put aside for a thread that has just woken.
    """
    with contextlib.suppress(OSError):
        os.nice(LEAST)
    if hasattr(os, "SCHED_IDLE"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
