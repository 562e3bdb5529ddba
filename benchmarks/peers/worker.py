"""What every peer's process does: loads, says that it is ready, and inspects images when it is told to.

Only the standard library and NumPy, for it runs in every peer's environment. Images come decoded, as a camera's
driver gives them; what is timed is all from there to the score, resizing included.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WARM_UP = 3
# Whatever a library prints goes where errors go: the orchestrator reads nothing but answers.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def read_images(path: Path) -> list[np.ndarray]:
    """The images of a run, uint8 [H, W, 3], BGR."""
    with np.load(path) as file:
        return [file[name] for name in file.files]


def serve(about: dict[str, Any], images: list[np.ndarray], inspect: Callable[[np.ndarray], float]) -> None:
    """Answers on standard output, one line of JSON for each line of standard input, until that ends.

    Args:
        about: What this peer is: versions, and what its time holds.
        images: To inspect, uint8 [H, W, 3], BGR.
        inspect: Image -> score.
    """
    for _ in range(WARM_UP):
        inspect(images[0])
    print(json.dumps(about), file=ANSWERS, flush=True)
    for _ in sys.stdin:
        milliseconds, scores = [], []
        for image in images:
            start = time.perf_counter()
            score = inspect(image)
            milliseconds.append((time.perf_counter() - start) * 1e3)
            scores.append(float(score))
        print(json.dumps({"milliseconds": milliseconds, "scores": scores}), file=ANSWERS, flush=True)
