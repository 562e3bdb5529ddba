"""What prepare.sh puts at hand: a category, textures, images to distil from, teacher weights."""

from __future__ import annotations

import os
from pathlib import Path

from edgekd.errors import EdgekdError

FOLDER = Path(os.environ.get("EDGEKD_GPU_CARRIED") or Path(__file__).resolve().parents[1] / "carried")
CATEGORY, TEXTURES, IMAGES, TEACHERS = FOLDER / "category", FOLDER / "textures", FOLDER / "images", FOLDER / "teachers"
CONTENTS = FOLDER / "contents.json"
WHEELS = FOLDER / "wheels"
BACKBONES = ("efficientnet_lite0", "efficientnet_lite1")  # The teachers that do not ship with the package.


def require_carried() -> None:
    """Refuses to go on without the prepared folder."""
    if not CONTENTS.is_file():
        raise EdgekdError(f"{FOLDER} is missing: make it with bash benchmarks/gpu/prepare.sh DATA, where the data is")
