"""Image sides that a network takes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from edgekd.errors import EdgekdError
from edgekd.preprocessing import Size, in_pixels, size_text


def nearest_multiples(side: int, multiple: int, smallest: int) -> tuple[int, ...]:
    """The multiples of a number nearest to a side, from `smallest` upward: one where the size is one, else two."""
    below, above = side // multiple * multiple, -(-side // multiple) * multiple
    return tuple(sorted({max(below, smallest), max(above, smallest)}))


def require_legal(what: str, size: Size, nearest: Callable[[int], tuple[int, ...]]) -> None:
    """Refuses a size of images that a network does not take.

    Args:
        what: Such as "hkt does not take images", for the message.
        size: Of the images.
        nearest: The nearest legal sides to a side, which is the only one where it is legal itself.

    Raises:
        EdgekdError: The size is not legal; the message names the nearest that are.
    """
    height, width = (nearest(side) for side in size)
    if (height, width) == ((size[0],), (size[1],)):
        return
    if size[0] == size[1]:
        raise EdgekdError(f"{what} of {size[0]} pixels a side: use {' or '.join(map(str, height))}")
    legal = " or ".join(size_text(sides) for sides in product(height, width))
    raise EdgekdError(f"{what} of {in_pixels(size)}: use {legal}")
