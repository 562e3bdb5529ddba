"""Images a second through the runner alone: readers and resizing, with an engine that takes no time.

    python benchmarks/readers_throughput.py [--before CHECKOUT] [--readers N ...] [--rounds 5] [--json FILE]

Images lie decoded in memory, as a camera gives them, and go through `inspect_stream`; what a second can hold is what
the CPU in front of a GPU allows. Each measurement is a process of its own, all of them in turn, round by round.
--before names a checkout of another version of edgekd, measured by this same script with that version's own defaults.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import subprocess
import sys
import time
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.artifact import write_json
from edgekd.engines import EVERY_MAP, EngineSpec, Frames, Outputs
from edgekd.engines.host import HostEngine
from edgekd.profiling.timing import device_record
from edgekd.result import Verdict
from edgekd.runner import Frame, inspect_stream
from edgekd.verdicts.limits import Limits

DIFFERENT_IMAGES = 8  # More bytes than the caches of most processors.


class NoEngine(HostEngine):
    """Answers at once, as a GPU would that is never the limit."""

    slots = 4

    def __init__(self, side: int) -> None:
        super().__init__()
        self.spec = EngineSpec("none", "0", "none", side, side, 1)

    def submit(self, frames: Frames, maps_above: float = EVERY_MAP) -> Frames:
        return frames

    def collect(self, ticket: Any) -> Outputs:
        self.release(ticket)
        return Outputs(np.zeros(len(ticket), np.float32), np.zeros((0, 0, 0), np.float32))

    def close(self) -> None:
        """Holds nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=2048)
    parser.add_argument("--width", type=int, default=2448)
    parser.add_argument("--side", type=int, default=256, help="of the engine's frames")
    parser.add_argument("--count", type=int, default=300, help="images of a measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--readers", type=int, nargs="+", default=[], help="beside the default")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="of another version")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", metavar="N|default", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments, arguments.measure)))
        return
    here = Path(__file__).resolve().parent.parent
    cases = {"before": (arguments.before.resolve(), "default")} if arguments.before else {}
    cases |= {f"{count} readers": (here, str(count)) for count in arguments.readers} | {"now": (here, "default")}
    rates: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(arguments.rounds):
        for name in list(cases) if turn % 2 else reversed(cases):
            rates[name].append(_in_a_process(arguments, *cases[name]))
    figures = {
        "images": f"{arguments.height} x {arguments.width} to {arguments.side} x {arguments.side}",
        "count": arguments.count,
        "images_per_second": rates,
        "device": device_record(len(os.sched_getaffinity(0))),
    }
    print(f"{figures['images']}, {arguments.count} images, {arguments.rounds} rounds in turn")
    for name, values in rates.items():
        low, median, high = np.quantile(values, [0, 0.5, 1])
        print(f"{name}: {median:.1f} images a second ({low:.1f} to {high:.1f})")
    if arguments.json:
        write_json(arguments.json, figures)


def measure(arguments: argparse.Namespace, readers: str) -> float:
    """Images a second."""
    random = np.random.default_rng(0)
    shape = (DIFFERENT_IMAGES, arguments.height, arguments.width, 3)
    images = random.integers(0, 256, shape, np.uint8)
    names = (Frame(str(number), partial(images.__getitem__, number % len(images))) for number in range(1_000_000))
    given = {} if readers == "default" else {"readers": int(readers)}
    assert not given or "readers" in inspect.signature(inspect_stream).parameters
    stream = inspect_stream(NoEngine(arguments.side), names, Limits(1.0), **given)
    for _ in range(20):  # To warm up.
        next(stream)
    start = time.perf_counter()
    for answer in islice(stream, arguments.count):
        assert answer.result.verdict is Verdict.OK
    rate = arguments.count / (time.perf_counter() - start)
    stream.close()
    return rate


def _in_a_process(arguments: argparse.Namespace, checkout: Path, readers: str) -> float:
    words = [f"--{name}={getattr(arguments, name)}" for name in ("height", "width", "side", "count")]
    command = [sys.executable, __file__, f"--measure={readers}", *words]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
