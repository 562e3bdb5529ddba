"""Where the images of answers go: heat maps, and the frames they are of."""

from __future__ import annotations

import logging
import math
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.artifact import write_beside
from edgekd.data.images import Image
from edgekd.errors import EdgekdError, one_line
from edgekd.heatmap import outline_regions, overlay, write_text
from edgekd.result import AnomalyResult, Verdict
from edgekd.run_folder import HEAT_MAP_SUFFIX, IMAGES_FOLDER, ORIGINAL_SUFFIX
from edgekd.runner.pipeline import Answer
from edgekd.verdicts.limits import Limits
from edgekd.verdicts.log import ImageKind, VerdictLog
from edgekd.verdicts.retention import KeepImages, Retention, megabytes
from edgekd.verdicts.text import printable, safe_file_name

logger = logging.getLogger(__name__)

SMALLEST_HEAT_MAP = 256  # Pixels a side.
LONGEST_HEAT_MAP = 32_000  # Pixels a side: what OpenCV draws on; JPEG takes 65,535.
# Room that is left to verdicts: a day's worth at 10 a second, or of a small disk as much as can be spared.
RESERVED_BYTES, RESERVED_SHARE = 64_000_000, 0.05
FAST_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)
IN_WORDS = {"heat_map": "heat map", "original": "original"}

Frames = Literal["ng", "all", "none"]


class Wanted(NamedTuple):
    """Frames whose images are written: those that are NG, all, or none.

    Attributes:
        heat_maps: Of the frames that have an anomaly map.
        originals: Of the frames that could be read.
    """

    heat_maps: Frames = "ng"
    originals: Frames = "ng"


class ImageSink:
    """Writes the images of answers beside the log, and notes them in it. An image that cannot be written costs a count.

    An image's name is the frame's, made safe, and the number of its row in the log: shift/part.png.000012.heat.jpg.

    Args:
        log: The verdicts; images go into a folder beside it.
        limits: Where the colours of heat maps begin and end.
        wanted: Frames whose images are written.
        keep: How long images are kept.

    Attributes:
        not_written: How many images could not be written.
    """

    def __init__(self, log: VerdictLog, limits: Limits, wanted: Wanted, keep: KeepImages) -> None:
        self._log, self._limits, self._wanted = log, limits, wanted
        self._folder = log.path.parent
        total = shutil.disk_usage(self._folder).total
        self._reserved = max(min(RESERVED_BYTES, int(RESERVED_SHARE * total)), keep.free or 0)
        self._retention = Retention(self._folder, log, keep)
        self._warned: Counter[str] = Counter()
        self.not_written = 0
        self._retention.tidy()

    @property
    def removed(self) -> int:
        """How many images were removed, since they were older or more than shall be kept."""
        return self._retention.removed

    def write(self, answer: Answer, verdict_id: int) -> None:
        """Writes what is wanted of an answer.

        Args:
            answer: With its image, and with its map where a heat map is wanted.
            verdict_id: Of its row in the log.
        """
        verdict, has_map = answer.result.verdict, answer.result.anomaly_map is not None
        if answer.image is None:
            return
        kinds: list[ImageKind] = []
        if has_map and verdict is not Verdict.ERROR and _is_wanted(self._wanted.heat_maps, verdict):
            kinds.append("heat_map")
        if _is_wanted(self._wanted.originals, verdict):
            kinds.append("original")
        for kind in kinds:
            try:
                self._write(answer, verdict_id, kind)
            except Exception as error:  # Verdicts are what counts: an image must not end the run.
                self._not_written(answer.name, kind, error)

    def close(self) -> None:
        """Puts on record how many images are missing."""
        if self.not_written:
            count = self.not_written
            self._log.event("images_not_written", f"{count} images could not be written in this run", count)

    def _write(self, answer: Answer, verdict_id: int, kind: ImageKind) -> None:
        self._require_room()
        suffix = HEAT_MAP_SUFFIX if kind == "heat_map" else ORIGINAL_SUFFIX
        relative = f"{IMAGES_FOLDER}/{safe_file_name(answer.name)}.{verdict_id:06}{suffix}"
        path = self._folder / relative
        assert answer.image is not None
        if kind == "heat_map":
            low, high = 0.5 * self._limits.threshold, 2 * self._limits.threshold
            write_heat_map(path, answer.image, answer.result, low, high, self._limits.pixel_limit)
        else:
            write_original(path, answer.image)
        try:
            self._log.add_image(verdict_id, answer.result.verdict, kind, relative, path.stat().st_size)
        except EdgekdError:
            path.unlink()  # The log would not know of it, and so nobody would ever remove it.
            raise
        self._retention.added()
        self._retention.tidy()

    def _require_room(self) -> None:
        """Leaves the last of a disk to verdicts.

        Raises:
            OSError: So little is free that no image should be written.
        """
        if shutil.disk_usage(self._folder).free >= self._reserved:
            return
        self._retention.tidy()
        self._log.save_room()
        if (free := shutil.disk_usage(self._folder).free) < self._reserved:
            kept_free = megabytes(self._reserved)
            raise OSError(f"{megabytes(free)} are free on the disk, and {kept_free} are kept for verdicts")

    def _not_written(self, name: str, kind: ImageKind, error: Exception) -> None:
        """Warns of the first of a kind of failure; of a thousand more the count is enough."""
        self.not_written += 1
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        reason = f"{type(cause).__name__} {getattr(cause, 'errno', None)}"
        self._warned[reason] += 1
        if self._warned[reason] > 1:
            return
        line = f"{printable(name)}: the {IN_WORDS[kind]} was not written: {one_line(error)}"
        logger.warning("%s", line)
        try:
            self._log.event("image_not_written", line)
        except EdgekdError:
            logger.debug("that is not in the log either")


