"""The images that a detector is taught with: kept as they came, checked before, each with what it shows."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import cv2
import numpy as np
from pydantic import TypeAdapter

from edgekd.artifact import write_beside, write_error
from edgekd.data.image_files import SMALLEST_SIDE
from edgekd.data.image_headers import BMP, JPEG, PNG
from edgekd.data.images import Image, decode_image
from edgekd.errors import EdgekdError
from edgekd.station.clock import Clock
from edgekd.verdicts.image_checks import statistics
from edgekd.verdicts.image_statistics import Statistics
from edgekd.verdicts.text import printable

Label = Literal["good", "out", "defect", "golden"]
Source = Literal["camera", "upload", "folder", "record"]
LABELS: tuple[Label, ...] = get_args(Label)

INDEX_FILE, IMAGES_FOLDER, THUMBNAILS_FOLDER = "images.jsonl", "images", "thumbnails"
MOST_IMAGES = 5000
THUMBNAIL_SIDE, FULL_SIDE = 240, 1600  # Of what is shown, in pixels.
# Kept as they are; all others are written anew without loss, under a suffix that fits them.
SUFFIXES = {JPEG: ".jpg", PNG: ".png", BMP: ".bmp", b"II*\0": ".tif", b"MM\0*": ".tif"}


@dataclass(frozen=True)
class TaughtImage:
    """An image of a project.

    Attributes:
        id: Its number in the project, from 1.
        label: "good" is trained on or held out, "golden" is a good part that is only tried, "defect" likewise a
            defective one; "out" counts for nothing.
        source: Where it came from.
        name: That it had there.
        file: In the project's folder of images.
        time_utc_ms: When it came.
        by: Who took it.
        seen: What it is checked by.
        result_id: Of the answer on record that it belongs to; None for none.
        bit_depth: Bits that a file of 16 bits uses; None for one of 8.
    """

    id: int
    label: Label
    source: Source
    name: str
    file: str
    time_utc_ms: int
    by: str
    seen: Statistics
    result_id: int | None = None
    bit_depth: int | None = None


_IMAGE = TypeAdapter(TaughtImage)
_ONE_AT_A_TIME = threading.Lock()  # Decoding takes up to 180 MB; many requests may come at once.


class ImageStore:
    """The images of a project. Any thread may call it; no other process writes there.

    Args:
        folder: Of the project.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._images, self._next = _read_index(folder / INDEX_FILE)
        self._ended = False

    def all(self) -> tuple[TaughtImage, ...]:
        """All images, the oldest first."""
        with self._lock:
            return tuple(self._images.values())

    def labelled(self, *labels: Label) -> tuple[TaughtImage, ...]:
        """Those of some labels, the oldest first."""
        return tuple(each for each in self.all() if each.label in labels)

    def get(self, number: int) -> TaughtImage:
        """An image by its number.

        Raises:
            KeyError: There is none.
        """
        with self._lock:
            return self._images[number]

    def path(self, image: TaughtImage) -> Path:
        """The file of an image."""
        return self._folder / IMAGES_FOLDER / image.file

    def add(
        self,
        data: bytes,
        label: Label,
        source: Source,
        name: str,
        by: str,
        result_id: int | None = None,
        bit_depth: int | None = None,
    ) -> TaughtImage:
        """Takes an image.

        Args:
            data: Its file.
            label: What it shows.
            source, name: Where it came from.
            by: Who took it.
            result_id: Of the answer on record that it belongs to.
            bit_depth: Bits that a file of 16 bits uses; None for one of 8.

        Raises:
            ImageError: It is not a whole image, or would take too much memory to read.
            EdgekdError: The project holds as many as it may, it was removed, or the disk takes no more.
        """
        suffix = next((suffix for head, suffix in SUFFIXES.items() if data.startswith(head)), "")
        with _ONE_AT_A_TIME:
            pixels = decode_image(data, name or "the image", bit_depth)
            seen = statistics(pixels)
            thumbnail = as_jpeg(pixels, THUMBNAIL_SIDE)
            content = data if suffix else cv2.imencode(".png", pixels)[1].tobytes()
        with self._lock:
            if self._ended:
                raise EdgekdError("the project was removed while the image came: it is not kept")
            if len(self._images) >= MOST_IMAGES:
                raise EdgekdError(f"a project holds {MOST_IMAGES} images at most: remove some first")
            number = self._next
            file = f"{number:05}{suffix or '.png'}"
            now = Clock().utc_ms()
            known = printable(name[-200:])  # A file's name may hold any bytes.
            image = TaughtImage(number, label, source, known, file, now, by, seen, result_id, bit_depth)
            for path, bytes_ in ((self.path(image), content), (self.thumbnail_path(image), thumbnail)):
                with write_beside(path, durable=False) as part:
                    part.write_bytes(bytes_)
            self._note(_entry(image))
            self._images[number], self._next = image, number + 1
        return image

    def relabel(self, number: int, label: Label) -> TaughtImage:
        """Says what an image shows.

        Raises:
            KeyError: There is no such image.
        """
        with self._lock:
            image = replace(self._images[number], label=label)
            self._note(_entry(image))
            self._images[number] = image
        return image

    def remove(self, number: int) -> None:
        """Removes an image and its file.

        Raises:
            KeyError: There is no such image.
        """
        with self._lock:
            image = self._images[number]
            self._note({"id": number, "removed": True})
            del self._images[number]
            for path in (self.path(image), self.thumbnail_path(image)):
                path.unlink(missing_ok=True)

    def end(self) -> None:
        """Takes no more images: the project is removed, and what still came would make its folder anew."""
        with self._lock:
            self._ended = True

    def thumbnail(self, number: int) -> bytes:
        """A small JPEG of an image.

        Raises:
            KeyError: There is no such image.
        """
        return self.thumbnail_path(self.get(number)).read_bytes()

    def full(self, number: int) -> bytes:
        """A JPEG of an image, in its own size where that is not huge.

        Raises:
            KeyError: There is no such image.
            ImageError: Its file is damaged.
        """
        image = self.get(number)
        with _ONE_AT_A_TIME:
            return as_jpeg(decode_image(self.path(image).read_bytes(), image.file, image.bit_depth), FULL_SIDE)

    def thumbnail_path(self, image: TaughtImage) -> Path:
        """The file of an image's thumbnail."""
        return self._folder / THUMBNAILS_FOLDER / f"{image.id:05}.jpg"

    def _note(self, entry: Mapping[str, Any]) -> None:
        path = self._folder / INDEX_FILE
        try:
            with path.open("a+b") as file:
                file.write(_missing_end(file) + json.dumps(entry).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise write_error(path, error) from error


def as_jpeg(pixels: Image, side: int) -> bytes:
    """An image as JPEG, made smaller where it is larger than so many pixels a side."""
    height, width = pixels.shape[:2]
    share = side / max(height, width)
    if share < 1:
        size = (max(SMALLEST_SIDE, round(width * share)), max(SMALLEST_SIDE, round(height * share)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()


def _entry(image: TaughtImage) -> dict[str, Any]:
    return asdict(image) | {"seen": list(image.seen)}


def _missing_end(file: BinaryIO) -> bytes:
    """What ends a file's last line where a full disk or a power cut left it open: the next would be lost with it."""
    if not file.seek(0, os.SEEK_END):
        return b""
    file.seek(-1, os.SEEK_END)
    return b"" if file.read() == b"\n" else b"\n"


def _read_index(path: Path) -> tuple[dict[int, TaughtImage], int]:
    """The images of an index, whose later lines replace earlier ones, and the number that the next image gets."""
    images: dict[int, TaughtImage] = {}
    highest = 0
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in lines:
        try:
            entry = json.loads(line)
            highest = max(highest, entry["id"])
            if entry.get("removed"):
                images.pop(entry["id"], None)
            else:
                images[entry["id"]] = _IMAGE.validate_python(entry | {"seen": Statistics(*entry["seen"])})
        except (ValueError, KeyError, TypeError):  # Cut off by a power cut.
            continue
    return images, highest + 1
