"""A recipe's view of the camera's frame, as the page draws it over one of the recipe's reference images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2

from edgekd.artifact import Manifest, manifest_path, read_entries
from edgekd.data.image_files import checked_header, read_file
from edgekd.data.images import read_image
from edgekd.data.resizing import resize_image
from edgekd.data.view_geometry import geometry_of
from edgekd.errors import ImageError
from edgekd.preprocessing import BIT_DEPTHS, preprocessing_of
from edgekd.station.recipes import Recipe
from edgekd.view import describe

LARGEST_SIDE = 1280
JPEG_QUALITY = 88


def view_of(folder: Path, recipe: Recipe, manifest: Manifest) -> dict[str, Any]:
    """A view, in pixels of the camera's frame.

    Args:
        folder: `ID/REVISION`.
        recipe: In it.
        manifest: Of its artifact.

    Returns:
        `frame`, height and width, None where they are not known; `crop` as x, y, width, height; the polygons `look_at`
        and `ignore`; `boxes` of the tiles as x, y, width, height; and the view in `words`.
    """
    preprocessing = preprocessing_of(manifest)
    view = preprocessing.view
    frame = view.frame or _size(folder, recipe)
    boxes = () if frame is None else geometry_of(preprocessing, *frame).tiles
    align = view.align
    return {
        "frame": frame,
        "crop": view.crop,
        "look_at": view.look_at,
        "ignore": view.ignore,
        "fit": view.fit,
        "tiles": view.tiles,
        "overlap": view.overlap,
        "align": None if align is None else {"max_shift": align.max_shift, "max_rotation": align.max_rotation},
        "boxes": [[box.left, box.top, box.width, box.height] for box in boxes],
        "words": describe(view),
    }


def reference_jpeg(folder: Path, recipe: Recipe, number: int) -> bytes:
    """A reference image for a browser: at most 1280 pixels a side.

    Args:
        folder: `ID/REVISION`.
        recipe: In it.
        number: Of the reference, from 0.

    Raises:
        LookupError: There is none with this number.
        EdgekdError: It cannot be read.
    """
    references = recipe.self_tests.references
    if not 0 <= number < len(references):
        raise LookupError(f"the recipe holds {len(references)} references, and none with the number {number}")
    depth = read_entries(manifest_path(folder / recipe.detector.artifact)).get("bit_depth")
    image = read_image(folder / references[number].image, depth or BIT_DEPTHS[-1])
    height, width = image.shape[:2]
    scale = min(1.0, LARGEST_SIDE / max(height, width))
    shown = resize_image(image, max(1, round(height * scale)), max(1, round(width * scale)))
    _, data = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()


def _size(folder: Path, recipe: Recipe) -> tuple[int, int] | None:
    """Height and width of the recipe's first reference, which are those of its camera's frames."""
    for reference in recipe.self_tests.references[:1]:
        try:
            header = checked_header(read_file(folder / reference.image), reference.image)
        except ImageError:
            return None
        return header.height, header.width
    return None
