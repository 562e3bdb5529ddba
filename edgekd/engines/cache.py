"""Where edgekd keeps what it has measured or compiled on this machine. It may be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$EDGEKD_CACHE, or edgekd's folder in the user's cache folder. It need not exist yet."""
    if folder := os.environ.get("EDGEKD_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgekd"
