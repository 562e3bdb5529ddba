"""Small images of the newest parts, for people who look at them: written after the answer, by a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edgekd.data.image_files import SMALLEST_SIDE
from edgekd.data.images import Image, as_bgr8
from edgekd.errors import one_line
from edgekd.heatmap import outline, overlay
from edgekd.runner.sinks import write_image
from edgekd.station.inspector.images import View

LONGEST_SIDE = 960
MOST_KEPT = 50  # Parts of a station: seconds of a fast line, for browsers on slow networks.
MOST_WAITING = 4  # Parts; beyond, the oldest gets no image.
QUALITY = (cv2.IMWRITE_JPEG_QUALITY, 80)
NICENESS = 10  # Verdicts first.

logger = logging.getLogger(__name__)


class Previews:
    """Writes LIVE/STATION/ACQUISITION.jpg and, where there is an anomaly map, ACQUISITION_map.jpg before it.

    Args:
        live: The folder; None where nobody will ever look.
    """

    def __init__(self, live: Path | None) -> None:
        self._live = live
        self._changed = threading.Condition()
        self._watched: set[str] = set()
        self._waiting: deque[tuple[str, int, View]] = deque(maxlen=MOST_WAITING)
        self._kept: dict[str, deque[int]] = {}
        if live is not None:
            threading.Thread(target=self._run, args=(live,), name="previews", daemon=True).start()

    def watch(self, station: str, watched: bool) -> None:
        """Somebody looks at a station, or nobody does any more."""
        with self._changed:
            (self._watched.add if watched else self._watched.discard)(station)

    def offer(self, station: str, acquisition_id: int, views: Sequence[View], camera: str) -> None:
        """Offers the images of a part, which may not change any more.

        Args:
            station, acquisition_id: Whose.
            views: Of each camera that gave an image.
            camera: That decided; its image is shown.
        """
        view = next((each for each in views if each.seen.inspected.camera == camera), None)
        if view is None or self._live is None or station not in self._watched:
            return
        with self._changed:
            self._waiting.append((station, acquisition_id, view))
            self._changed.notify()

    def _run(self, live: Path) -> None:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                station, acquisition_id, view = self._waiting.popleft()
            try:
                self._write(live / station, acquisition_id, view)
                self._forget_old(live / station, station, acquisition_id)
            except Exception as error:  # Nothing here may end the thread: the disk may be full.
                logger.warning("no small image of part %d: %s", acquisition_id, one_line(error))
            del view  # Until the next one it would keep the image.

    def _write(self, folder: Path, acquisition_id: int, view: View) -> None:
        image = small_image(view)
        result, limits = view.seen.result, view.limits
        if result is not None and result.anomaly_map is not None:
            drawn = overlay(image, result.anomaly_map, 0.5 * limits.threshold, 2 * limits.threshold)
            drawn = outline(drawn, np.nan_to_num(result.anomaly_map, nan=-np.inf) > limits.pixel_limit)
            write_image(map_path(folder, acquisition_id), drawn, QUALITY)
        write_image(image_path(folder, acquisition_id), image, QUALITY)

    def _forget_old(self, folder: Path, station: str, acquisition_id: int) -> None:
        kept = self._kept.get(station)
        if kept is None:  # What was left here before the start goes.
            kept = self._kept[station] = deque()
            for old in folder.glob("*.jpg"):
                if old.stem.partition("_")[0] != str(acquisition_id):
                    old.unlink(missing_ok=True)
        kept.append(acquisition_id)
        while len(kept) > MOST_KEPT:
            number = kept.popleft()
            image_path(folder, number).unlink(missing_ok=True)
            map_path(folder, number).unlink(missing_ok=True)


def image_path(folder: Path, acquisition_id: int) -> Path:
    """The small image of a part."""
    return folder / f"{acquisition_id}.jpg"


def map_path(folder: Path, acquisition_id: int) -> Path:
    """Its heat map."""
    return folder / f"{acquisition_id}_map.jpg"


def small_image(view: View) -> Image:
    """The image of a view in 8 bits, at most 960 pixels long."""
    image = view.seen.image
    assert image is not None
    height, width = image.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale < 1:
        size = (max(SMALLEST_SIDE, round(width * scale)), max(SMALLEST_SIDE, round(height * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    return as_bgr8(image, "the image", view.seen.bit_depth if image.dtype == np.uint16 else None)
