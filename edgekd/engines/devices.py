"""How a GPU is named on the command line: "cuda:1"."""

from __future__ import annotations

import re

from edgekd.errors import EdgekdError


def parse_device(text: str) -> int:
    """The index of a GPU, as CUDA counts them.

    Args:
        text: "cuda:N"; "cuda" is the first.

    Raises:
        EdgekdError: It is neither.
    """
    found = re.fullmatch(r"cuda(?::(\d+))?", text)
    if found is None:
        raise EdgekdError(f"'{text}' does not name a GPU: give cuda, cuda:0, cuda:1 and so on")
    return int(found[1] or 0)
