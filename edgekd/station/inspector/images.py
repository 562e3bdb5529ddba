"""Images of parts: kept in memory until control knows what becomes of them, then written by a thread of its own."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import logging
import os
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from edgekd.errors import EdgekdError, one_line
from edgekd.result import Verdict
from edgekd.run_folder import HEAT_MAP_SUFFIX
from edgekd.runner.sinks import FAST_PNG, write_heat_map, write_image
from edgekd.station.inspector.judging import Seen
from edgekd.station.inspector.messages import ImageKind, Keep, Message, Stored, Warned
from edgekd.verdicts.limits import Limits

FOLDER = "images"
MOST_KEPT = 4  # Acquisitions of a station whose images wait for control's word.
MOST_WAITING = 1000  # Acquisitions whose images wait to be written,
MOST_BYTES = 256 << 20  # and how much memory they may take.
JPEG_QUALITY = 95
NICENESS = 5  # Of the thread that writes: the next part comes first.

logger = logging.getLogger(__name__)
Key = tuple[str, int]  # Station and acquisition.


@dataclass(frozen=True)
class View:
    """What one camera saw of a part.

    Attributes:
        seen: The image and what became of it.
        limits: That it was judged by.
    """

    seen: Seen
    limits: Limits

    @property
    def bytes(self) -> int:
        """Of memory."""
        return 0 if self.seen.image is None else int(self.seen.image.nbytes)


@dataclass(frozen=True)
class _Job:
    keep: Keep
    views: tuple[View, ...]

    @property
    def bytes(self) -> int:
        return sum(view.bytes for view in self.views)


class ImageWriter:
    """Writes the images that control asks for.

    Args:
        data: Folder of the record; images go into a folder in it.
        send: Tells control what was written and what was not.
    """

    def __init__(self, data: Path, send: Callable[[Message], None]) -> None:
        self._data, self._send = data, send
        self._changed = threading.Condition()
        self._kept: OrderedDict[Key, tuple[View, ...]] = OrderedDict()
        self._early: OrderedDict[Key, Keep] = OrderedDict()  # Asked for before the images were here.
        self._waiting: deque[_Job] = deque()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="images", daemon=True)
        self._thread.start()

    def offer(self, station: str, acquisition_id: int, views: Sequence[View]) -> None:
        """Keeps the images of an acquisition in memory until control tells what becomes of them.

        Args:
            station, acquisition_id: Whose.
            views: Of each camera that gave an image.
        """
        key = (station, acquisition_id)
        with self._changed:
            early = self._early.pop(key, None)
            if early is None:
                self._kept[key] = tuple(views)
                _trim(self._kept, station)
        if early is not None:
            self._put(_Job(early, tuple(views)))

    def keep(self, asked: Keep) -> None:
        """Writes images of an acquisition, or forgets them where none are wanted."""
        key = (asked.station, asked.acquisition_id)
        with self._changed:
            views = self._kept.pop(key, None)
            if views is None and asked.wanted:
                self._early[key] = asked  # Its deadline passed, and it is still judged.
                _trim(self._early, asked.station)
        if views is not None and asked.wanted:
            self._put(_Job(asked, views))

    def close(self, until: float) -> None:
        """Writes what waits, and ends; of what it could not write in time it warns.

        Args:
            until: `time.monotonic()` until which to wait at most.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(max(0.0, until - time.monotonic()))
        with self._changed:
            left = [job for job in self._waiting if job.keep.verdict is not Verdict.OK]
            self._waiting.clear()
        for job in left:
            self._warn(job.keep, "the station was stopped before it was its turn")

    def _put(self, job: _Job) -> None:
        """Adds to what waits; where that is too much, OK samples go first, and never an NG without a warning."""
        dropped = []
        with self._changed:
            self._waiting.append(job)
            while len(self._waiting) > 1 and (
                len(self._waiting) > MOST_WAITING or sum(each.bytes for each in self._waiting) > MOST_BYTES
            ):
                dropped.append(_least(self._waiting))
                self._waiting.remove(dropped[-1])
            self._changed.notify_all()
        for each in dropped:
            if each.keep.verdict is not Verdict.OK:
                self._warn(each.keep, "too many images wait to be written: the disk is too slow")

    def _run(self) -> None:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                job = self._waiting.popleft()
            self._write(job)
            del job  # Until the next one it would keep the images.

    def _write(self, job: _Job) -> None:
        for view in job.views:
            suffix = f"_{view.seen.inspected.camera}" if len(job.views) > 1 else ""
            base = f"{_folder(job.keep)}/{job.keep.result_id}_{job.keep.verdict.value}{suffix}"
            try:
                if "original" in job.keep.wanted and view.seen.image is not None:
                    self._store(job.keep, "original", base, view)
                if "heat_map" in job.keep.wanted and _has_map(view):
                    self._store(job.keep, "heat_map", base, view)
            except Exception as error:
                kind = "" if isinstance(error, EdgekdError) else f"{type(error).__name__}: "
                self._warn(job.keep, f"{kind}{one_line(error)}")

    def _store(self, asked: Keep, kind: ImageKind, base: str, view: View) -> None:
        seen, limits = view.seen, view.limits
        assert seen.image is not None
        if kind == "heat_map":
            assert seen.result is not None
            relative = f"{base}{HEAT_MAP_SUFFIX}"
            low, high = 0.5 * limits.threshold, 2 * limits.threshold
            image = seen.in_8_bits()
            write_heat_map(self._data / relative, image, seen.result, low, high, limits.pixel_limit, durable=True)
        elif asked.verdict is Verdict.OK:
            relative = f"{base}.jpg"
            write_image(self._data / relative, seen.in_8_bits(), (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY), durable=True)
        else:
            relative = f"{base}.png"
            write_image(self._data / relative, seen.image, FAST_PNG, durable=True)
        content = (self._data / relative).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        self._send(Stored(result_id=asked.result_id, image=kind, path=relative, sha256=digest, bytes=len(content)))

    def _warn(self, asked: Keep, why: str) -> None:
        text = f"result {asked.result_id} ({asked.verdict.value}): its image was not written: {why}"
        logger.warning("%s", text)
        self._send(Warned(text=text))


def _trim(kept: OrderedDict[Key, Any], station: str) -> None:
    """Forgets the oldest of a station where there are too many."""
    of_station = [key for key in kept if key[0] == station]
    for key in of_station[:-MOST_KEPT]:
        del kept[key]


def _least(waiting: Sequence[_Job]) -> _Job:
    """What is dropped first: the oldest OK sample, else the newest."""
    return next((job for job in waiting if job.keep.verdict is Verdict.OK), waiting[-1])


def _folder(asked: Keep) -> str:
    when = datetime.datetime.fromtimestamp(asked.published_utc_ms / 1e3, datetime.timezone.utc)
    return f"{FOLDER}/{when:%Y-%m-%d}/{when:%H}"


def _has_map(view: View) -> bool:
    result = view.seen.result
    return view.seen.image is not None and result is not None and result.anomaly_map is not None
