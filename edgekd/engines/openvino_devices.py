"""OpenVINO's GPU and NPU: whether they are here, and how a graph is compiled for them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from edgekd.backends import OPENVINO, OPENVINO_GPU, OPENVINO_NPU
from edgekd.engines.runtimes import import_openvino
from edgekd.engines.trial import TRIAL_GRAPH, TRIAL_INPUT, AcceleratorError, check_trial
from edgekd.errors import EdgekdError

BACKENDS = {"CPU": OPENVINO, "GPU": OPENVINO_GPU, "NPU": OPENVINO_NPU}
KINDS = {"GPU": "GPU of Intel", "NPU": "NPU of Intel"}
DRIVERS = {
    "GPU": "install Intel's GPU driver and its OpenCL runtime (packages intel-opencl-icd and ocl-icd-libopencl1)",
    "NPU": "install Intel's NPU driver (the kernel's intel_vpu, and the package intel-driver-compiler-npu)",
}
_MISSING = re.compile(r"(\S+): cannot open shared object file")


def device_options(device: str, precision: str) -> dict[str, Any]:
    """How OpenVINO compiles for an accelerator.

    Args:
        device: "GPU" or "NPU".
        precision: Of the graph: "fp32", "fp16" or "int8".
    """
    options = {"PERFORMANCE_HINT": "LATENCY"}
    if device == "GPU" and precision == "fp16":
        # Each layer in the type that the graph gives it: what FP16 leaves in float32 stays there.
        return options | {"EXECUTION_MODE_HINT": "ACCURACY"}
    if device == "GPU":  # By default it computes float32 graphs in float16.
        return options | {"INFERENCE_PRECISION_HINT": "f32"}
    return options  # An NPU has float16 and INT8, and no float32 to ask for.


def require_device(core: Any, device: str) -> None:
    """Refuses a device that OpenVINO does not find.

    Args:
        core: OpenVINO's.
        device: "GPU" or "NPU".

    Raises:
        AcceleratorError: It is not here, or its driver is not.
    """
    try:
        found = core.get_property(device, "AVAILABLE_DEVICES")
    except RuntimeError as error:
        raise AcceleratorError(backend_of(device), cause(error), DRIVERS[device]) from error
    if not found:
        raise AcceleratorError(backend_of(device), f"OpenVINO finds no {KINDS[device]}", DRIVERS[device])


def refuse_free_batch(path: Path, batch: int | None, device: str) -> None:
    """Refuses a graph whose batch is free on a device that compiles for one shape.

    Raises:
        EdgekdError: The device is the NPU, and the batch is free.
    """
    if device == "NPU" and batch is None:
        raise EdgekdError(
            f"the NPU takes graphs of a fixed batch, and {path} takes any: export it without --batch dynamic"
        )


def device_name(core: Any, device: str) -> str:
    """What a device is called, such as "Intel(R) Arc(TM) Graphics (iGPU)"."""
    return str(core.get_property(device, "FULL_DEVICE_NAME"))


def try_device(backend: str) -> str:
    """Runs the trial graph on a device; see `try_accelerator`."""
    device = backend.partition(":")[2].upper()
    if importlib.util.find_spec(OPENVINO) is None:
        raise AcceleratorError(backend, "OpenVINO is not installed", "pip install openvino")
    openvino = import_openvino()

    core = openvino.Core()
    require_device(core, device)
    model = core.read_model(TRIAL_GRAPH, b"")
    model.reshape({"x": TRIAL_INPUT.shape})
    try:
        compiled = core.compile_model(model, device, device_options(device, "fp32"))
        check_trial(backend, compiled(TRIAL_INPUT)[0])
    except RuntimeError as error:
        raise AcceleratorError(backend, cause(error), DRIVERS[device]) from error
    return str(openvino.get_version()).split("-")[0]


def backend_of(device: str) -> str:
    """As --backend takes it: "openvino" of "CPU", "openvino:gpu" of "GPU"."""
    return BACKENDS[device]


def cause(error: Exception) -> str:
    """The cause of an error of OpenVINO, in one line: its messages begin with places in its source code."""
    if (missing := _MISSING.search(str(error))) is not None:
        return f"{missing[1].rpartition('/')[2]} is missing"
    lines = [line.strip() for line in str(error).splitlines()]
    reported = [line for line in lines if line and not line.startswith(("Exception from", "Check '", "FrontEnd API"))]
    return reported[-1].rstrip(".") if reported else type(error).__name__
