"""Image sides that a network takes."""

from __future__ import annotations


def nearest_multiples(size: int, multiple: int, smallest: int) -> tuple[int, ...]:
    """The multiples of a number nearest to a size, from `smallest` upward: one where the size is one, else two."""
    below, above = size // multiple * multiple, -(-size // multiple) * multiple
    return tuple(sorted({max(below, smallest), max(above, smallest)}))
