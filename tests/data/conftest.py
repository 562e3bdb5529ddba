from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

WriteImages = Callable[..., list[Path]]


@pytest.fixture
def write_images() -> WriteImages:
    """Writes grey images of one value; `write_images(root, "train/ok/0.bmp", ..., value=7)`."""

    def write(root: Path, *names: str, value: int = 128) -> list[Path]:
        paths = [root / name for name in names]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), np.full((16, 16), value, np.uint8))
        return paths

    return write
