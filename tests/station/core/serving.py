"""Runs a station as the command does, with played cameras; for tests that stop, freeze or kill it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from edgekd.station.configuration import CameraConfiguration, OneStation, StationConfiguration, TimerConfiguration
from edgekd.station.inspector.client import InspectorClient
from edgekd.station.service import run_service
from tests.station.inspector import played


def main(folder: Path) -> None:
    """Runs a station that triggers itself ten times a second."""
    os.environ.pop("LD_PRELOAD", None)  # A clock that a test sets is control's alone: time.sleep fails with it.
    InspectorClient.command = (sys.executable, played.__file__, str(folder / "stage"))
    timer = TimerConfiguration(every_ms=100.0)
    station = OneStation(name="press", cameras=("top",), trigger="timer", timer=timer, job=1, start_online=True)
    configuration = StationConfiguration(
        data=folder / "data",
        recipes=folder / "recipes",
        stations=(station,),
        cameras={"top": CameraConfiguration(kind="folder", source="played", reconnect_s=0.05)},
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run_service(configuration))
        return
    sys.exit(130)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
