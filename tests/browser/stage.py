"""A whole station with its page, as people meet it: a process of its own, users who may log in, and a line of parts."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import urllib.error
import urllib.request
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

from edgekd.station.page.users import FILE, Users
from edgekd.station.parts import Part
from edgekd.station.simulated_plc import PlcResult

from ..station.whole.laid_out import PATIENCE_S, WholeStation, free_port, running, until
from ..station.whole.line import Line, encoded
from ..station.whole.numbered import part_image
from .people import PASSWORDS

Done = TypeVar("Done")


class PageStation:
    """A station with a page and users, and the PLC of its line. Used from one thread, like the browser.

    Args:
        folder: For configuration, cameras and record.
        recipes: Folder of released recipes.
        options: Of `WholeStation`.

    Attributes:
        station: The process.
        origin: Of the page.
        recipes: As given.
        number: Of the last part that came.
    """

    def __init__(self, folder: Path, recipes: Path, **options: Any) -> None:
        port = free_port()
        page = {"port": port, **options.pop("page", {})}
        self.station = WholeStation(folder, recipes, page=page, **options)
        self.origin = f"http://127.0.0.1:{port}"
        self.number = 0
        self.recipes = recipes
        self._loop = asyncio.new_event_loop()
        self._line: Line | None = None
        users = Users(self.station.data / FILE)
        for name, (role, password) in PASSWORDS.items():
            users.add(name, role, password)

    def wait_until_served(self) -> None:
        """Waits until the page answers."""
        until(self._answers)

    def connect(self) -> None:
        """Connects the PLC, which goes online and enables triggers."""

        async def connected() -> Line:
            line = Line(self.station)
            await line.connect()
            await line.start()
            return line

        self._line = self._done(connected())

    def part(self, defective: bool = False, dark: bool = False) -> PlcResult:
        """Lets a part come; of a dark one the lamp is off.

        Args:
            defective: Whether it has a bright spot.
            dark: Whether its image is black.
        """
        assert self._line is not None
        self.number += 1
        content = encoded(0 * part_image(self.number)) if dark else None
        return self._done(self._line.part(self.number, defective, content))

    def trigger(self) -> PlcResult:
        """Triggers a part that lies under a camera which takes its images from elsewhere."""
        assert self._line is not None
        self.number += 1
        return self._done(self._line.inspect(Part(self.number)))

    def disconnect(self) -> None:
        """The PLC goes away."""
        if self._line is not None:
            self._done(self._line.close())
            self._line = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.origin}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            assert self.station.running, self.station.log.read_text()[-4000:]
            return False

    def _done(self, work: Coroutine[Any, Any, Done]) -> Done:
        """Does something on the line's own loop: this thread has the browser's."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * PATIENCE_S)

    @contextlib.contextmanager
    def running(self) -> Iterator[PageStation]:
        """The station runs within the block, and its page is served."""
        turning = threading.Thread(target=self._loop.run_forever, daemon=True)
        turning.start()
        try:
            with running(self.station):
                self.wait_until_served()
                try:
                    yield self
                finally:
                    self.disconnect()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            turning.join(PATIENCE_S)
            self._loop.close()
