"""Which GPU is meant by `--device`."""

from __future__ import annotations

import re

from edgekd.errors import EdgekdError


def parse_device(text: str) -> int:
    """The index of a GPU as CUDA counts them, which is under CUDA_VISIBLE_DEVICES where that is set.

    Args:
        text: "cuda" for the first GPU, "cuda:1" for the second.

    Raises:
        EdgekdError: It is anything else.
    """
    found = re.fullmatch(r"cuda(?::(\d{1,4}))?", text, re.ASCII)
    if found is None:
        raise EdgekdError(f"--device must be cuda, or cuda:N with the number of a GPU such as cuda:1, got '{text}'")
    return int(found[1] or 0)
