"""A small graph to try an accelerator with, and the error for one that cannot be used."""

from __future__ import annotations

import numpy as np

from edgekd.errors import MachineError

# ONNX, opset 17, y [n, 2] = Relu(x [n, 2]), float32.
TRIAL_GRAPH = (
    b"\x08\x09\x3a\x3d\x0a\x0c\x0a\x01x\x12\x01y\x22\x04Relu\x12\x01g"
    b"\x5a\x14\x0a\x01x\x12\x0f\x0a\x0d\x08\x01\x12\x09\x0a\x03\x12\x01n\x0a\x02\x08\x02"
    b"\x62\x14\x0a\x01y\x12\x0f\x0a\x0d\x08\x01\x12\x09\x0a\x03\x12\x01n\x0a\x02\x08\x02"
    b"\x42\x04\x0a\x00\x10\x11"
)
TRIAL_INPUT = np.array([[-1, 2]], np.float32)
TRIAL_OUTPUT = np.array([[0, 2]], np.float32)


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


def check_trial(backend: str, output: object) -> None:
    """Refuses an accelerator whose output for the trial graph is wrong.

    Raises:
        AcceleratorError: It is.
    """
    if not np.array_equal(np.asarray(output), TRIAL_OUTPUT):
        raise AcceleratorError(backend, f"it computes Relu of (-1, 2) to {output}", "update its driver")