def _is_wanted(frames: Frames, verdict: Verdict) -> bool:
    return frames == "all" or (frames == "ng" and verdict is Verdict.NG)


def write_original(path: Path, image: Image) -> None:
    """Writes a frame as it was inspected, without loss.

    Args:
        path: Ends in .png.
        image: uint8 [H, W, 3], BGR.

    Raises:
        EdgekdError: It cannot be written.
    """
    write_image(path, image, FAST_PNG)


def write_heat_map(
    path: Path,
    image: Image,
    result: AnomalyResult,
    low: float,
    high: float,
    pixel_limit: float = math.nan,
    durable: bool = False,
) -> None:
    """Writes a frame's heat map over its image, with verdict, score, severity and regions.

    A small image is enlarged until the text can be read, one that is too long is shrunk.

    Args:
        path: Ends in .jpg; its folder is made.
        image: uint8 [H, W, 3], BGR.
        result: The frame's, with its map.
        low, high: Raw map values at which the colours begin and end.
        pixel_limit: Above it the map is in a region; NaN for no regions.
        durable: Whether it is on the disk when this returns.

    Raises:
        EdgekdError: It cannot be written.
    """
    write_image(path, _drawn(image, result, low, high, pixel_limit), durable=durable)


def write_image(path: Path, image: NDArray[Any], parameters: Sequence[int] = (), durable: bool = False) -> None:
    """Writes an image, completely or not at all.

    Args:
        path: Its ending says how it is encoded; its folder is made.
        image: As OpenCV encodes it.
        parameters: Of the encoder, as OpenCV has them.
        durable: Whether it is on the disk when this returns.

    Raises:
        EdgekdError: It cannot be encoded or written.
    """
    written, encoded = cv2.imencode(path.suffix, image, parameters)
    if not written:
        height, width = image.shape[:2]
        raise EdgekdError(f"an image of {width} x {height} pixels cannot be encoded as {path.suffix}")
    with write_beside(path, durable) as part:
        part.write_bytes(encoded.tobytes())


def _drawn(image: Image, result: AnomalyResult, low: float, high: float, pixel_limit: float) -> Image:
    assert result.anomaly_map is not None
    image, scale = _legible(image)
    drawn = overlay(image, result.anomaly_map, low, high)
    if result.regions:
        corners = [(round(scale * region.box[0]), round(scale * region.box[1])) for region in result.regions]
        drawn = outline_regions(drawn, result.anomaly_map > pixel_limit, corners)
    severity = f"  severity {result.severity:.2f}" if math.isfinite(result.severity) else ""
    return write_text(drawn, f"{result.verdict.value}  {result.score:.4g}{severity}", 0, 0)


def _legible(image: Image) -> tuple[Image, float]:
    """An image in a size that can be drawn on and read, and how much larger it is than before."""
    height, width = image.shape[:2]
    if max(height, width) > LONGEST_HEAT_MAP:
        scale = LONGEST_HEAT_MAP / max(height, width)
        size = max(1, round(scale * width)), max(1, round(scale * height))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8), scale
    times = min(math.ceil(SMALLEST_HEAT_MAP / min(height, width)), LONGEST_HEAT_MAP // max(height, width))
    enlarged = np.repeat(np.repeat(image, times, axis=0), times, axis=1) if times > 1 else image
    return enlarged, float(times)
