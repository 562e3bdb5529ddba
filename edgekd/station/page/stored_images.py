"""Images on record: found by a result's id, never by a path from outside, whole or small enough for a list."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from edgekd.station.ports import StoredImage
from edgekd.station.record.reading import RecordReader

ImageKind = Literal["original", "heat_map"]
TYPES = {".png": "image/png", ".jpg": "image/jpeg"}
LONGER_SIDE = 320  # Of a thumbnail, in pixels.
QUALITY = 85
MOST_KEPT = 500  # Thumbnails, some 10 kB each.


def find_image(record: RecordReader, result_id: int, kind: ImageKind) -> StoredImage | None:
    """An image of a result as it is on record; None where there is none any more.

    With several cameras it is that of the one that decided, where it is there.

    Args:
        record: Where to look.
        result_id: Whose.
        kind: Which.
    """
    recorded = record.result(result_id)
    if recorded is None:
        return None
    images = [image for image in recorded.images if image.kind == kind]
    seen = recorded.outcome.inspected
    decided = [] if seen is None else [image for image in images if f"_{seen.camera}" in Path(image.path).stem]
    return next(iter(decided + images), None)


def file_of(data: Path, image: StoredImage) -> Path | None:
    """The file of an image; None where it is gone, or lies anywhere but in the data folder.

    Args:
        data: The record's folder.
        image: As it is on record.
    """
    path = (data / image.path).resolve()
    return path if path.suffix in TYPES and path.is_relative_to(data.resolve()) and path.is_file() else None


class Thumbnails:
    """Small forms of images on record, made when they are first asked for. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # One is decoded at a time: an image of 20 megapixels takes 60 MB.
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def of(self, path: Path, image: StoredImage) -> bytes | None:
        """A JPEG; None where the file cannot be read.

        Args:
            path: Of the image.
            image: As it is on record.
        """
        with self._lock:
            if image.path in self._kept:
                self._kept.move_to_end(image.path)
                return self._kept[image.path]
            made = thumbnail(path)
            if made is not None:
                self._kept[image.path] = made
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            return made


def thumbnail(path: Path, longer_side: int = LONGER_SIDE) -> bytes | None:
    """An image that a station wrote, made small, as a JPEG; None where it cannot be read.

    Args:
        path: The file.
        longer_side: At most, in pixels.
    """
    try:
        content = np.fromfile(path, np.uint8)
        image = cv2.imdecode(content, cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
    if image is None:
        return None
    height, width = image.shape[:2]
    factor = longer_side / max(height, width)
    if factor < 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    return encoded.tobytes() if done else None
