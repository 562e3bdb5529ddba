"""Texture images for synthetic anomalies: read and resized once each, as far as they fit into memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from edgekd.data.images import Image, read_image
from edgekd.data.resizing import resize_image
from edgekd.preprocessing import Size
from edgekd.resize_rules import CURRENT_RESIZE_RULE


class Textures:
    """Texture images, stretched to the size of a run's frames. Several threads may read them at once.

    Args:
        paths: Of the images.
        size: Height and width that they are stretched to, in pixels.
        rule: To resize by: that of the run.
        most_bytes: Of resized textures that are kept. Each is drawn as often as any other, so the first ones stay.
    """

    def __init__(self, paths: Sequence[Path], size: Size, rule: str = CURRENT_RESIZE_RULE, most_bytes: int = 0) -> None:
        self._paths, self._size, self._rule = paths, size, rule
        self._most = most_bytes // (3 * math.prod(size))
        self._kept: dict[int, Image] = {}

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Image:
        """A texture, uint8 [height, width, 3], BGR.

        Raises:
            ImageError: It cannot be read; the error names it.
        """
        texture = self._kept.get(index)
        if texture is None:
            texture = resize_image(read_image(self._paths[index]), *self._size, self._rule)
            if len(self._kept) < self._most:
                self._kept[index] = texture
        return texture
