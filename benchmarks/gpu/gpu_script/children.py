"""Child processes that cannot hang the rest: each in a group of its own, which is killed as a whole."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekd.signals import held_signals

GRACE_SECONDS = 3.0
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def start_child(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts a child at the head of a process group of its own; its output goes to the end of a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output, held_signals():  # Python drops what a handler raises while it forks.
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )


def _die_with_parent() -> None:
    """Has the kernel kill this process when the one that started it goes, even where that was killed itself."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))


def run_child(
    command: Sequence[str], seconds: float, log: Path, environment: Mapping[str, str] | None = None
) -> int | None:
    """Runs a child to its end, or kills it.

    Returns:
        Its exit code; None where it was killed because the time was up.
    """
    child = None
    try:
        with held_signals():  # Until the child is known here, and so killed on the way out.
            child = start_child(command, log, environment)
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if child is not None:
            kill_group(child)


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """Kills what is left of a child's group, the child included: first asked, then forced."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_SECONDS)


def last_line(log: Path) -> str:
    """The last line of a log that holds anything, for the reason of a failure."""
    with contextlib.suppress(OSError):
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        if lines:
            return lines[-1].strip()[:300]
    return "no output"
