"""Which sizes and views `choose` tries, by the shape of the images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from edgekd.preprocessing import BIT_DEPTHS, Preprocessing, Size
from edgekd.view import LETTERBOX, STRETCH, View
from edgekd.workflows.views import OVERLAP, parse_tiles

SizeAndView: TypeAlias = tuple[Size, str]

SIZES: tuple[Size, ...] = ((128, 128), (256, 256))
SQUARES: tuple[SizeAndView, ...] = tuple((size, "") for size in SIZES)
SHAPES_READ = 24  # Images whose shape is looked at.
SAME_SHAPE = 0.1  # By which height over width may vary in images of one shape.
OBLONG = 0.2  # By which the sides of images must differ for a rectangle to be worth it.
LARGE = 384  # Pixels of the shorter side from which on 2 x 2 tiles of 256 show more than the whole image at 256.
STEP = 64  # Of a rectangle's sides, in pixels: what every system takes.


class Shape(NamedTuple):
    """What images look like, as far as it decides which views are tried.

    Attributes:
        ratio: Height over width, the median.
        varies: Whether the images differ in that by more than a tenth.
        shorter_side: In pixels, the median.
    """

    ratio: float
    varies: bool
    shorter_side: float


def shape_of(images: Sequence[Path]) -> Shape:
    """The shape of images.

    Args:
        images: Their files; at most 24 of them are read.

    Raises:
        ImageError: One cannot be read.
    """
    from edgekd.data.images import read_image

    read = images[:: max(1, len(images) // SHAPES_READ)][:SHAPES_READ]
    # Only their sizes count: any depth of 16-bit images will do.
    sides = np.array([read_image(path, BIT_DEPTHS[-1]).shape[:2] for path in read], np.float64)
    ratios = sides[:, 0] / sides[:, 1]
    varies = bool(ratios.max() > (1 + SAME_SHAPE) * ratios.min())
    return Shape(float(np.median(ratios)), varies, float(np.median(sides.min(axis=1))))


def views_for(shape: Shape, squares: bool) -> list[SizeAndView]:
    """The sizes and views to try, the cheap ones first.

    Images of one shape that is not square get a rectangle of that shape, with about as many pixels as the square has.
    Images whose shapes vary are letterboxed or stretched. Large ones are tried in 2 x 2 tiles too.

    Args:
        shape: Of the images.
        squares: Whether only squares are possible, as where images are turned.
    """
    views: list[SizeAndView] = []
    for size in SIZES:
        oblong = not shape.varies and abs(math.log(shape.ratio)) > math.log(1 + OBLONG)
        views.append((_rectangle(size, shape.ratio) if oblong and not squares else size, ""))
        if shape.varies:
            views.append((size, "stretch"))
    if shape.shorter_side >= LARGE:
        views.append((views[-1 - shape.varies][0], "2x2"))
    return views


def _rectangle(size: Size, ratio: float) -> Size:
    """The rectangle, in steps that every system takes, that is nearest to a shape and to the pixels of a square."""
    sides = range(STEP, 4 * max(size) + 1, STEP)

    def distance(sides: Size) -> float:
        height, width = sides
        return abs(math.log(height / width / ratio)) + 0.5 * abs(math.log(height * width / math.prod(size)))

    return min(itertools.product(sides, sides), key=distance)


def preprocessing_for(size: Size, view: str) -> Preprocessing:
    """How a candidate's images are prepared.

    Args:
        size: Height and width that the network reads, in pixels.
        view: "stretch", or tiles as ROWSxCOLUMNS; empty for letterboxed images.
    """
    if view in ("", STRETCH):
        return Preprocessing(*size, view=View(fit=STRETCH if view else LETTERBOX))
    return Preprocessing(*size, view=View(fit=LETTERBOX, tiles=parse_tiles(view), overlap=OVERLAP))
