"""A client with its process, played cameras and an engine that can be disturbed, for tests of both."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from pathlib import Path

import numpy as np

from edgekd.station.configuration import CameraConfiguration, OneStation, StationConfiguration
from edgekd.station.inspector.client import InspectorClient
from edgekd.station.inspector.listeners import Listeners
from edgekd.station.parts import Acquisition, Part

from . import played
from .parts_by_hand import good_part

DEADLINE = 5.0  # Seconds; the tests' machine is busy.
SHORT = 0.5  # For parts that get no answer.


class Bench:
    """Everything around one client. `run` runs what it returns in the event loop of the tests.

    Args:
        folder: For recipes, data and what is played.
        stations: Names of each station's cameras.
    """

    def __init__(self, folder: Path, stations: dict[str, tuple[str, ...]]) -> None:
        self.stage, self.recipes, self.data = folder / "stage", folder / "recipes", folder / "data"
        for each in (self.stage, self.recipes, self.data):
            each.mkdir()
        cameras = {camera: None for names in stations.values() for camera in names}
        self.configuration = StationConfiguration(
            data=self.data,
            recipes=self.recipes,
            stations=tuple(OneStation(name=name, cameras=names) for name, names in stations.items()),
            cameras={
                camera: CameraConfiguration(kind="folder", source="played", reconnect_s=0.05) for camera in cameras
            },
        )
        for camera in cameras:
            self.show(good_part(), camera)
        self.loop = asyncio.new_event_loop()
        self.happened: list[tuple] = []
        self.changed = asyncio.Event()
        self.numbers = 0
        self.loaded = {}
        self.client = self.new_client(self.happened)

    def new_client(self, happened: list[tuple]) -> InspectorClient:
        """A client whose listeners note what they are told in a list, in which nobody else's must be."""

        def note(kind):
            def listener(*said):
                happened.append((kind, *said))
                self.changed.set()

            return listener

        names = ("camera", "died", "restarted", "failing", "unloaded", "late", "stored", "warning")
        listeners = Listeners(**{f"on_{name}": note(name) for name in names})

        class PlayedClient(InspectorClient):
            command = (sys.executable, played.__file__, str(self.stage))

        return PlayedClient(self.configuration, listeners)

    def run(self, work):
        """Runs a coroutine to its end."""
        return self.loop.run_until_complete(asyncio.wait_for(work, 60))

    def show(self, image: np.ndarray, camera: str = "top") -> None:
        """What a camera sees from now on."""
        part = self.stage / "part.npy"
        np.save(part, image)
        part.rename(self.stage / f"{camera}.npy")

    @contextlib.contextmanager
    def fault(self, what: str, where: str = "top"):
        """Something is wrong with a camera, "engine", "loading" or "start" while the block runs."""
        path = self.stage / f"{where}.fault"
        part = self.stage / "part.fault.new"
        part.write_text(what)
        part.rename(path)
        try:
            yield
        finally:
            path.unlink()

    async def load(self, job: int = 1, station: str = "one"):
        """Loads a recipe."""
        self.loaded[station] = await self.client.load(station, job)
        return self.loaded[station]

    def acquisition(self, station: str = "one", seconds: float = DEADLINE, digest: str | None = None) -> Acquisition:
        """The next part."""
        self.numbers += 1
        now, loaded = time.monotonic(), self.loaded[station]
        return Acquisition(
            self.numbers,
            station,
            loaded.job,
            digest or loaded.digest,
            Part(self.numbers),
            "simulator",
            now,
            time.time_ns() // 1_000_000,
            now + seconds,
        )

    async def inspect(self, station: str = "one", seconds: float = DEADLINE, exposed=lambda: None, **changes):
        """Has a part inspected; the answer must be there at the deadline."""
        acquisition = self.acquisition(station, seconds, **changes)
        inspected = await self.client.inspect(acquisition, exposed)
        assert time.monotonic() < acquisition.deadline + 0.05  # The tests' machine is busy.
        assert inspected.acquisition_id == acquisition.acquisition_id
        return inspected

    async def until(self, kind: str, seconds: float = 20.0, after: int = 0) -> tuple:
        """What a listener was told, once it was.

        Args:
            kind: The listener's, such as "died".
            seconds: For which to wait.
            after: What happened before does not count.
        """
        end = time.monotonic() + seconds
        while True:
            for event in self.happened[after:]:
                if event[0] == kind:
                    return event[1:]
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), end - time.monotonic())

    def close(self) -> None:
        """Ends client and loop."""
        self.run(self.client.stop())
        self.loop.close()
