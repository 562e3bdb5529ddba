"""Where the parts of a view lie: in the camera's frame, in what the network reads, and in the assembled anomaly map."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.errors import ImageError
from edgekd.preprocessing import Preprocessing
from edgekd.view import LETTERBOX, Polygon, View

KEPT = 32  # Geometries: images of a data set may all differ in size.
FAINTEST = 1e-3  # Weight of a tile's outermost pixels, where another tile overlaps.


class Box(NamedTuple):
    """A rectangle, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of an array [H, W, ...] that it covers; a view, no copy."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


class Blend(NamedTuple):
    """How one row, or one column, of tiles goes into the assembled map: sampled linearly, and weighted.

    Attributes:
        first, last: Its range in the assembled map.
        low, high: int64 [n], the neighbouring rows (columns) of the tile's map for each of that range.
        share: float32 [n], of `high`.
        weight: float32 [n]; those of all tiles sum to 1.
    """

    first: int
    last: int
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    share: NDArray[np.float32]
    weight: NDArray[np.float32]


class Geometry(NamedTuple):
    """A view of frames of one size.

    Attributes:
        tiles: In pixels of the frame, row by row.
        inner: Where a tile lies in what the network reads; the rest are the letterbox's bands.
        canvas: Height and width of the assembled map, which covers the whole frame at the network's own scale.
        rows, columns: How each row and column of tiles goes into it.
    """

    tiles: tuple[Box, ...]
    inner: Box
    canvas: tuple[int, int]
    rows: tuple[Blend, ...]
    columns: tuple[Blend, ...]


def is_whole(preprocessing: Preprocessing, height: int, width: int) -> bool:
    """Whether a frame fills what the network reads, whole: then its map is the network's own.

    Args:
        preprocessing: Of the run or the artifact.
        height, width: Of the frame, in pixels.
    """
    view = preprocessing.view
    if view.is_partial or view.align is not None or view.count > 1:
        return False
    return view.fit != LETTERBOX or _inner(preprocessing, height, width)[2:] == (
        preprocessing.height,
        preprocessing.width,
    )


def require_frame(view: View, height: int, width: int) -> None:
    """Refuses a frame of another size than the view is for.

    Args:
        view: Of the run or the artifact.
        height, width: Of the frame, in pixels.

    Raises:
        ImageError: It is.
    """
    if view.frame is not None and view.frame != (height, width):
        raise ImageError(
            f"the frame is {width} x {height} pixels, and the view is for frames of {view.frame[1]} x {view.frame[0]}: "
            "set the camera to that size"
        )


