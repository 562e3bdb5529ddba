"""Resizing images to frames, by the rule of the artifact: the same for training, thresholds and inspection."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.images import Image
from edgekd.errors import ImageError
from edgekd.resize_rules import AREA, AREA_2, CURRENT_RESIZE_RULE, known_rule

STRIP_BYTES = 1 << 20  # Of intermediate rows: they stay in the cache of one core.
MOST_ROWS_IN_16_BITS = 65535 // 255


def resize_image(image: Image, height: int, width: int, rule: str = CURRENT_RESIZE_RULE) -> Image:
    """Resizes an image without keeping its aspect ratio.

    Args:
        image: uint8 [H, W, 3].
        height: Of the result, in pixels.
        width: Of the result, in pixels.
        rule: One of `RESIZE_RULES`. Where a side grows every rule is bilinear; where both shrink "area" is OpenCV's
            area shrink, and "area-2" the mean over the same areas, rounded to the nearest level.

    Returns:
        uint8 [height, width, 3]; the image itself where it has that size already.

    Raises:
        ArtifactError: There is no such rule.
        ImageError: The image is of another type or shape.
    """
    _require_bgr8(image)
    if image.shape[:2] == (height, width):
        return image
    resized = np.empty((height, width, 3), np.uint8)
    resize_into(image, resized, rule)
    return resized


def resize_into(image: Image, out: Image, rule: str = CURRENT_RESIZE_RULE) -> None:
    """Resizes an image into existing memory; see `resize_image`.

    Args:
        image: uint8 [H, W, 3].
        out: uint8 [h, w, 3], C-contiguous.
        rule: One of `RESIZE_RULES`.

    Raises:
        ArtifactError: There is no such rule.
        ImageError: The image, or the memory, is of another type or shape; nothing was written.
    """
    _require_bgr8(image)
    _require_bgr8(out)
    known_rule(rule, "this call")
    height, width = out.shape[:2]
    if image.shape == out.shape:
        np.copyto(out, image)
    elif image.shape[0] < height or image.shape[1] < width:
        _resize_by_opencv(image, out, cv2.INTER_LINEAR)
    elif rule == AREA:
        _resize_by_opencv(image, out, cv2.INTER_AREA)
    else:
        assert rule == AREA_2
        _shrink_by_area(image, out)


def _require_bgr8(image: Image) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(f"only uint8 of shape [height, width, 3] is resized, got {image.dtype} of {list(image.shape)}")


def _resize_by_opencv(image: NDArray[Any], out: NDArray[Any], interpolation: int) -> None:
    """Resizes into existing memory. OpenCV would allocate other memory where that does not fit, and say nothing."""
    height, width = out.shape[:2]
    written = cv2.resize(image, (width, height), dst=out, interpolation=interpolation)
    if written is not out:
        np.copyto(out, written)


def _shrink_by_area(image: Image, out: Image) -> None:
    """The mean of each result pixel's area of the image, in float32, rounded to the nearest level.

    Rows are added up first, eight or so at a time, in 16-bit integers: fast on any processor, and exact. What is left
    for OpenCV, whose time goes with the pixels it is given, are the columns of as many rows as the result has. Where an
    edge of the result's rows cuts a row of the image, that row goes through the columns too and is split afterwards.

    Args:
        image: uint8 [H, W, 3], not smaller than `out`.
        out: uint8 [h, w, 3].
    """
    (rows, columns), (height, width) = image.shape[:2], out.shape[:2]
    flat = np.ascontiguousarray(image).reshape(rows, columns * 3)
    edges = np.arange(1, height + 1) * rows  # Lower edges of the result's rows, in 1 / height of the image's rows.
    share_above = (edges % height / height).astype(np.float32)[:, None, None]  # Of the row that the edge cuts.
    share_below = np.ceil(share_above) - share_above
    period = height // math.gcd(rows, height)  # Result rows after which edges cut rows in the same way again.
    cuts = period > 1
    strip_rows = min(height, max(1, STRIP_BYTES // (4 * 3 * columns * (2 if cuts else 1))))
    strip_rows -= strip_rows % period if strip_rows > period else 0
    strip = np.empty((strip_rows, columns * 3), np.float32)
    whole = np.empty((height, width, 3), np.float32)
    cut = np.empty((height, width, 3), np.float32) if cuts else whole
    for first in range(0, height, strip_rows):
        last = min(first + strip_rows, height)
        part = strip[: last - first]
        _add_whole_rows(flat, height, period, first, part)
        _shrink_columns(part, whole[first:last])
        if cuts:
            np.copyto(part, flat[np.minimum(edges[first:last] // height, rows - 1)])
            _shrink_columns(part, cut[first:last])
    if cuts:
        whole += share_above * cut
        whole[1:] += (share_below * cut)[:-1]
    whole *= np.float32(height / rows)
    np.copyto(out, np.rint(whole, out=whole), casting="unsafe")


def _add_whole_rows(flat: NDArray[np.uint8], height: int, period: int, first: int, sums: NDArray[np.float32]) -> None:
    """Adds up the image's rows that lie wholly inside each row of the result.

    Args:
        flat: uint8 [H, N], the image's rows.
        height: Rows of the whole result.
        period: Result rows after which these ranges repeat.
        first: Row of the result that `sums` begins with.
        sums: float32 [n, N], of n rows of the result; written.
    """
    rows, count = len(flat), len(sums)
    wide = np.uint16 if rows // height < MOST_ROWS_IN_16_BITS else np.uint32
    repeats, begin, blocks = 1, 0, flat[None]
    if count > period:  # A strip of whole periods: the same row of each in one go.
        repeats, begin = count // period, first * rows // height
        blocks = flat[begin : begin + count * rows // height].reshape(repeats, -1, flat.shape[1])
    step = count // repeats
    for index in range(step):
        row = first + index
        top, bottom = -(-row * rows // height) - begin, (row + 1) * rows // height - begin
        sums[index::step] = np.add.reduce(blocks[:, top:bottom], axis=1, dtype=wide)


def _shrink_columns(flat: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """The area mean along each row: float32 [n, W * 3] to [n, w, 3]."""
    count, width = out.shape[:2]
    pixels = flat.reshape(count, -1, 3)
    if pixels.shape[1] == width:
        np.copyto(out, pixels)
    else:
        _resize_by_opencv(pixels, out, cv2.INTER_AREA)
