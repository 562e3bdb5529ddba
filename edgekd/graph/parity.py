"""Parity: whether a graph outputs on every engine what the network outputs in torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgekd.artifact import Manifest, sha256
from edgekd.engines import BACKENDS, Frames, cpu_backends
from edgekd.errors import EdgekdError
from edgekd.models.detector import Detector
from edgekd.models.normalisation import normalise
from edgekd.progress import Progress, silent

TOLERANCE = 1e-4  # Of the map's range; float32 rounding over a hundred million additions stays well below.
ENGINES_APART = 0.05  # Of a map's standard deviation, root mean square; a wrong kernel is apart by about 1.
PARITY_STEP, AGREEMENT_STEP = "comparing with torch on each engine", "comparing the engines with each other"
RESOLUTION = 8 * float(np.finfo(np.float32).eps)  # Of a value; where a map hardly varies, float32 resolves no more.


def torch_outputs(detector: Detector, frames: Frames) -> tuple[np.ndarray, np.ndarray]:
    """Scores [N] and maps [N, H, W] of the training form, which the graph must reproduce.

    Args:
        detector: The trained network.
        frames: uint8 [N, H, W, 3], BGR.
    """
    images = normalise(torch.from_numpy(frames[..., ::-1].copy()).permute(0, 3, 1, 2))
    detector.eval()
    with torch.inference_mode():
        scores, maps = detector.predict(images)
    return scores.numpy(), maps.numpy()


def measure_parity(
    path: Path, manifest: Manifest, detector: Detector, frames: Frames, progress: Progress = silent
) -> dict[str, Any]:
    """Compares a graph with its network on real frames, engine by engine.

    Args:
        path: The graph; it needs no manifest on disk yet.
        manifest: What it will be.
        detector: The network that it was exported from, in its training form.
        frames: uint8 [N, H, W, 3], BGR, N a batch that the graph takes.
        progress: Called after each engine.

    Returns:
        By back end: the largest difference of maps and of scores, each over the range of torch's map.

    Raises:
        EdgekdError: A difference exceeds 1e-4, and what float32 resolves.
    """
    scores, maps = torch_outputs(detector, frames)
    spread = float(maps.max() - maps.min()) or 1.0
    allowed = max(TOLERANCE, RESOLUTION * float(np.abs(maps).max()) / spread)
    figures: dict[str, Any] = {}
    backends = cpu_backends(manifest)
    described = manifest | {"sha256": sha256(path)}
    for done, backend in enumerate(backends):
        progress(PARITY_STEP, done, len(backends))
        with BACKENDS[backend](path, described, torch.get_num_threads()) as engine:
            outputs = engine.infer(frames)
        figures[backend] = {
            "map": float(np.abs(outputs.anomaly_maps - maps).max()) / spread,
            "score": float(np.abs(outputs.scores - scores).max()) / spread,
            "frames": len(frames),
        }
        worst = max(figures[backend]["map"], figures[backend]["score"])
        if not worst <= allowed:
            raise EdgekdError(
                f"the graph differs from the network by {worst:.1e} of the map's range on {backend}, "
                f"{allowed:.0e} is allowed: the artifact was not written; please report this"
            )
    progress(PARITY_STEP, len(backends), len(backends))
    return figures


def measure_agreement(
    path: Path, manifest: Manifest, detector: Detector, frames: Frames, progress: Progress = silent
) -> dict[str, Any]:
    """Whether a graph in less than float32 outputs the same on every engine, and how far that is from torch.

    Args:
        path: The graph; it needs no manifest on disk yet.
        manifest: What it will be.
        detector: The network that it was made from, in its training form.
        frames: uint8 [N, H, W, 3], BGR, N a batch that the graph takes.
        progress: Called after each engine.

    Returns:
        By back end: root mean square of the maps' difference from torch, over the standard deviation of torch's maps.

    Raises:
        EdgekdError: An output is not finite, or the engines differ by more than kernels round differently.
    """
    _, maps = torch_outputs(detector, frames)
    by_backend: dict[str, NDArray[np.float32]] = {}
    backends = cpu_backends(manifest)
    described = manifest | {"sha256": sha256(path)}
    for done, backend in enumerate(backends):
        progress(AGREEMENT_STEP, done, len(backends))
        with BACKENDS[backend](path, described, torch.get_num_threads()) as engine:
            outputs = engine.infer(frames)
        by_backend[backend] = outputs.anomaly_maps
        if not (np.isfinite(outputs.anomaly_maps).all() and np.isfinite(outputs.scores).all()):
            raise EdgekdError(f"the {manifest['precision']} graph overflows on {backend}: the artifact was not written")
    progress(AGREEMENT_STEP, len(backends), len(backends))
    noises = noises_within_reach(maps, by_backend, manifest["precision"])
    return {backend: {"noise": noise, "frames": len(frames)} for backend, noise in noises.items()}


def noises_within_reach(
    maps: NDArray[np.float32], by_backend: Mapping[str, NDArray[np.float32]], precision: str
) -> dict[str, float]:
    """By back end: root mean square of its maps' difference from torch's, over the standard deviation of torch's.

    Args:
        maps: Torch's, [N, H, W].
        by_backend: Each back end's of the same frames.
        precision: Of their graph.

    Raises:
        EdgekdError: Back ends differ by more than kernels round differently.
    """
    spread = float(maps.std()) or 1.0
    first, *others = by_backend.values()
    apart = max((_rms(other - first) / spread for other in others), default=0.0)
    noises = {backend: _rms(found - maps) / spread for backend, found in by_backend.items()}
    # Far into a graph each engine rounds by chance: noises that are equally large and independent leave the engines
    # 1.4 times as far apart. The least of the noises is never that of a wrong kernel.
    if apart > max(ENGINES_APART, 2 * min(noises.values())):
        raise EdgekdError(
            f"{' and '.join(by_backend)} differ on the {precision} graph by {apart:.2f} of the map's "
            "standard deviation: the artifact was not written; please report this"
        )
    return noises


def _rms(difference: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))
