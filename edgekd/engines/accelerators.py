"""Opening and trying the accelerators that ONNX Runtime and OpenVINO compute on.

None of them ever computes on the CPU instead: whoever asks for an accelerator gets it, or one line that says what is
missing.
"""

from __future__ import annotations

from pathlib import Path

from edgekd.artifact import Manifest
from edgekd.backends import ON_CUDA
from edgekd.engines.base import Engine


def open_accelerated(path: Path, manifest: Manifest, backend: str, index: int, slots: int | None) -> Engine:
    """Loads a graph on an accelerator.

    Args:
        path: The .onnx file.
        manifest: Its manifest, already checked against the file.
        backend: One of ACCELERATED.
        index: Of the GPU as CUDA counts them, for those on CUDA.
        slots: Batches that may be in flight at once; None for the engine's own number.

    Raises:
        AcceleratorError: It cannot be used on this machine.
        ArtifactError: It does not take the graph.
    """
    if backend in ON_CUDA:
        from edgekd.engines.onnxruntime_gpu import OnnxRuntimeGpuEngine

        return OnnxRuntimeGpuEngine(path, manifest, backend, index, slots)
    from edgekd.engines.openvino import OpenVINOEngine

    return OpenVINOEngine(path, manifest, None, slots, backend.partition(":")[2].upper())


def try_accelerator(backend: str) -> str:
    """Loads a small graph on an accelerator and checks its output.

    Args:
        backend: One of ACCELERATED.

    Returns:
        The version of its package.

    Raises:
        AcceleratorError: It cannot be used on this machine.
    """
    if backend in ON_CUDA:
        from edgekd.engines.onnxruntime_gpu import try_provider

        return try_provider(backend)
    from edgekd.engines.openvino_devices import try_device

    return try_device(backend)
