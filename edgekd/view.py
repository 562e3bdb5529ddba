"""What of a camera's frame is looked at, and how: crop, ignored parts, tiles, fit and alignment.

Recipes and manifests hold it; `edgekd.data.view_geometry` and `edgekd.data.alignment` compute it.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import ConfigDict, PlainValidator, TypeAdapter

from edgekd.errors import EdgekdError
from edgekd.typed import Count, Integer, NotNegative, Number, Positive, checked

Fit = Literal["letterbox", "stretch"]
FITS: tuple[Fit, ...] = get_args(Fit)
LETTERBOX: Fit = "letterbox"
STRETCH: Fit = "stretch"  # Of runs and artifacts that name no fit.
SMALLEST_CROP = 16  # Pixels a side, as of an image.
MOST_TILES = 64
MOST_OVERLAP = 0.5
MOST_ROTATION = 45.0
FARTHEST_POINT = 1 << 16  # Of a polygon, in pixels: OpenCV takes seconds to fill one that reaches much further.
MOST_PIXELS = 1 << 28  # Of a frame that a view is for: its masks are as large.
MOST_POINTS = 10_000
REDUCED_SIDE = 256  # Of an alignment's reference, in pixels: the longer one.


def _reference(value: object) -> str:
    """Checks the head of a reference: what it claims is allocated before the rest is read."""
    if not isinstance(value, str) or len(value) > 4 * REDUCED_SIDE**2:
        raise ValueError("must be a small PNG in base64")
    try:
        head = base64.b64decode(value, validate=True)[:24]
    except (binascii.Error, ValueError):
        head = b""
    width, height = struct.unpack(">II", head[16:]) if len(head) == 24 else (0, 0)
    if head[:8] != b"\x89PNG\r\n\x1a\n" or not 0 < max(width, height) <= REDUCED_SIDE or not min(width, height):
        raise ValueError(f"must be a PNG of at most {REDUCED_SIDE} pixels a side, in base64")
    return value


Point = tuple[Integer, Integer]  # x, y
Polygon = tuple[Point, ...]


@dataclass(frozen=True)
class Alignment:
    """How frames are shifted and turned onto a reference before anything else.

    Attributes:
        reference: Of the reference image, reduced and grey: a PNG in base64.
        max_shift: Of the frame's centre, in pixels of the frame; beyond it the frame is an ERROR.
        max_rotation: In degrees; beyond it the frame is an ERROR.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    reference: Annotated[str, PlainValidator(_reference)]
    max_shift: NotNegative
    max_rotation: NotNegative

    def __post_init__(self) -> None:
        if not self.max_shift >= 0:
            raise EdgekdError(f"the largest shift must be at least 0 pixels, got {self.max_shift:g}")
        if not 0 <= self.max_rotation <= MOST_ROTATION:
            raise EdgekdError(
                f"the largest rotation must be from 0 to {MOST_ROTATION:g} degrees, got {self.max_rotation:g}"
            )


