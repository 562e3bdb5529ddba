"""Frames for a network from images as they were read, and back: the one way that training, evaluation and runner share.

First a frame is aligned, then cropped, what is ignored is filled, then it is divided into tiles, and each is brought to
the size that the network reads. `assemble` goes the other way with the tiles' anomaly maps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.alignment import Transform, find_transform
from edgekd.data.images import Image, as_bgr8
from edgekd.data.resizing import resize_image, resize_into
from edgekd.data.view_geometry import (
    Blend,
    Box,
    geometry_of,
    ignored_in_map,
    is_whole,
    looking_tiles,
    pixels_looked_at,
    require_frame,
)
from edgekd.preprocessing import Preprocessing

THE_IMAGE = "the image"  # In errors.
FILL = 128  # Of what is ignored: nothing of its pixels may reach the network, and grey is the same in every frame.

Frames = NDArray[np.uint8]
Map = NDArray[np.float32]


class Placement(NamedTuple):
    """How one frame lies.

    Attributes:
        height, width: Of the frame as it was read, in pixels.
        transform: From pixels of the reference to those of the frame; None where frames are not aligned.
    """

    height: int
    width: int
    transform: Transform | None = None


def place(image: Image, preprocessing: Preprocessing) -> Placement:
    """Measures how a frame lies.

    Args:
        image: uint8 [H, W, 3], BGR.
        preprocessing: Of the run or the artifact that the frame is for.

    Raises:
        ImageError: The view is for frames of another size, or the frame lies too far from the reference.
    """
    height, width = image.shape[:2]
    view = preprocessing.view
    require_frame(view, height, width)
    return Placement(height, width, find_transform(image, view.align) if view.align is not None else None)


def prepare(image: NDArray[Any], preprocessing: Preprocessing) -> tuple[Frames, Placement]:
    """Prepares an image for a network.

    Args:
        image: As `edgekd.data.images.as_bgr8` takes it, of any size from 16 pixels a side.
        preprocessing: Of the run or the artifact that the frame is for.

    Returns:
        uint8 [tiles, height, width, 3], BGR, which shares the image's memory where it has that size already; and how
        the frame lies, for `assemble`.

    Raises:
        ImageError: The image is of another type or shape, the view is for frames of another size, or the frame lies too
            far from the reference.
    """
    image = as_bgr8(image, THE_IMAGE, preprocessing.bit_depth)
    height, width = image.shape[:2]
    if is_whole(preprocessing, height, width):
        frame = resize_image(image, preprocessing.height, preprocessing.width, preprocessing.resize)
        return frame[None], Placement(height, width)
    frames = np.empty((preprocessing.tiles, preprocessing.height, preprocessing.width, 3), np.uint8)
    return frames, prepare_into(image, frames, preprocessing)


def prepare_into(image: NDArray[Any], out: Frames, preprocessing: Preprocessing) -> Placement:
    """Prepares an image into existing memory; see `prepare`.

    Args:
        image: As `edgekd.data.images.as_bgr8` takes it, of any size from 16 pixels a side.
        out: uint8 [tiles, height, width, 3], C-contiguous.
        preprocessing: Of the artifact that the frame is for.

    Returns:
        How the frame lies, for `assemble`.
    """
    image = as_bgr8(image, THE_IMAGE, preprocessing.bit_depth)
    height, width = image.shape[:2]
    if is_whole(preprocessing, height, width):
        resize_into(image, out[0], preprocessing.resize)
        return Placement(height, width)
    placement = place(image, preprocessing)
    if placement.transform is not None:
        image = aligned(image, placement.transform)
    geometry, looked_at = geometry_of(preprocessing, height, width), pixels_looked_at(preprocessing.view)
    for tile, memory in zip(geometry.tiles, out, strict=True):
        part = tile.of(image)
        if looked_at is not None:
            part = np.asarray(cv2.copyTo(part, tile.of(looked_at), np.full(part.shape, FILL, np.uint8)), np.uint8)
        _fit(part, memory, geometry.inner, preprocessing.resize)
    return placement


def aligned(image: Image, transform: Transform) -> Image:
    """The frame as it would lie if it lay as the reference does.

    Args:
        image: uint8 [H, W, 3], BGR.
        transform: From pixels of the reference to those of the frame.
    """
    height, width = image.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(image, transform, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )


def _fit(part: Image, memory: Image, inner: Box, rule: str) -> None:
    """Brings a tile to what the network reads; the bands of a letterbox reflect it."""
    height, width = memory.shape[:2]
    if (inner.height, inner.width) == (height, width):
        resize_into(part, memory, rule)
        return
    resized = resize_image(part, inner.height, inner.width, rule)
    below, right = height - inner.top - inner.height, width - inner.left - inner.width
    np.copyto(memory, cv2.copyMakeBorder(resized, inner.top, below, inner.left, right, cv2.BORDER_REFLECT_101))


def frame_score(scores: NDArray[np.float32], preprocessing: Preprocessing) -> float:
    """The score of a frame: the highest of its tiles in which something is looked at; NaN where one of them is NaN.

    Args:
        scores: float32 [tiles].
        preprocessing: Of the artifact.
    """
    looking = looking_tiles(preprocessing)
    return float(np.max(scores if len(looking) == len(scores) else scores[list(looking)]))


def frame_scores(scores: NDArray[np.float32], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """The scores of frames; see `frame_score`.

    Args:
        scores: float32 [N * tiles].
        preprocessing: Of the artifact.

    Returns:
        float32 [N].
    """
    by_frame = scores.reshape(-1, preprocessing.tiles)
    return np.asarray(by_frame[:, list(looking_tiles(preprocessing))].max(axis=1))


def assemble(maps: Map, placement: Placement, preprocessing: Preprocessing) -> Map:
    """Puts the anomaly maps of a frame's tiles together.

    Args:
        maps: float32 [tiles, height, width], as the network gives them.
        placement: Of the frame.
        preprocessing: Of the artifact.

    Returns:
        float32 [H, W] of the whole frame, at the network's own scale but no finer than the frame; NaN where the view
        does not look. Overlapping tiles are blended. The network's own map where the frame fills it.
    """
    height, width, transform = placement
    if is_whole(preprocessing, height, width):
        whole: Map = maps[0]
        return whole
    geometry = geometry_of(preprocessing, height, width)
    assembled: Map = np.full(geometry.canvas, np.nan, np.float32)
    rows, columns = geometry.rows, geometry.columns
    region = np.s_[rows[0].first : rows[-1].last, columns[0].first : columns[-1].last]
    assembled[region] = 0
    for number, tile_map in enumerate(maps):
        row, column = (
            blends[index] for blends, index in zip((rows, columns), divmod(number, len(columns)), strict=True)
        )
        assembled[row.first : row.last, column.first : column.last] += _sampled(tile_map, row, column)
    if not np.isfinite(maps).all():  # Not to be taken for what is not looked at.
        assembled[region] = np.inf
    ignored = ignored_in_map(preprocessing.view, geometry.canvas)
    if ignored is not None:
        assembled[ignored] = np.nan
    if transform is not None:
        return _back_to_the_frame(assembled, transform, height, width)
    return assembled


def _sampled(tile_map: Map, row: Blend, column: Blend) -> Map:
    """A tile's map at the pixels of the assembled one, weighted."""
    share = row.share[:, None]
    tall = tile_map[row.low] * (1 - share) + tile_map[row.high] * share
    sampled = tall[:, column.low] * (1 - column.share) + tall[:, column.high] * column.share
    return np.asarray(sampled * row.weight[:, None] * column.weight)


def _back_to_the_frame(assembled: Map, transform: Transform, height: int, width: int) -> Map:
    """A map that lies as the reference does, as the frame lies."""
    rows, columns = assembled.shape
    scale = np.array([columns / width, rows / height])
    linear = transform[:, :2] * scale[:, None] / scale[None, :]
    offset = 0.5 * (1 / scale - 1)  # The centre of the map's first pixel, in the frame.
    moved = scale * (transform[:, :2] @ offset + transform[:, 2] - offset)
    matrix = np.column_stack([linear, moved])
    known = (~np.isnan(assembled)).astype(np.float32)
    share = cv2.warpAffine(known, matrix, (columns, rows), flags=cv2.INTER_LINEAR)
    back = np.full(assembled.shape, np.nan, np.float32)
    if np.isinf(assembled).any():
        back[share >= 0.5] = np.inf
        return back
    values = cv2.warpAffine(np.where(known > 0, assembled, 0), matrix, (columns, rows), flags=cv2.INTER_LINEAR)
    return np.asarray(np.divide(values, share, out=back, where=share >= 0.5))
