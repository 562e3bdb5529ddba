"""The accelerators that ONNX Runtime and OpenVINO compute on, and how one is refused that is not here.

None of them ever computes on the CPU instead: whoever asks for an accelerator gets it, or one line that says what is
missing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekd.artifact import Manifest
from edgekd.engines.base import Engine
from edgekd.errors import MachineError

CUDA, TENSORRT = "onnxruntime:cuda", "onnxruntime:tensorrt"
GPU, NPU = "openvino:gpu", "openvino:npu"
ACCELERATED = (CUDA, TENSORRT, GPU, NPU)
ON_CUDA = (CUDA, TENSORRT)

# A graph to try an accelerator with: ONNX, opset 17, y [n, 2] = Relu(x [n, 2]), float32.
TRIAL_GRAPH = (
    b"\x08\x09\x3a\x3d\x0a\x0c\x0a\x01x\x12\x01y\x22\x04Relu\x12\x01g"
    b"\x5a\x14\x0a\x01x\x12\x0f\x0a\x0d\x08\x01\x12\x09\x0a\x03\x12\x01n\x0a\x02\x08\x02"
    b"\x62\x14\x0a\x01y\x12\x0f\x0a\x0d\x08\x01\x12\x09\x0a\x03\x12\x01n\x0a\x02\x08\x02"
    b"\x42\x04\x0a\x00\x10\x11"
)
TRIAL_INPUT = np.array([[-1, 2]], np.float32)
TRIAL_ANSWER = np.array([[0, 2]], np.float32)


class AcceleratorError(MachineError):
    """An accelerator that cannot be used on this machine.

    Args:
        backend: As --backend takes it.
        why: What is missing, in one line.
        install: What to do about it, in one line.
    """

    def __init__(self, backend: str, why: str, install: str) -> None:
        super().__init__(f"{backend} cannot be used here: {why}; {install}")
        self.why = why
        self.install = install


def open_accelerated(path: Path, manifest: Manifest, backend: str, index: int, slots: int | None) -> Engine:
    """Loads a graph on an accelerator.

    Args:
        path: The .onnx file.
        manifest: Its manifest, already checked against the file.
        backend: One of ACCELERATED.
        index: Of the GPU as CUDA counts them, for those on CUDA.
        slots: Batches that may be under way at once; None for the engine's own number.

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
    """Loads a small graph on an accelerator and looks at its answer.

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


def check_trial(backend: str, answer: object) -> None:
    """Refuses an accelerator whose answer to the trial graph is wrong.

    Raises:
        AcceleratorError: It is.
    """
    if not np.array_equal(np.asarray(answer), TRIAL_ANSWER):
        raise AcceleratorError(backend, f"it computes Relu of (-1, 2) to {answer}", "update its driver")
