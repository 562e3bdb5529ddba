"""A folder into which another program writes images, one a part: each file counts once, when it is complete.

The first file that appears after the trigger is the part's; files that were there before belong to no part. A file is
complete when it was renamed into place, or when neither its size nor its time have changed for a moment, and when it
can be read to its end.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from edgekd.data.folders import IMAGE_SUFFIXES
from edgekd.data.images import read_image
from edgekd.errors import EdgekdError
from edgekd.station.cameras.driver import Driver, RawFrame, as_it_is
from edgekd.station.recipes import FREE_RUN, HARDWARE, CameraSettings

LOOK_S = 0.01
APART_S = 1e-5
STILL_S = 0.1  # A file that did not change for so long is complete, if it can be read.
GIVEN_UP_S = 2.0  # One that cannot be read by then never can.
PARTS = re.compile(r"(\D+|^)(\d{0,18})")  # Of a name: text, and the number behind it.
LOOK_AGAIN_S = 0.5  # Although the folder's time has not changed: some file systems round it.


_Name = tuple[str, int]  # And the inode: another file may be renamed over one of the same name.


@dataclass
class _File:
    """A file that is not complete yet.

    Attributes:
        seen: `time.monotonic()` when it was first there.
        changed: When its size or time last changed.
        state: Size and time.
        tried: The state in which it could not be read.
        problem: Why not.
    """

    seen: float
    changed: float
    state: tuple[int, int]
    tried: tuple[int, int] | None = None
    problem: str = ""


def _age(name: _Name, written: int) -> tuple[int, list[tuple[str, int]], _Name]:
    """What the oldest file comes first by; of those of one moment the one that counts lower, so 9.png before 10.png."""
    counted = [(text, int(digits or -1)) for text, digits in PARTS.findall(name[0])]
    return written, counted, name


def _written(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_mtime_ns
    except OSError:
        return 0  # It is gone; the next look forgets it.


class FolderDriver(Driver):
    """A watched folder.

    Args:
        name: The camera's.
        source: The folder.
    """

    triggers: ClassVar[frozenset[str]] = frozenset({FREE_RUN, HARDWARE})

    def __init__(self, name: str, source: str) -> None:
        super().__init__(name)
        self._folder = Path(source)
        self._done: set[_Name] = set()
        self._pending: dict[_Name, _File] = {}
        self._looked: tuple[int, float] = (0, 0.0)
        self._number = 0

    def open(self) -> None:
        self._look()

    def arm(self) -> None:
        """What is there now belongs to no part to come."""
        self._look()
        self._done.update(self._pending)
        self._pending.clear()

    def _look(self) -> float:
        """Finds files that are new, and forgets those that are gone; returns when it looked."""
        now = time.monotonic()
        try:
            changed = os.stat(self._folder).st_mtime_ns
            if changed == self._looked[0] and now - self._looked[1] < LOOK_AGAIN_S:
                return now
            with os.scandir(self._folder) as entries:
                images = [entry for entry in entries if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES]
            written = {(entry.name, entry.inode()): _written(entry) for entry in images}
        except OSError as error:
            raise self.lost(f"watches {self._folder}, which cannot be read: {error.strerror}") from error
        # The time of what is found is when it was seen, not when the look began: between the two a trigger may come,
        # and the file that answers it would count as from before it.
        seen = time.monotonic()
        recent = time.time_ns() - changed < 1e9  # What comes in the same tick of the clock leaves the time as it is.
        self._looked = (0 if recent else changed, now)
        self._done &= written.keys()
        for gone in self._pending.keys() - written.keys():
            del self._pending[gone]
        new = written.keys() - self._done - self._pending.keys()
        # A frame is told from others by its time, and so two files that are found at once must not have the same.
        for number, name in enumerate(sorted(new, key=lambda name: _age(name, written[name]))):
            self._pending[name] = _File(seen + number * APART_S, seen, (-1, 0))
        return seen

    def silence(self, settings: CameraSettings) -> str:
        problem = next((file.problem for file in list(self._pending.values()) if file.problem), "")
        return f"found no new complete image in {self._folder} in time" + (f": {problem}" if problem else "")

    def read(self, timeout_s: float) -> RawFrame | None:
        limit = time.monotonic() + timeout_s
        while True:
            now = self._look()
            for name, file in sorted(self._pending.items(), key=lambda item: item[1].seen):
                if (frame := self._frame(name, file, now)) is not None:
                    return frame
            if (remaining := limit - time.monotonic()) <= 0:
                return None
            time.sleep(min(LOOK_S, remaining))

    def _frame(self, name: _Name, file: _File, now: float) -> RawFrame | None:
        path = self._folder / name[0]
        try:
            status = os.stat(path)
        except OSError:
            return None  # The next look forgets it.
        state = (status.st_size, status.st_mtime_ns)
        if state != file.state:
            file.state, file.changed = state, now
        renamed = status.st_ctime_ns > status.st_mtime_ns
        still = now - file.changed
        given_up = still >= GIVEN_UP_S
        if not given_up and (not status.st_size or file.tried == state or not (renamed or still >= STILL_S)):
            return None
        try:
            return self._taken(name, file, read_image(path))
        except EdgekdError as failure:
            file.tried, file.problem = state, str(failure)
            return self._taken(name, file, None, str(failure)) if given_up else None

    def _taken(self, name: _Name, file: _File, image: Any, error: str = "") -> RawFrame:
        self._done.add(name)
        self._pending.pop(name, None)
        self._number += 1
        return RawFrame(partial(as_it_is, image), file.seen, self._number, incomplete=error)

    def close(self) -> None:
        self._pending.clear()
