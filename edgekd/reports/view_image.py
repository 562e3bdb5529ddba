"""A view, drawn over an example frame: what of it is looked at, and its tiles."""

from __future__ import annotations

import cv2
import numpy as np

from edgekd.data.images import Image
from edgekd.data.preparing import aligned, place
from edgekd.data.resizing import resize_image
from edgekd.data.view_geometry import geometry_of, pixels_looked_at
from edgekd.heatmap import veil
from edgekd.preprocessing import Preprocessing

SIDE = 512  # Of the drawing, in pixels: the longer one.
COLOURS = ((255, 255, 0), (0, 200, 255))  # BGR; neighbouring tiles take turns.


def draw_view(image: Image, preprocessing: Preprocessing) -> Image:
    """Draws what a view looks at: the rest is grey, tiles are outlined.

    Args:
        image: uint8 [H, W, 3], BGR, of the size that the view is for.
        preprocessing: Of the run or the artifact.

    Returns:
        uint8 [h, w, 3], BGR, at most 512 pixels a side, aligned as the view aligns frames.

    Raises:
        ImageError: The frame does not suit the view.
    """
    placement = place(image, preprocessing)
    height, width = image.shape[:2]
    if placement.transform is not None:
        image = aligned(image, placement.transform)
    tiles = geometry_of(preprocessing, height, width).tiles
    seen = np.zeros((height, width), np.uint8)
    for tile in tiles:
        tile.of(seen)[:] = 1
    looked_at = pixels_looked_at(preprocessing.view)
    if looked_at is not None:
        seen &= looked_at
    scale = min(1.0, SIDE / max(height, width))
    drawn = resize_image(image, max(1, round(height * scale)), max(1, round(width * scale)))
    drawn = veil(drawn, seen == 0)
    columns = preprocessing.view.tiles[1]
    for number, tile in enumerate(tiles):
        corners = [(tile.left, tile.top), (tile.left + tile.width - 1, tile.top + tile.height - 1)]
        first, last = ((round(x * scale), round(y * scale)) for x, y in corners)
        colour = COLOURS[sum(divmod(number, columns)) % 2]
        drawn = np.asarray(cv2.rectangle(drawn, first, last, colour, 2), np.uint8)
    return drawn
