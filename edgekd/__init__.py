"""edgekd: from a folder of good images to a measured anomaly detector beside the line.

The names below are imported when they are first used: `import edgekd` alone loads neither torch nor a back end.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekd import models, papers
    from edgekd.engines.opening import open_engine
    from edgekd.result import AnomalyResult, Verdict
    from edgekd.runner.inspector import Inspector
    from edgekd.workflows.bench import bench
    from edgekd.workflows.benchmark import benchmark
    from edgekd.workflows.build import build
    from edgekd.workflows.choose import choose
    from edgekd.workflows.distill import distill
    from edgekd.workflows.drift import drift
    from edgekd.workflows.evaluate import evaluate
    from edgekd.workflows.export import export
    from edgekd.workflows.log import log
    from edgekd.workflows.threshold import threshold
    from edgekd.workflows.train import train

# By default torch's threads spin while they wait for each other. Where anything else wants a core, a training step then
# takes several times as long; where nothing does, it takes as long as before. It is read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

__all__ = [
    "AnomalyResult",
    "Inspector",
    "Verdict",
    "__version__",
    "bench",
    "benchmark",
    "build",
    "choose",
    "distill",
    "drift",
    "evaluate",
    "export",
    "log",
    "models",
    "open_engine",
    "papers",
    "threshold",
    "train",
]

_VERBS = (
    *("bench", "benchmark", "build", "choose", "distill", "drift", "evaluate", "export", "log", "threshold", "train"),
)
_MODULES = {
    "AnomalyResult": "edgekd.result",
    "Inspector": "edgekd.runner.inspector",
    "Verdict": "edgekd.result",
    "open_engine": "edgekd.engines.opening",
    **{verb: f"edgekd.workflows.{verb}" for verb in _VERBS},
}
_PACKAGES = ("models", "papers")


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"edgekd.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module 'edgekd' has no attribute '{name}'")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value  # Found at once the next time.
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
