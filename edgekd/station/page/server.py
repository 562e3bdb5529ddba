"""The page, as control sees it: a process of its own that is told what happens, and that asks.

Control imports no web framework. See `edgekd.station.companion` for what happens where the process ends or hangs.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import time
from collections.abc import Sequence
from pathlib import Path

from edgekd.errors import missing_package
from edgekd.station.companion import Companion, Send
from edgekd.station.configuration import OneStation, StationConfiguration
from edgekd.station.events import Event, Subscription
from edgekd.station.json_lines import Message
from edgekd.station.live_folder import SNAPS, live_folder
from edgekd.station.page.requests import answer
from edgekd.station.page.views import Viewed, differs, event_of
from edgekd.station.ports import Person, RecipesPort, StationPort
from edgekd.station.recipes_on_disk import RecipesOnDisk
from edgekd.station.tasks import together, within

LINK = "page"
PACKAGES = {
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "websockets": "websockets",
    "argon2": "argon2-cffi",
    "python_multipart": "python-multipart",
}
GATHERED_S = 0.03  # For which events are gathered: a part makes eight, and control has more important things to do.
REFRESHED_S = 5.0  # After so long without an event it is told how things are, since time itself changes some of them.
MOST_SNAPS = 20


class PageServer:
    """Serves the page of all stations of a configuration.

    Args:
        configuration: Of the stations; it has a page.
        stations: In its order.

    Raises:
        MachineError: A package is not installed.
    """

    def __init__(self, configuration: StationConfiguration, stations: Sequence[StationPort]) -> None:
        for module, package in PACKAGES.items():
            if importlib.util.find_spec(module) is None:
                raise missing_package(package, "the page")
        self.recipes: RecipesPort = RecipesOnDisk(configuration.recipes)
        self._live = live_folder(configuration)
        self._numbers = itertools.count(1)
        self._stations = {station.name: station for station in stations}
        self._told = [_Told(station, of) for of, station in zip(configuration.stations, stations, strict=True)]
        self.companion = Companion(
            "the page", "edgekd.station.page.process", _settings(configuration), self._tell, self._answer, self._report
        )

    async def run(self) -> None:
        """Serves until it is cancelled."""
        try:
            await self.companion.run()
        finally:
            self._unwatch()

    def snap_path(self, station: str) -> Path:
        """A new file for an image that somebody asks a camera for; older ones go."""
        folder = self._live / station / SNAPS
        folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(folder.iterdir())[: 1 - MOST_SNAPS]:
            old.unlink(missing_ok=True)
        return folder / f"{_utc_ms()}-{next(self._numbers)}.png"

    def _report(self, up: bool) -> None:
        for station in self._stations.values():
            station.report_link(LINK, up)
        if not up:
            self._unwatch()

    def _unwatch(self) -> None:
        for station in self._stations.values():
            station.watch(False)

    async def _tell(self, send: Send) -> None:
        await together(*(told.tell(send) for told in self._told))

    async def _answer(self, message: Message) -> Message:
        who = Person(**message["who"])
        return await answer(self._stations[message["station"]], message["method"], message["arguments"], who, self)


class _Told:
    """What the page's process is told of one station."""

    def __init__(self, station: StationPort, configuration: OneStation) -> None:
        self._station = station
        self._events: Subscription = station.events.subscribe()
        self._viewed = Viewed(configuration, _utc_ms())

    async def tell(self, send: Send) -> None:
        """Tells how the station is, and then what happens."""
        shown = self._view(self._events.take())
        await send({"station": self._station.name, "view": shown, "events": []})
        while True:
            try:
                events = [await within(REFRESHED_S, self._events.next())]
                await asyncio.sleep(GATHERED_S)
                events += self._events.take()
            except asyncio.TimeoutError:
                events = []
            view = self._view(events)
            news = [told for event in events if (told := event_of(self._station.name, event, _utc_ms())) is not None]
            changed = not events or differs(view, shown)
            if changed or news:
                await send({"station": self._station.name, "view": view if changed else None, "events": news})
            shown = view

    def _view(self, events: Sequence[Event]) -> Message:
        now = _utc_ms()
        for event in events:
            self._viewed.saw(event, now)
        return self._viewed.view(self._station.snapshot())


def _settings(configuration: StationConfiguration) -> Message:
    """What the process must know before anything else."""
    assert configuration.page is not None
    return {
        "page": configuration.page.model_dump(mode="json"),
        "data": str(configuration.data.absolute()),
        "recipes": str(configuration.recipes.absolute()),
        "live": str(live_folder(configuration)),
        "stations": [{"name": each.name, "cameras": list(each.cameras)} for each in configuration.stations],
    }


def _utc_ms() -> int:
    return time.time_ns() // 1_000_000
