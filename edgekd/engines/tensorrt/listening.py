"""What TensorRT reports while it works: warnings, errors, layers, progress. Also how a build is stopped."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

OnProgress = Callable[[str, int, int], None]  # With a phase, the steps done of it and its steps in all.

TENSORRT_LOG = logging.getLogger("edgekd.tensorrt")
# CUDA's complaints on a machine without a driver (35) or without a GPU (100). TensorRT for RTX makes them in builds
# that need neither; a build that needs a GPU is refused with a line of its own before it begins.
WITHOUT_A_GPU = ("cudaError 35:", "cudaError 100:")


@functools.lru_cache(maxsize=1024)  # A call with a line that was logged before does nothing.
def logged_once(level: int, line: str) -> None:
    """Logs a line of TensorRT's, each distinct one once in the life of the process.

    Args:
        level: Of the logging module, such as logging.WARNING.
        line: The message, in one line.
    """
    TENSORRT_LOG.log(level, line)


def make_listener(trt: Any) -> Any:
    """A logger that keeps `errors`, one line each, and `layers`, the lines of the builder's list of layers.

    Warnings are passed on to Python's logging at once. Errors are kept: the first one of a build that fails is the
    message of the exception, and the caller logs the others.

    Args:
        trt: The module of a flavour; its logger is the base class.
    """

    class Listener(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.layers: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if message.startswith("Layers:"):
                self.layers += message.splitlines()[1:]
            if severity > trt.ILogger.WARNING or any(code in message for code in WITHOUT_A_GPU):
                return
            line = " ".join(message.split())
            if severity <= trt.ILogger.ERROR:
                self.errors.append(line)
            else:
                logged_once(logging.WARNING, line)

    return Listener()


def make_monitor(trt: Any, on_progress: OnProgress | None) -> Any:
    """A progress monitor that tells how far the building is, and ends it once `cancelled` is set.

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
            self._tell(name, 0)

        def step_complete(self, name: str, step: int) -> bool:
            self._tell(name, step + 1)
            return not self.cancelled

        def phase_finish(self, name: str) -> None:
            self._tell(name, self._steps[name])

        def _tell(self, name: str, done: int) -> None:
            if on_progress is not None:
                on_progress(name, done, self._steps[name])

    return Monitor()
