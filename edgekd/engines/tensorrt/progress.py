"""What TensorRT reports while it works: warnings, errors, layers, progress. Also how a build is stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

OnProgress = Callable[[str, int, int], None]  # With a phase, the steps done of it and its steps in all.

# TensorRT's severities, which are numbers in both flavours: 0 an internal error, 1 an error, 2 a warning, then less.
ERROR, WARNING = 1, 2
MOST_LINES = 1000  # Of lines with addresses in them there is no end.

# CUDA's complaints on a machine without a driver (35) or without a GPU (100). TensorRT for RTX makes them in builds
# that need neither; a build that needs a GPU is refused with a line of its own before it begins.
WITHOUT_A_GPU = ("cudaError 35:", "cudaError 100:")

_edgekd_log = logging.getLogger("edgekd.tensorrt")
_logged: set[str] = set()


def logged_once(severity: Any, message: str) -> str | None:
    """Hands a warning or an error of TensorRT to the log "edgekd.tensorrt": one line, and each distinct one once.

    Args:
        severity: TensorRT's own. What is less than a warning is left.
        message: Of any number of lines.

    Returns:
        The message in one line; None where it was left for its severity.
    """
    if int(severity) > WARNING:
        return None
    line = " ".join(message.split())
    if line not in _logged and len(_logged) < MOST_LINES:
        _logged.add(line)
        _edgekd_log.log(logging.ERROR if int(severity) <= ERROR else logging.WARNING, "%s", line)
    return line


def make_build_log(trt: Any) -> Any:
    """A logger that keeps `errors`, one line each, and `layers`, the lines of the builder's list of layers.

    Warnings are handed to the log at once. Errors are kept: the first one of a build that fails is the message of the
    exception, and the caller logs the others.

    Args:
        trt: The module of a flavour; its logger is the base class.
    """

    class BuildLog(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.layers: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if message.startswith("Layers:"):
                self.layers += message.splitlines()[1:]
            if any(code in message for code in WITHOUT_A_GPU):
                return
            if int(severity) <= ERROR:
                self.errors.append(" ".join(message.split()))
            else:
                logged_once(severity, message)

    return BuildLog()


class NestedPhases:
    """How far a build is as a whole, from phases that run within steps of each other."""

    PARTS = 1000

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, int]] = {}  # By phase, the outermost first: steps done, and in all.
        self._furthest = 0

    def update(self, phase: str, done: int, steps: int) -> int:
        """Takes note of a phase; each phase's share is one step of the phase that it runs in.

        Args:
            phase: Its name.
            done: Steps done of it; all of them end it.
            steps: In all.

        Returns:
            Parts of `PARTS` that the build is through; never less than before.
        """
        is_outermost = not self._open or phase == next(iter(self._open))
        if done < steps or is_outermost:
            self._open[phase] = done, steps
        else:
            self._open.pop(phase, None)
        total, share = 0.0, 1.0
        for finished, of in self._open.values():
            total += share * finished / max(of, 1)
            share /= max(of, 1)
        self._furthest = max(self._furthest, round(self.PARTS * min(total, 1.0)))
        return self._furthest


def make_monitor(trt: Any, on_progress: OnProgress | None) -> Any:
    """A progress monitor that reports how far each phase of a build is, and ends it once `cancelled` is set.

    Args:
        trt: The module of a flavour; its progress monitor is the base class.
        on_progress: Called from the builder's threads.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.cancelled = False
            self._steps: dict[str, int] = {}

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            self._steps[name] = steps
            self._report(name, 0)

        def step_complete(self, name: str, step: int) -> bool:
            self._report(name, step + 1)
            return not self.cancelled

        def phase_finish(self, name: str) -> None:
            self._report(name, self._steps[name])

        def _report(self, name: str, done: int) -> None:
            if on_progress is not None:
                on_progress(name, done, self._steps[name])

    return Monitor()
