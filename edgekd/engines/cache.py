"""Where edgekd keeps what it measured or compiled on this machine."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$EDGEKD_CACHE, or the user's cache folder; it may not be there yet."""
    if folder := os.environ.get("EDGEKD_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgekd"