@dataclass(frozen=True)
class View:
    """What of a frame is looked at, and how it is brought to what the network reads.

    Attributes:
        frame: Height and width, in pixels, of the frames that `crop`, the polygons and `align` are for; frames of
            another size are an ERROR. None for any, where there are none of these.
        crop: x, y, width and height of what is looked at, in pixels of the frame; None for all of it.
        look_at: Polygons in pixels of the frame: what is outside all of them is ignored. None of them for everything.
        ignore: Polygons in pixels of the frame: what is inside one of them is ignored.
        fit: "letterbox" keeps the shape of what is looked at; "stretch" fills the network's input with it.
        tiles: Rows and columns that it is divided into; the network reads each by itself.
        overlap: Of neighbouring tiles, as a share of a tile, 0..0.5.
        align: How frames are aligned first; None for as they are.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    frame: tuple[Positive, Positive] | None = None
    crop: tuple[Count, Count, Positive, Positive] | None = None
    look_at: tuple[Polygon, ...] = ()
    ignore: tuple[Polygon, ...] = ()
    fit: Fit = STRETCH
    tiles: tuple[Positive, Positive] = (1, 1)
    overlap: Number = 0.0
    align: Alignment | None = None

    def __post_init__(self) -> None:
        _check(self)

    @property
    def count(self) -> int:
        """Tiles of a frame."""
        return self.tiles[0] * self.tiles[1]

    @property
    def is_partial(self) -> bool:
        """Whether something of a frame is not looked at."""
        return self.crop is not None or bool(self.look_at or self.ignore)

    @property
    def leaves_out(self) -> bool:
        """Whether an anomaly map may have NaN where nothing is looked at: outside, or beside an aligned frame."""
        return self.is_partial or self.align is not None


def _check(view: View) -> None:
    if view.fit not in FITS:
        raise EdgekdError(f"the fit must be {' or '.join(FITS)}, got '{view.fit}'")
    if min(view.tiles) < 1 or view.count > MOST_TILES:
        raise EdgekdError(
            f"tiles must be rows and columns of at least 1, at most {MOST_TILES} tiles in all, got {_by(view.tiles)}"
        )
    if not 0 <= view.overlap <= MOST_OVERLAP:
        raise EdgekdError(f"the overlap must be a share of a tile from 0 to {MOST_OVERLAP:g}, got {view.overlap:g}")
    for polygon in (*view.look_at, *view.ignore):
        if len(polygon) < 3:
            raise EdgekdError(f"a polygon needs at least 3 points, got {len(polygon)}")
    if sum(len(polygon) for polygon in (*view.look_at, *view.ignore)) > MOST_POINTS:
        raise EdgekdError(f"polygons may have at most {MOST_POINTS} points in all")
    if view.frame is not None and view.frame[0] * view.frame[1] > MOST_PIXELS:
        raise EdgekdError(f"a view is for frames of at most {MOST_PIXELS >> 20} megapixels, got {_by(view.frame)}")
    if view.frame is None and (view.is_partial or view.align is not None):
        raise EdgekdError("a crop, a polygon or an alignment needs the size of the frames that it is for")
    if view.crop is not None and view.frame is not None:
        _check_crop(view.crop, view.frame)
    coordinates = [each for polygon in (*view.look_at, *view.ignore) for point in polygon for each in point]
    if coordinates and max(map(abs, coordinates)) > FARTHEST_POINT:
        raise EdgekdError(f"a point of a polygon must lie within {FARTHEST_POINT} pixels of the frame's corner")


def _check_crop(crop: tuple[int, int, int, int], frame: tuple[int, int]) -> None:
    x, y, width, height = crop
    if min(width, height) < SMALLEST_CROP:
        raise EdgekdError(f"a crop must be at least {SMALLEST_CROP} pixels a side, got {width} x {height}")
    if min(x, y) < 0 or x + width > frame[1] or y + height > frame[0]:
        raise EdgekdError(
            f"the crop {x},{y},{width},{height} (x, y, width, height) reaches beyond the frame of {frame[1]} x "
            f"{frame[0]} pixels"
        )


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


WHOLE = View()


def view_entry(view: View) -> dict[str, Any]:
    """A view as JSON has it."""
    return asdict(view)


def read_view(entry: Mapping[str, Any] | None, name: str) -> View:
    """A view from JSON.

    Args:
        entry: As `view_entry` made it; None, of before there were views, is the whole frame, stretched.
        name: What holds it, for errors.

    Raises:
        ArtifactError: It holds what this edgekd does not know, or what cannot be.
    """
    if entry is None:
        return WHOLE
    return checked(_VIEW, entry, f"the view in {name}", "update edgekd, or make it again")


_VIEW = TypeAdapter(View)


def describe(view: View) -> str:
    """A view in words, for logs and reports."""
    parts = []
    if view.align is not None:
        parts.append(f"aligned within {view.align.max_shift:g} pixels and {view.align.max_rotation:g} degrees")
    if view.crop is None:
        parts.append("the whole image")
    else:
        x, y, width, height = view.crop
        parts.append(f"crop {width} x {height} at {x}, {y}")
    if view.look_at:
        parts.append(f"inside {len(view.look_at)} polygon{'s' * (len(view.look_at) > 1)}")
    if view.ignore:
        parts.append(f"without {len(view.ignore)} polygon{'s' * (len(view.ignore) > 1)}")
    if view.count > 1:
        overlap = f", {100 * view.overlap:.3g} % overlap" if view.overlap else ""
        parts.append(f"{view.tiles[0]} x {view.tiles[1]} tiles{overlap}")
    parts.append("letterboxed where its shape differs" if view.fit == LETTERBOX else "stretched")
    return ", ".join(parts)