def cropped(image: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """What a view looks at of a frame, as far as its crop says: what checks of the image go by.

    Args:
        image: uint8 [H, W, 3], as it was read.
        view: Of the run or the artifact.

    Raises:
        ImageError: The view is for frames of another size.
    """
    require_frame(view, *image.shape[:2])
    if view.crop is None:
        return image
    left, top, width, height = view.crop
    return Box(top, left, height, width).of(image)


@lru_cache(KEPT)
def geometry_of(preprocessing: Preprocessing, height: int, width: int) -> Geometry:
    """The geometry of a view of frames of one size.

    Args:
        preprocessing: Of the run or the artifact.
        height, width: Of the frame, in pixels.

    Raises:
        ImageError: The view is for frames of another size.
    """
    view = preprocessing.view
    require_frame(view, height, width)
    left, top, region_width, region_height = view.crop or (0, 0, width, height)
    tops, tile_height = _spread(region_height, view.tiles[0], view.overlap)
    lefts, tile_width = _spread(region_width, view.tiles[1], view.overlap)
    tiles = tuple(Box(top + y, left + x, tile_height, tile_width) for y in tops for x in lefts)
    inner = _inner(preprocessing, tile_height, tile_width)
    down, across = inner.height / tile_height, inner.width / tile_width
    canvas = (_canvas_side(height, down), _canvas_side(width, across))
    rows = _blends([top + y for y in tops], tile_height, inner.top, inner.height, height, canvas[0])
    columns = _blends([left + x for x in lefts], tile_width, inner.left, inner.width, width, canvas[1])
    return Geometry(tiles, inner, canvas, rows, columns)


def _spread(side: int, count: int, overlap: float) -> tuple[list[int], int]:
    """Where tiles of one size begin so that they cover a side, and that size."""
    size = min(side, int(np.ceil(side / (count - (count - 1) * overlap))))
    return [round(index * (side - size) / max(1, count - 1)) for index in range(count)], size


def _inner(preprocessing: Preprocessing, height: int, width: int) -> Box:
    """Where a tile of a size lies in what the network reads."""
    if preprocessing.view.fit != LETTERBOX:
        return Box(0, 0, preprocessing.height, preprocessing.width)
    scale = min(preprocessing.height / height, preprocessing.width / width)
    inner_height = min(preprocessing.height, max(1, round(height * scale)))
    inner_width = min(preprocessing.width, max(1, round(width * scale)))
    top, left = (preprocessing.height - inner_height) // 2, (preprocessing.width - inner_width) // 2
    return Box(top, left, inner_height, inner_width)


def _canvas_side(side: int, scale: float) -> int:
    """A side of the assembled map: at the network's scale, but no finer than the frame itself."""
    return max(1, round(side * min(1.0, scale)))


def _blends(starts: list[int], size: int, inner: int, inner_size: int, side: int, canvas: int) -> tuple[Blend, ...]:
    """The blends along one axis.

    Args:
        starts: Where the tiles begin, in pixels of the frame.
        size: Of a tile, in pixels of the frame.
        inner, inner_size: Where a tile begins in its map, and its size there.
        side: Of the frame.
        canvas: Of the assembled map.
    """
    centres = (np.arange(canvas) + 0.5) * side / canvas  # Of the assembled map's pixels, in the frame.
    weights = np.zeros((len(starts), canvas), np.float32)
    for index, start in enumerate(starts):
        before = starts[index - 1] + size - start if index else 0  # That neighbours overlap by.
        after = start + size - starts[index + 1] if index + 1 < len(starts) else 0
        ramp = np.ones(canvas)
        if before > 0:
            ramp = np.minimum(ramp, (centres - start) / before)
        if after > 0:
            ramp = np.minimum(ramp, (start + size - centres) / after)
        inside = (centres >= start) & (centres < start + size)
        weights[index] = np.where(inside, np.maximum(ramp, FAINTEST), 0)
    total = weights.sum(axis=0)
    weights = np.divide(weights, total, out=weights, where=total > 0)
    blends = []
    for start, weight in zip(starts, weights, strict=True):
        covered = np.flatnonzero(weight)
        first, last = (int(covered[0]), int(covered[-1]) + 1) if covered.size else (0, 0)
        places = (centres[first:last] - start) * inner_size / size - 0.5
        places = inner + np.clip(places, 0, inner_size - 1)
        low = np.minimum(np.floor(places).astype(np.int64), inner + max(0, inner_size - 2))
        high = np.minimum(low + 1, inner + inner_size - 1)
        blends.append(Blend(first, last, low, high, (places - low).astype(np.float32), weight[first:last]))
    return tuple(blends)


@lru_cache(4)
def pixels_looked_at(view: View) -> NDArray[np.uint8] | None:
    """The pixels of a frame that the polygons of a view leave; a crop leaves out more.

    Args:
        view: With the size of its frames.

    Returns:
        uint8 [H, W], 0 where ignored, else 1; None where there is no polygon. Not to be changed.
    """
    if not (view.look_at or view.ignore):
        return None
    assert view.frame is not None
    looked_at = np.full(view.frame, 0 if view.look_at else 1, np.uint8)
    for polygons, value in ((view.look_at, 1), (view.ignore, 0)):
        for polygon in polygons:
            cv2.fillPoly(looked_at, [np.array(polygon, np.int32)], value)
    return looked_at


@lru_cache(8)
def ignored_in_map(view: View, canvas: tuple[int, int]) -> NDArray[np.bool_] | None:
    """The pixels of an assembled map that the polygons of a view ignore, by half and more.

    Where that would be all of them, those that are ignored wholly: a map without a value would have no limit.

    Args:
        view: With the size of its frames.
        canvas: Height and width of the map.

    Returns:
        bool [h, w]; None where there is no polygon. Not to be changed.
    """
    looked_at = pixels_looked_at(view)
    if looked_at is None:
        return None
    resized = cv2.resize(looked_at.astype(np.float32), canvas[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(resized <= (0.5 if (resized > 0.5).any() else 0))


@lru_cache(8)
def looking_tiles(preprocessing: Preprocessing) -> tuple[int, ...]:
    """The tiles in which something is looked at, by their numbers; the score of a frame is the highest of these.

    Args:
        preprocessing: Of the run or the artifact.

    Raises:
        ImageError: There is none: everything is ignored.
    """
    view = preprocessing.view
    looked_at = pixels_looked_at(view)
    if looked_at is None:
        return tuple(range(view.count))
    assert view.frame is not None
    tiles = geometry_of(preprocessing, *view.frame).tiles
    looking = tuple(number for number, tile in enumerate(tiles) if tile.of(looked_at).any())
    if not looking:
        raise ImageError("the view ignores the whole frame: leave something to look at")
    return looking


def mask_polygons(mask: NDArray[np.bool_]) -> tuple[Polygon, ...]:
    """Polygons that cover a mask, to about a pixel. A part with a hole is cut in two, so that none needs a hole.

    Args:
        mask: bool [H, W].
    """
    return _polygons(mask, 0)


def _polygons(mask: NDArray[np.bool_], left: int) -> tuple[Polygon, ...]:
    contours, hierarchy = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return ()
    for contour, (*_, parent) in zip(contours, hierarchy[0], strict=True):
        if parent >= 0:  # A hole: open in both halves once it is cut through its middle.
            middle = int((contour[:, 0, 0].min() + contour[:, 0, 0].max() + 1) // 2)
            return _polygons(mask[:, :middle], left) + _polygons(mask[:, middle:], left + middle)
    simple = [cv2.approxPolyDP(contour, 1.0, True)[:, 0] for contour in contours]
    return tuple(tuple((int(x) + left, int(y)) for x, y in points) for points in simple if len(points) >= 3)
