"""The inspector's process with cameras that play what a test shows them, and an engine that a test can disturb.

Started with a folder in which files tell what to do: CAMERA.npy is what a camera sees, CAMERA.fault and engine.fault
what is wrong with it.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from edgekd.station.cameras import reconnect
from edgekd.station.cameras.driver import Driver, RawFrame
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.inspector import loading, process
from edgekd.station.recipes import FREE_RUN, SOFTWARE

FOREVER = 3600


def fault(path: Path) -> list[str]:
    """What is wrong now; nothing where there is no such file."""
    try:
        return path.read_text().split()
    except FileNotFoundError:
        return []


class PlayedDriver(Driver):
    """A camera that sees what lies in a file. Each image carries its number in its first pixel, so no two are equal."""

    triggers = frozenset({FREE_RUN, SOFTWARE})
    call_s = 0.4

    def __init__(self, name: str, stage: Path) -> None:
        super().__init__(name)
        self._stage, self._number, self._asked = stage, 0, False

    def _fault(self) -> list[str]:
        return fault(self._stage / f"{self.name}.fault") or ["none"]

    def open(self):
        self.check()

    def check(self):
        if self._fault()[0] == "lost":
            raise self.lost("does not answer: check its cable")

    def apply(self, settings):
        if self._fault()[0] == "refuses":
            raise StationError(ErrorCode.LOADING_FAILED, f"camera '{self.name}' has no gain")
        return super().apply(settings)

    def trigger(self):
        self._asked = True
        if self._fault()[0] == "dies":
            os.kill(os.getpid(), 9)

    def read(self, timeout_s):
        kind, *rest = self._fault()
        if not self._asked or kind == "timeout":
            return None
        self._asked = False
        if kind == "hangs":
            time.sleep(FOREVER)
        time.sleep(float(rest[0]) if kind == "slow" else 0)
        self._number += kind != "frozen"
        image = np.load(self._stage / f"{self.name}.npy")
        image[0, 0, 0] = self._number % 256
        return RawFrame(lambda: (image, 8), time.monotonic(), self._number)

    def close(self):
        pass


def main() -> None:
    stage = Path(sys.argv[1])
    if fault(stage / "start.fault"):
        sys.exit("it does not start")
    opening = loading.open_engine

    def open_engine(*args, **options):
        if fault(stage / "loading.fault"):
            time.sleep(FOREVER)
        engine = opening(*args, **options)
        infer = engine.infer

        def disturbed(frames, maps_above):
            kind, *rest = fault(stage / "engine.fault") or ["none"]
            if kind == "sleeps":
                time.sleep(float(rest[0]))
            elif kind == "never":
                time.sleep(FOREVER)
            elif kind == "raises":
                raise RuntimeError("CUDA error 700")
            elif kind == "lost":
                engine.limit.broken = "the GPU does not respond"
                raise RuntimeError("CUDA error 999")
            return infer(frames, maps_above)

        engine.infer = disturbed
        return engine

    reconnect.make_driver = lambda name, configuration: PlayedDriver(name, stage)
    loading.open_engine = open_engine
    process.main()


if __name__ == "__main__":
    main()
