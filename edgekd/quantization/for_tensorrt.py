"""The graph that TensorRT is to build from an INT8 one: the same INT8 convolutions, float16 around them, in a file."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import onnx

from edgekd import __version__
from edgekd.artifact import Manifest, read_manifest, write_beside, write_manifest
from edgekd.engines import Frames
from edgekd.errors import ArtifactError, DriftError
from edgekd.precisions import INT8_FP16
from edgekd.quantization.drift import map_noise
from edgekd.quantization.int8_float16 import to_int8_float16
from edgekd.quantization.running import run_graph

MOST_NOISE = 0.01  # That float16 may add to the map, where the graph was quantized without a limit.


def float16_path(int8_path: Path) -> Path:
    """Where the graph with float16 around INT8 stands: detector_int8_fp16.onnx beside detector_int8.onnx."""
    return int8_path.with_stem(f"{int8_path.stem}_fp16")


def current_float16(int8_path: Path, manifest: Manifest) -> Path | None:
    """The graph with float16 around INT8, where it is there and of the same network.

    Args:
        int8_path: The INT8 graph.
        manifest: Its manifest.

    Returns:
        None where it is missing, damaged, or of another network.
    """
    path = float16_path(int8_path)
    made: dict[str, Any] = {}
    with contextlib.suppress(ArtifactError):
        made = read_manifest(path).get("made_from", {})
    source = made.get(int8_path.name)
    same_network = all(made.get(name) == digest for name, digest in manifest["made_from"].items())
    return path if made and same_network and source in (None, manifest["sha256"]) else None


def write_float16(int8_path: Path, manifest: Manifest, frames: Frames) -> Path:
    """Writes the graph with float16 around INT8, once it outputs what the INT8 graph outputs.

    Args:
        int8_path: The INT8 graph, as edgekd export writes it.
        manifest: Its manifest.
        frames: Images to compare both on, uint8 [N, H, W, 3], BGR.

    Raises:
        DriftError: float16 changes the map by more than the INT8 graph's own limit of drift.
        EdgekdError: The graph has no INT8 convolution.
    """
    model = onnx.load(int8_path)
    mixed = to_int8_float16(model)
    noise = map_noise(run_graph(model, frames).maps, run_graph(mixed, frames).maps)
    limit = (manifest.get("quantization") or {}).get("max_drift") or MOST_NOISE
    if noise > limit:
        raise DriftError(
            f"float16 around the INT8 of {int8_path} changes the map by {noise:.3g} of its standard deviation, and "
            f"{limit:g} is allowed: edgekd export --precision int8_fp16 makes such a graph of the run"
        )
    output = float16_path(int8_path)
    with write_beside(output) as part:
        onnx.save(mixed, part)
    write_manifest(
        output,
        manifest
        | {
            "precision": INT8_FP16,
            "made_from": {**manifest["made_from"], int8_path.name: manifest["sha256"]},
            "agreement": {"int8": {"noise": noise, "frames": len(frames)}},
            "operators": sorted({node.op_type for node in mixed.graph.node}),
            "tools": {**(manifest.get("tools") or {}), "edgekd": __version__, "onnx": onnx.__version__},
        },
    )
    return output
