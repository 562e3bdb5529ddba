"""From the options of a training to its view: what of an image is looked at, and how."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from edgekd.errors import EdgekdError
from edgekd.recipe import PAPER
from edgekd.view import LETTERBOX, STRETCH, Alignment, Polygon, View

if TYPE_CHECKING:
    from edgekd.workflows.train import TrainOptions

OVERLAP = 0.1  # Of tiles, where none is given: a defect on a seam is whole in one of them.
MAX_SHIFT, MAX_ROTATION = 0.1, 5.0  # Of a frame's shorter side; degrees.

PolygonLike: TypeAlias = str | Path | Sequence[tuple[int, int]]
NEEDS = {"overlap": "tiles", "max_shift": "align", "max_rotation": "align"}


def view_for(options: TrainOptions, data: Path, preset: str) -> View:
    """The view that options ask for.

    Args:
        options: Of `train`.
        data: Good images, as `train` takes them; the first tells the size of frames that a crop and the like are for.
        preset: "timed" letterboxes images of another shape, "paper" stretches them.

    Raises:
        EdgekdError: An option does not fit the images or the others, or a file cannot be read.
    """
    for name, needed in NEEDS.items():
        if getattr(options, name) is not None and getattr(options, needed) is None:
            raise EdgekdError(f"{_flag(name)} needs {_flag(needed)}, which is not given")
    tiles = (1, 1) if options.tiles is None else parse_tiles(options.tiles)
    several = tiles != (1, 1)
    if options.overlap is not None and not several:
        raise EdgekdError("--overlap is for several tiles: give --tiles of more than 1x1, or leave it out")
    frame = None
    if options.crop is not None or options.align is not None or options.look_at or options.ignore:
        frame = _frame_size(data, options.bit_depth)
    view = View(
        frame=frame,
        crop=None if options.crop is None else parse_crop(options.crop),
        look_at=_polygons(options.look_at, frame),
        ignore=_polygons(options.ignore, frame),
        fit=options.fit or (STRETCH if preset == PAPER else LETTERBOX),
        tiles=tiles,
        overlap=(OVERLAP if options.overlap is None else options.overlap) if several else 0.0,
        align=None if frame is None else _alignment(options, frame),
    )
    _require_something(view)
    return view


def view_options(options: TrainOptions, kept: View) -> list[tuple[str, str, str]]:
    """The options of a view that are given, beside those of a run that exists: name, given, kept, as the user writes.

    Args:
        options: Of `train`.
        kept: The run's.
    """
    pairs = []
    if options.crop is not None:
        pairs.append(("crop", _listed(parse_crop(options.crop)), _listed(kept.crop or ("none",))))
    if options.tiles is not None:
        pairs.append(("tiles", _listed(parse_tiles(options.tiles), "x"), _listed(kept.tiles, "x")))
    if options.fit is not None:
        pairs.append(("fit", options.fit, kept.fit))
    if options.overlap is not None:
        pairs.append(("overlap", f"{options.overlap:g}", f"{kept.overlap:g}"))
    for name in ("look_at", "ignore"):
        if getattr(options, name):
            given = _polygons(getattr(options, name), kept.frame or (0, 0))
            pairs.append((name, _points(given), _points(getattr(kept, name))))
    if options.align is not None:
        from edgekd.data.alignment import encode_reference
        from edgekd.data.images import read_image

        same = kept.align is not None and kept.align.reference == encode_reference(
            read_image(Path(options.align), options.bit_depth)
        )
        pairs.append(("align", str(options.align), str(options.align) if same else "another reference, or none"))
    for name in ("max_shift", "max_rotation"):
        if getattr(options, name) is not None:
            pairs.append((name, f"{getattr(options, name):g}", f"{getattr(kept.align, name, math.nan):g}"))
    return pairs


def _listed(values: Sequence[object], separator: str = ",") -> str:
    return separator.join(map(str, values))


def _points(polygons: Sequence[Polygon]) -> str:
    return "; ".join(" ".join(_listed(point) for point in polygon) for polygon in polygons) or "none"


def parse_tiles(tiles: str | Sequence[int]) -> tuple[int, int]:
    """Rows and columns of tiles.

    Args:
        tiles: ROWSxCOLUMNS, such as "2x3", or both numbers.

    Raises:
        EdgekdError: It is neither.
    """
    if isinstance(tiles, str):
        found = re.fullmatch(r"([0-9]{1,9})x([0-9]{1,9})", tiles.strip().lower())
        tiles = (int(found[1]), int(found[2])) if found else ()
    numbers = _whole_numbers(tiles)
    if len(numbers) != 2:
        raise EdgekdError("--tiles must be ROWSxCOLUMNS, such as 2x3")
    return numbers[0], numbers[1]


def parse_crop(crop: str | Sequence[int]) -> tuple[int, int, int, int]:
    """x, y, width and height of a crop.

    Args:
        crop: "X,Y,WIDTH,HEIGHT" in pixels of the frame, or the four numbers.

    Raises:
        EdgekdError: It is neither.
    """
    if isinstance(crop, str):
        found = re.fullmatch(",".join([r" *([0-9]{1,9}) *"] * 4), crop)
        crop = [int(number) for number in found.groups()] if found else ()
    numbers = _whole_numbers(crop)
    if len(numbers) != 4:
        raise EdgekdError("--crop must be X,Y,WIDTH,HEIGHT in pixels of the frame, such as 100,40,640,480")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _whole_numbers(values: Sequence[int]) -> list[int]:
    """Integers that JSON takes, also of floats and numpy's; none where a value is no whole number."""
    try:
        numbers = [int(value) for value in values]
        return numbers if numbers == list(values) else []
    except (TypeError, ValueError, OverflowError):  # The last two of NaN and infinity.
        return []


