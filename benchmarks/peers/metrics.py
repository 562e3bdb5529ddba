"""Pixel AUROC and PRO of edgekd and of anomalib on the same random maps and masks, side by side."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np
from compare import HERE, python_of

from edgekd.metrics.pixel_figures import PixelFigures

SEEDS, IMAGES, SIDE = 5, 12, 96


def main() -> None:
    for seed in range(SEEDS):
        maps, masks = random_maps(seed)
        ours = PixelFigures()
        for anomaly_map, mask in zip(maps, masks, strict=True):
            ours.add(anomaly_map, mask if mask.any() else None)
        figures, theirs = ours.figures(), of_anomalib(maps, masks)
        print(seed, *(f"{name}: {figures[name]:.6f} here, {theirs[name]:.6f} there" for name in theirs), sep="; ")


def random_maps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth random maps that know a little of their masks; every third image is good.

    Returns:
        float32 and bool, both [IMAGES, SIDE, SIDE].
    """
    random = np.random.default_rng(seed)
    maps, masks = [], []
    for number in range(IMAGES):
        blobs = cv2.GaussianBlur(random.standard_normal((SIDE, SIDE)).astype(np.float32), (0, 0), 5)
        mask = blobs > np.quantile(blobs, 0.95) if number % 3 else np.zeros((SIDE, SIDE), np.bool_)
        noise = cv2.GaussianBlur(random.standard_normal((SIDE, SIDE)).astype(np.float32), (0, 0), 2)
        maps.append(noise + 0.2 * mask.astype(np.float32))
        masks.append(mask)
    return np.stack(maps), np.stack(masks)


def of_anomalib(maps: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    """anomalib's figures by our names, from its own environment."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "maps.npz"
        np.savez(path, maps=maps, masks=masks)
        told = subprocess.check_output([python_of("anomalib"), str(HERE / "anomalib_metrics.py"), str(path)], text=True)
    figures: dict[str, float] = json.loads(told.splitlines()[-1])
    return figures


if __name__ == "__main__":
    main()
