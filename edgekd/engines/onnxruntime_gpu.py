"""ONNX Runtime on an NVIDIA GPU, by its CUDA or its TensorRT execution provider, and never on the CPU instead.

By itself ONNX Runtime falls back to the CPU without an error: where it was built without the provider, where one of the
provider's libraries is missing, and where the provider takes no node of the graph. Each of them is looked for here.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import io
import logging
import re
from collections import Counter
from pathlib import Path
from typing import Any

from edgekd.artifact import Manifest, checked_content, frame_shape
from edgekd.backends import ONNXRUNTIME_CUDA, ONNXRUNTIME_TENSORRT
from edgekd.engines.base import EngineSpec, Frames, Outputs
from edgekd.engines.cache import cache_folder
from edgekd.engines.cuda import Device, NoSuchGpuError, open_driver
from edgekd.engines.onnxruntime import SessionEngine, refuse_other_session, session_options
from edgekd.engines.runtimes import import_onnxruntime
from edgekd.engines.trial import TRIAL_GRAPH, TRIAL_INPUT, AcceleratorError, check_trial
from edgekd.errors import ArtifactError, MachineError, one_line

PROVIDERS = {ONNXRUNTIME_CUDA: "CUDAExecutionProvider", ONNXRUNTIME_TENSORRT: "TensorrtExecutionProvider"}
ON_CPU = "CPUExecutionProvider"
LIBRARIES = {
    ONNXRUNTIME_CUDA: "libonnxruntime_providers_cuda.so",
    ONNXRUNTIME_TENSORRT: "libonnxruntime_providers_tensorrt.so",
}
PACKAGE = "pip install 'onnxruntime-gpu[cuda,cudnn]' cuda-bindings nvidia-ml-py"
INSTALLS = {
    ONNXRUNTIME_CUDA: PACKAGE,
    ONNXRUNTIME_TENSORRT: f"{PACKAGE}, and the TensorRT that it is built for: pip install 'tensorrt==10.*'",
}
QUIET = 4  # Of what ONNX Runtime logs, fatal errors alone: what is missing is reported in one line of ours.
_DEVICE_FAILURE = re.compile(r"\b(CUDA|CUDNN|CUBLAS) (failure|error)|enqueue failed", re.IGNORECASE)

logger = logging.getLogger("edgekd.onnxruntime")


class OnnxRuntimeGpuEngine(SessionEngine):
    """An .onnx graph in ONNX Runtime on an NVIDIA GPU.

    Args:
        path: The graph.
        manifest: Its manifest, already checked against the file.
        backend: "onnxruntime:cuda" or "onnxruntime:tensorrt".
        index: Of the GPU, as CUDA counts them.
        slots: See `SessionEngine`.

    Raises:
        AcceleratorError: The provider cannot be used on this machine.
        ArtifactError: It does not take the graph.
    """

    def __init__(self, path: Path, manifest: Manifest, backend: str, index: int, slots: int | None = None) -> None:
        self._broken: str | None = None
        batch, height, width = frame_shape(manifest)
        options = provider_options(backend, index, manifest["precision"], manifest["sha256"])
        session, version, gpu = open_session(checked_content(path, manifest), backend, index, options, str(path))
        refuse_other_session(path, session, (batch, height, width))
        name = f"{gpu.name} (cuda:{index})" if gpu else f"cuda:{index}"
        uuid = gpu.uuid or None if gpu else None
        spec = EngineSpec(backend, version, name, height, width, batch, None, index, uuid)
        super().__init__(session, spec, slots)

    @property
    def broken(self) -> str | None:
        return self._broken or super().broken

    def _run(self, frames: Frames, maps_above: float) -> Outputs:
        if self._broken:
            raise MachineError(self._broken)
        try:
            return super()._run(frames, maps_above)
        except ArtifactError:  # The graph's fault, not the device's.
            raise
        except Exception as error:  # The runtime's own exceptions share no useful base.
            failure = f"{self.spec.backend} failed on {self.spec.device}: {one_line(error)}"
            if _is_of_the_device(error):  # A GPU that faulted does not respond afterwards, either.
                self._broken = failure
            raise MachineError(failure) from error


def provider_options(backend: str, index: int, precision: str, sha256: str) -> list[tuple[str, dict[str, str]]]:
    """The providers of a session, the wanted one first; they compute in the precision that the graph carries.

    Args:
        backend: "onnxruntime:cuda" or "onnxruntime:tensorrt".
        index: Of the GPU, as CUDA counts them.
        precision: Of the graph: "fp32", "fp16" or "int8".
        sha256: Of the graph.
    """
    # By default its float32 convolutions are computed in TF32, which has ten bits of mantissa.
    cuda = (PROVIDERS[ONNXRUNTIME_CUDA], {"device_id": str(index), "use_tf32": "0"})
    if backend == ONNXRUNTIME_CUDA:
        return [cuda]
    options = {
        "device_id": str(index),
        # TensorRT refuses float16 and INT8 in a graph unless they are allowed; a float32 graph stays float32.
        "trt_fp16_enable": str(precision == "fp16"),
        "trt_int8_enable": str(precision == "int8"),
        "trt_engine_cache_enable": "True",  # Else an engine is built at each start.
        "trt_engine_cache_path": str(cache_folder() / "onnxruntime_tensorrt" / sha256[:16]),
    }
    # What TensorRT does not take is computed by CUDA, on the GPU all the same.
    return [(PROVIDERS[ONNXRUNTIME_TENSORRT], options), cuda]


def open_session(
    graph: bytes,
    backend: str,
    index: int,
    providers: list[tuple[str, dict[str, str]]],
    name: str = "the trial graph",
) -> tuple[Any, str, Device | None]:
    """A session whose graph runs on a GPU.

    Args:
        graph: Its content.
        backend: "onnxruntime:cuda" or "onnxruntime:tensorrt".
        index: Of the GPU, as CUDA counts them.
        providers: Of `provider_options`.
        name: What to call the graph in an error.

    Returns:
        The session, ONNX Runtime's version, and the GPU; None where no package is here that describes it.

    Raises:
        AcceleratorError: The provider cannot be used on this machine.
        ArtifactError: It does not take the graph.
    """
    runtime = _runtime_with(backend)
    gpu = _gpu(backend, index)
    if hasattr(
        runtime, "preload_dlls"
    ):  # From NVIDIA's packages; what it prints of missing ones is reported better below.
        with contextlib.redirect_stdout(io.StringIO()):
            runtime.preload_dlls()
    runtime.set_default_logger_severity(QUIET)
    options = session_options(0)
    options.log_severity_level = QUIET
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        session = runtime.InferenceSession(graph, options, providers=providers, enable_fallback=0)
    except Exception as error:  # The runtime's own exceptions share no useful base.
        if (missing := _missing_library(runtime, backend)) is not None:
            raise AcceleratorError(backend, missing, INSTALLS[backend]) from error
        if _is_of_the_device(error):
            raise MachineError(f"{backend} failed on cuda:{index}: {one_line(error)}") from error
        raise ArtifactError(f"ONNX Runtime cannot load {name}: {one_line(error)}") from error
    if session.get_providers()[0] != PROVIDERS[backend]:
        missing = _missing_library(runtime, backend) or f"{PROVIDERS[backend]} does not start"
        raise AcceleratorError(backend, missing, INSTALLS[backend])
    session.disable_fallback()
    check_placement(session, backend)
    return session, str(runtime.__version__), gpu


def check_placement(session: Any, backend: str) -> None:
    """Refuses a session that leaves the whole graph to another provider; what is left to the CPU is logged.

    Raises:
        AcceleratorError: Not one node runs on the provider.
    """
    if not hasattr(session, "get_provider_graph_assignment_info"):  # Before ONNX Runtime 1.24.
        return
    nodes: Counter[str] = Counter()
    on_cpu: set[str] = set()
    for part in session.get_provider_graph_assignment_info():
        placed = part.get_nodes()
        nodes[part.ep_name] += len(placed)
        if part.ep_name == ON_CPU:
            on_cpu.update(node.op_type for node in placed)
    if nodes and not nodes[PROVIDERS[backend]]:
        raise AcceleratorError(
            backend, f"{PROVIDERS[backend]} takes not one node of the graph", "use another back end: edgekd doctor"
        )
    if on_cpu:
        logger.warning(
            "%s: %d of %d nodes run on the CPU (%s)", backend, nodes[ON_CPU], nodes.total(), ", ".join(sorted(on_cpu))
        )


def try_provider(backend: str) -> str:
    """Runs the trial graph on the first GPU; see `try_accelerator`."""
    session, version, _ = open_session(TRIAL_GRAPH, backend, 0, provider_options(backend, 0, "fp32", "trial"))
    check_trial(backend, session.run(None, {"x": TRIAL_INPUT})[0])
    return version


def _runtime_with(backend: str) -> Any:
    """ONNX Runtime, where it has the provider."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise AcceleratorError(backend, "ONNX Runtime is not installed", INSTALLS[backend])
    onnxruntime = import_onnxruntime()

    if PROVIDERS[backend] not in onnxruntime.get_available_providers():
        raise AcceleratorError(
            backend,
            f"the installed ONNX Runtime {onnxruntime.__version__} is built without {PROVIDERS[backend]}",
            f"pip uninstall -y onnxruntime, then {INSTALLS[backend]}",
        )
    return onnxruntime


def _gpu(backend: str, index: int) -> Device | None:
    """The GPU; None where no package is installed that asks CUDA."""
    if not any(importlib.util.find_spec(package) for package in ("cuda", "pycuda")):
        return None
    try:
        driver = open_driver(index)
    except NoSuchGpuError:  # It reports how many there are.
        raise
    except MachineError as error:
        raise AcceleratorError(backend, str(error), "look with nvidia-smi which GPUs answer") from error
    try:
        return driver.device
    finally:
        driver.close()


def _missing_library(runtime: Any, backend: str) -> str | None:
    """Which library a provider lacks, by loading the provider once more; None where that is not what is wrong."""
    library = Path(runtime.__file__).parent / "capi" / LIBRARIES[backend]
    if not library.is_file():  # On other systems than Linux it has another name.
        return None
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        if "cannot open shared object file" in str(error):
            return f"{Path(str(error).partition(':')[0]).name} is missing, which {PROVIDERS[backend]} needs"
    return None


def _is_of_the_device(error: Exception) -> bool:
    """Whether the GPU failed, and not what it was given."""
    return _DEVICE_FAILURE.search(str(error)) is not None
