"""The systems, one file a paper. What is public here is loaded when it is used."""

from __future__ import annotations

from typing import Any

from edgekd.preprocessing import Size, parse_size

__all__ = ["list_systems"]


def list_systems(size: int | str | Size = 256, system: str | None = None) -> list[dict[str, Any]]:
    """Describes every system, or one, as `edgekd models --json` does.

    Args:
        size: Of the image that multiply-accumulates are counted for, in pixels: a side, as the papers' 256, or height
            and width, such as "128x320".
        system: The name of the one to describe; None for all.

    Returns:
        One entry a system; see `edgekd.models.description.describe_systems`.

    Raises:
        EdgekdError: There is no such system, or it does not take images of this size.
    """
    from edgekd.models.description import describe_systems

    return describe_systems(parse_size(size), system)
