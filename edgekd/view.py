"""What of a camera's frame is looked at, and how: crop, ignored parts, tiles, fit and alignment.

Recipes and manifests hold it; `edgekd.data.view_geometry` and `edgekd.data.alignment` compute it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from edgekd.errors import ArtifactError, EdgekdError

Fit = Literal["letterbox", "stretch"]
FITS: tuple[Fit, ...] = get_args(Fit)
LETTERBOX: Fit = "letterbox"
STRETCH: Fit = "stretch"  # Of runs and artifacts that name no fit.
SMALLEST_CROP = 16  # Pixels a side, as of an image.
MOST_TILES = 64
MOST_OVERLAP = 0.5
MOST_ROTATION = 45.0
FARTHEST_POINT = 1 << 16  # Of a polygon, in pixels: OpenCV takes seconds to fill one that reaches much further.

Point = tuple[int, int]  # x, y
Polygon = tuple[Point, ...]


@dataclass(frozen=True)
class Alignment:
    """How frames are shifted and turned onto a reference before anything else.

    Attributes:
        reference: Of the reference image, reduced and grey: a PNG in base64.
        max_shift: Of the frame's centre, in pixels of the frame; beyond it the frame is an ERROR.
        max_rotation: In degrees; beyond it the frame is an ERROR.
    """

    reference: str
    max_shift: float
    max_rotation: float

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

    frame: tuple[int, int] | None = None
    crop: tuple[int, int, int, int] | None = None
    look_at: tuple[Polygon, ...] = ()
    ignore: tuple[Polygon, ...] = ()
    fit: Fit = STRETCH
    tiles: tuple[int, int] = (1, 1)
    overlap: float = 0.0
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
    known = {each.name for each in fields(View)}
    try:
        if unknown := set(entry) - known:
            raise ArtifactError(f"{name} has a view with {min(unknown)}, which this edgekd does not know: update it")
        content = dict(entry)
        for side in ("frame", "crop", "tiles"):
            if content.get(side) is not None:
                content[side] = tuple(int(number) for number in content[side])
        for polygons in ("look_at", "ignore"):
            content[polygons] = tuple(
                tuple((int(x), int(y)) for x, y in polygon) for polygon in content.get(polygons, ())
            )
        if content.get("align") is not None:
            content["align"] = Alignment(**content["align"])
        return View(**content)
    except ArtifactError:
        raise
    except (EdgekdError, TypeError, ValueError) as error:
        raise ArtifactError(f"the view in {name} is damaged ({error}): make it again") from error


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
