"""How a camera's frame becomes what a network reads: one description for training, evaluation and the line.

Recipes and manifests hold it; `edgekd.data.preparing` computes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekd.artifact import frame_shape
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.resize_rules import CURRENT_RESIZE_RULE, resize_rule
from edgekd.typed import BIT_DEPTHS as BIT_DEPTHS
from edgekd.view import WHOLE, View, read_view

Size = tuple[int, int]  # Height and width, in pixels.


def parse_size(size: int | str | Sequence[int]) -> Size:
    """The size of images that a user named.

    Args:
        size: A side in pixels for squares, such as 128 or "128"; or height and width, such as "128x320" or (128, 320).

    Raises:
        EdgekdError: It is neither.
    """
    if isinstance(size, str):
        found = re.fullmatch(r"([0-9]{1,9})(?:x([0-9]{1,9}))?", size.strip().lower())
        sides = [] if found is None else [int(side) for side in (found[1], found[2] or found[1])]
    else:
        sides = [size, size] if isinstance(size, int) else list(size)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise EdgekdError(
            f"the size must be a side in pixels, such as 128, or HEIGHTxWIDTH, such as 128x320, got '{size!s:.60}'"
        )
    return sides[0], sides[1]


def size_text(size: Size) -> str:
    """A size as `--size` takes it: "128" for a square, "128x320" for a rectangle."""
    height, width = size
    return str(height) if height == width else f"{height}x{width}"


def in_pixels(size: Size) -> str:
    """A size in words: "128 x 128 pixels", "128 x 320 pixels (height x width)"."""
    height, width = size
    return f"{height} x {width} pixels" + ("" if height == width else " (height x width)")


@dataclass(frozen=True)
class Preprocessing:
    """How a camera's frame becomes what a network reads.

    Attributes:
        height, width: Of what the network reads, in pixels.
        resize: The rule by which images are brought to that size.
        view: What of a frame is looked at, and how.
        bit_depth: Bits that images of 16 bits use, 9..16; None where it is not stated, as for images of 8 bits.
    """

    height: int
    width: int
    resize: str = CURRENT_RESIZE_RULE
    view: View = WHOLE
    bit_depth: int | None = None

    @property
    def tiles(self) -> int:
        """Frames of the network that one frame of the camera becomes."""
        return self.view.count


def square(side: int, resize: str = CURRENT_RESIZE_RULE) -> Preprocessing:
    """Whole images, brought to a square.

    Args:
        side: Of the square, in pixels.
        resize: The rule to resize by.
    """
    return Preprocessing(side, side, resize)


def preprocessing_of(manifest: Mapping[str, Any]) -> Preprocessing:
    """How frames are prepared for an artifact.

    Args:
        manifest: Of the artifact.

    Raises:
        ArtifactError: It lacks the shape of the frames, or needs what this edgekd cannot compute.
    """
    _, height, width = frame_shape(manifest)
    name = str(manifest.get("file", "the artifact"))
    view = read_view(manifest.get("view"), name)
    return Preprocessing(height, width, resize_rule(manifest), view, known_bit_depth(manifest.get("bit_depth"), name))


def known_bit_depth(bit_depth: object, name: str) -> int | None:
    """Checks a bit depth.

    Args:
        bit_depth: Bits that images of 16 bits use; None where it is not stated.
        name: What states it, for the error.

    Raises:
        ArtifactError: It is not an integer from 9 to 16.
    """
    if bit_depth is None:
        return None
    if not isinstance(bit_depth, int) or isinstance(bit_depth, bool) or bit_depth not in BIT_DEPTHS:
        raise ArtifactError(f"{name} states the bit depth {bit_depth!r}: expected {BIT_DEPTHS[0]} to {BIT_DEPTHS[-1]}")
    return bit_depth
