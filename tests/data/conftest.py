from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

WriteImages = Callable[..., list[Path]]


@pytest.fixture
def write_images() -> WriteImages:
    """Writes grey images of noise, or of one value; `write_images(root, "train/ok/0.bmp", ..., value=7)`."""
    random = np.random.default_rng(0)

    def write(root: Path, *names: str, value: int | None = None) -> list[Path]:
        paths = [root / name for name in names]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = random.integers(1, 256, (16, 16), np.uint8)
            assert cv2.imwrite(str(path), noise if value is None else np.full_like(noise, value))
        return paths

    return write
