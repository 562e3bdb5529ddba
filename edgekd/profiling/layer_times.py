"""Timing the layers of an engine, on whichever back end runs it."""

from __future__ import annotations

from pathlib import Path

from edgekd.backends import ONNXRUNTIME, OPENVINO
from edgekd.engines.base import EngineSpec
from edgekd.profiling.layers import Profile


def profile_layers(artifact: Path, spec: EngineSpec, seconds: float) -> Profile | None:
    """Times each layer of an artifact with the back end of an engine, on the threads that compute one inference of it.

    Args:
        artifact: The .onnx or .engine file, already checked against its manifest.
        spec: The engine's.
        seconds: Roughly how long to measure.

    Returns:
        None for a back end whose layers are not timed, such as TensorRT.
    """
    if spec.backend == OPENVINO:
        from edgekd.profiling.openvino_layers import profile_openvino

        return profile_openvino(artifact, spec, seconds)
    if spec.backend == ONNXRUNTIME:
        from edgekd.profiling.onnxruntime_layers import profile_onnxruntime

        return profile_onnxruntime(artifact, spec, seconds)
    return None
