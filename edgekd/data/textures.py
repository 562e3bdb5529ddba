"""Texture images for synthetic anomalies: read and resized once each, as far as they fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekd.data.images import Image, read_image
from edgekd.data.resizing import resize_image
from edgekd.resize_rules import CURRENT_RESIZE_RULE


class Textures:
    """Texture images, stretched to the side of a run's frames. Several threads may read them at once.

    Args:
        paths: Of the images.
        side: That they are stretched to, in pixels.
        rule: To resize by: that of the run.
        most_bytes: Of resized textures that are kept. Each is drawn as often as any other, so the first ones stay.
    """

    def __init__(self, paths: Sequence[Path], side: int, rule: str = CURRENT_RESIZE_RULE, most_bytes: int = 0) -> None:
        self._paths, self._side, self._rule = paths, side, rule
        self._most = most_bytes // (3 * side**2)
        self._kept: dict[int, Image] = {}

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Image:
        """A texture, uint8 [side, side, 3], BGR.

        Raises:
            ImageError: It cannot be read; the error names it.
        """
        texture = self._kept.get(index)
        if texture is None:
            texture = resize_image(read_image(self._paths[index]), self._side, self._side, self._rule)
            if len(self._kept) < self._most:
                self._kept[index] = texture
        return texture