def _polygons(given: Sequence[PolygonLike], frame: tuple[int, int] | None) -> tuple[Polygon, ...]:
    """Polygons from points, or from the contours of mask images."""
    polygons: list[Polygon] = []
    for each in given:
        if isinstance(each, (str, Path)) and _is_file(each):
            assert frame is not None
            polygons += _of_mask(Path(each), frame)
        elif isinstance(each, Path):
            raise EdgekdError(f"no such mask image: {each}")
        else:
            polygons.append(_parse_polygon(each) if isinstance(each, str) else tuple((int(x), int(y)) for x, y in each))
    return tuple(polygons)


def _is_file(path: str | Path) -> bool:
    """Whether there is such a file; points in text may be longer than a path can be."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def _parse_polygon(text: str) -> Polygon:
    if not re.fullmatch(r"\s*[0-9]{1,9},[0-9]{1,9}(\s+[0-9]{1,9},[0-9]{1,9}){2,}\s*", text):
        raise EdgekdError(
            "a polygon must be at least 3 points 'X,Y X,Y X,Y' in pixels of the frame, or a mask image; "
            f"got '{text:.60}'"
        )
    points = [point.split(",") for point in text.split()]
    return tuple((int(x), int(y)) for x, y in points)


def _of_mask(path: Path, frame: tuple[int, int]) -> tuple[Polygon, ...]:
    """The polygons of a mask image: of all that is not black."""
    from edgekd.data.masks import marked_pixels
    from edgekd.data.view_geometry import mask_polygons

    mask = marked_pixels(path)
    if mask.shape != frame:
        raise EdgekdError(
            f"the mask {path} is {mask.shape[1]} x {mask.shape[0]} pixels, and the images are {frame[1]} x {frame[0]}"
        )
    polygons = mask_polygons(mask)
    if not polygons:
        raise EdgekdError(f"the mask {path} marks nothing: what is meant must not be black")
    return polygons


def _alignment(options: TrainOptions, frame: tuple[int, int]) -> Alignment | None:
    from edgekd.data.alignment import encode_reference
    from edgekd.data.images import read_image

    if options.align is None:
        return None
    reference = read_image(Path(options.align), options.bit_depth)
    if reference.shape[:2] != frame:
        raise EdgekdError(
            f"the reference {options.align} is {reference.shape[1]} x {reference.shape[0]} pixels, and the images are "
            f"{frame[1]} x {frame[0]}: give one of the good images"
        )
    return Alignment(
        encode_reference(reference),
        round(MAX_SHIFT * min(frame)) if options.max_shift is None else options.max_shift,
        MAX_ROTATION if options.max_rotation is None else options.max_rotation,
    )


def _frame_size(data: Path, bit_depth: int | None) -> tuple[int, int]:
    from edgekd.data.images import read_image
    from edgekd.data.layouts import find_good_images

    height, width = read_image(find_good_images(data)[0], bit_depth).shape[:2]
    return height, width


def _require_something(view: View) -> None:
    """Refuses a view that ignores everything; the size that the network reads does not matter for that."""
    from edgekd.data.view_geometry import looking_tiles
    from edgekd.preprocessing import Preprocessing

    looking_tiles(Preprocessing(32, 32, view=view))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
