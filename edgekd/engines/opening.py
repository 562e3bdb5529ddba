"""Opening an artifact on the back end that is asked for, or on the one that is faster for it on this machine."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import shlex
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgekd.artifact import Manifest, checked_content, read_manifest
from edgekd.backends import ACCELERATED, ALL_BACKENDS, BUILT, ON_CUDA, ONNXRUNTIME, OPENVINO
from edgekd.engines.accelerators import open_accelerated
from edgekd.engines.base import Engine
from edgekd.engines.build_record import engine_record
from edgekd.engines.cores import usable_cores
from edgekd.engines.devices import parse_device
from edgekd.engines.graph_check import check_graph
from edgekd.engines.inference_limit import check_limit
from edgekd.engines.remembered import remembered
from edgekd.engines.streams import AUTO, Streams, check_streams, fastest_streams
from edgekd.errors import EdgekdError, MachineError, unknown_name
from edgekd.preprocessing import preprocessing_of

TRIALS = 5


def _onnxruntime(path: Path, manifest: Manifest, threads: int, slots: int | None = None) -> Engine:
    from edgekd.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(path, manifest, threads, slots)


def _openvino(path: Path, manifest: Manifest, threads: int, slots: int | None = None, streams: int = 1) -> Engine:
    from edgekd.engines.openvino import OpenVINOEngine

    return OpenVINOEngine(path, manifest, threads, slots, streams=streams)


# Those that compute on the CPU, and so run everywhere.
BACKENDS: dict[str, Callable[..., Engine]] = {ONNXRUNTIME: _onnxruntime, OPENVINO: _openvino}


def open_engine(
    path: str | Path,
    backend: str | None = None,
    threads: int | None = None,
    device: str | None = None,
    slots: int | None = None,
    inference_limit: float | None = None,
    *,
    streams: Streams = 1,
    manifest: Manifest | None = None,
) -> Engine:
    """Loads an artifact, after checking it against its manifest.

    Args:
        path: An .onnx or .engine file with its manifest beside it.
        backend: One of ALL_BACKENDS; None takes that of BACKENDS which was measured as faster for this graph on this
            machine. An engine was built for one back end and takes no other.
        threads: That compute one inference on the CPU; None takes as many as the process may use.
        device: The GPU, such as "cuda:1", as CUDA counts them; None for the first. Only for what runs on CUDA.
        slots: Batches that may be acquired or in flight at once, each with memory of its own; None for the engine's own
            number.
        inference_limit: Seconds that an inference may take; None to derive it from the first ones.
        streams: Inferences that OpenVINO computes at the same time on the CPU, each on its share of the threads: more
            frames a second, and each later. "auto" for the number, of at most `slots`, that gives the most on this
            machine, measured once; on other back ends and devices it is 1.
        manifest: The artifact's, where it was read already, so that nobody exchanges it meanwhile; None to read it.

    Raises:
        ArtifactError: The artifact is missing, damaged, not the file that its manifest describes, or no graph that
            edgekd exports.
        EdgekdError: There is no such back end, or it takes no such file or device.
        MachineError: It is not installed, or needs a GPU that is not here.
    """
    path = Path(path)
    if backend is not None and backend not in ALL_BACKENDS:
        raise unknown_name("back end", backend, ALL_BACKENDS)
    if slots is not None and slots < 1:
        raise EdgekdError(f"slots must be a positive integer, got {slots}")
    check_limit(inference_limit)
    threads = threads or usable_cores()
    check_streams(streams, threads, slots)
    if device is not None:
        parse_device(device)  # Refused before anything is read.
    if path.is_file() and path.suffix not in (".onnx", ".engine"):
        raise EdgekdError(f"{path} must be an .onnx file of edgekd export or an .engine file of edgekd build")
    manifest = read_manifest(path) if manifest is None else manifest
    preprocessing = preprocessing_of(manifest)
    engine = _open(path, manifest, backend, threads, device, slots, streams)
    engine.preprocessing = preprocessing
    engine.limit.seconds = inference_limit
    return engine


def _open(
    path: Path,
    manifest: Manifest,
    backend: str | None,
    threads: int,
    device: str | None,
    slots: int | None,
    streams: Streams,
) -> Engine:
    """Loads a checked artifact on the back end that is asked for, or on the faster one."""
    if path.suffix == ".engine":
        _refuse_streams(streams, f"{path} was built for one inference at a time")
        return _open_built(path, manifest, backend, threads, device, slots)
    if backend in BUILT:
        raise EdgekdError(
            f"{backend} runs engines, and {path} is a graph: edgekd build {shlex.quote(str(path))} --backend {backend}"
        )
    check_graph(checked_content(path, manifest), path, manifest)
    if device is not None and backend not in ON_CUDA:
        raise _no_device(device, path, backend)
    if backend in ACCELERATED:
        _refuse_streams(streams, f"{backend} does not compute on the CPU")
        return open_accelerated(path, manifest, backend, parse_device(device) if device else 0, slots)
    if backend is None:
        backend = OPENVINO if streams not in (1, AUTO) else _faster_backend(path, manifest, threads)
    if not _is_installed(backend):
        raise MachineError(f"the back end {backend} is not installed: pip install {backend}")
    if backend == OPENVINO:
        if streams != AUTO:
            return _openvino(path, manifest, threads, slots, streams)
        fastest = fastest_streams(path, manifest, threads, _version(OPENVINO))
        most = slots or fastest  # A stream without a slot would keep its threads idle.
        return _openvino(path, manifest, threads, slots, min(fastest, most))
    _refuse_streams(streams, f"{backend} computes one inference at a time")
    return BACKENDS[backend](path, manifest, threads, slots)


def _refuse_streams(streams: Streams, reason: str) -> None:
    """Refuses several streams where only OpenVINO's graphs on the CPU have them."""
    if streams not in (1, AUTO):
        raise EdgekdError(f"--streams {streams} is for graphs in OpenVINO on the CPU, and {reason}: leave it out")


def _no_device(device: str, path: Path, backend: str | None) -> EdgekdError:
    """The error for a GPU of CUDA where nothing runs on CUDA."""
    if backend is None:
        others = " or ".join(ON_CUDA)
        return EdgekdError(f"--device {device} is for NVIDIA GPUs, and {path} runs on the CPU: give --backend {others}")
    where = "Intel's devices" if backend in ACCELERATED else "the CPU"
    return EdgekdError(f"--device {device} is for NVIDIA GPUs, and {backend} computes on {where}: leave --device out")


def _open_built(
    path: Path, manifest: Manifest, backend: str | None, threads: int, device: str | None, slots: int | None
) -> Engine:
    """Loads an engine that edgekd build made, on the back end that it was built for."""
    flavour = engine_record(manifest, path)["flavour"]
    if backend is not None and backend != flavour:
        raise EdgekdError(f"{path} was built for {flavour} and runs on nothing else: leave --backend {backend} out")
    if flavour == OPENVINO:
        if device is not None:
            raise _no_device(device, path, flavour)
        return _openvino(path, manifest, threads, slots)
    from edgekd.engines.tensorrt.engine import SLOTS, TensorRTEngine

    return TensorRTEngine(path, manifest, parse_device(device) if device else 0, slots or SLOTS)


def _is_installed(backend: str) -> bool:
    return importlib.util.find_spec(backend) is not None


def _version(backend: str) -> str:
    """The version of an installed back end, by whichever package brings it: onnxruntime-gpu is onnxruntime too."""
    for package in (backend, f"{backend}-gpu"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(package)
    return "of another package"


def cpu_backends(manifest: Manifest) -> list[str]:
    """The installed back ends that compute a graph on the CPU, and compute it right.

    Args:
        manifest: The graph's.

    Raises:
        MachineError: There is none.
    """
    from edgekd.engines.onnxruntime import truncates

    installed = [backend for backend in BACKENDS if _is_installed(backend)]
    if not installed:
        raise MachineError("no back end is installed: pip install onnxruntime openvino")
    right = [name for name in installed if name != ONNXRUNTIME or not truncates(manifest, _version(ONNXRUNTIME))]
    if not right:
        raise MachineError(
            f"ONNX Runtime {_version(ONNXRUNTIME)} truncates the float16 of this graph: pip install openvino, or "
            "'onnxruntime>=1.30' (Python 3.11 or newer)"
        )
    return right


def _faster_backend(path: Path, manifest: Manifest, threads: int) -> str:
    """The faster back end for a graph: measured once, remembered by graph, threads, versions and processor."""
    installed = cpu_backends(manifest)
    if len(installed) == 1:
        return installed[0]
    versions = [f"{backend} {_version(backend)}" for backend in installed]
    key = " ".join([manifest["sha256"][:16], f"{threads} threads", *versions])
    return remembered(
        "fastest_backend.json",
        key,
        installed,
        lambda: min(installed, key=lambda backend: _median_time(backend, path, manifest, threads)),
    )


def _median_time(backend: str, path: Path, manifest: Manifest, threads: int) -> float:
    """Seconds one inference takes."""
    with BACKENDS[backend](path, manifest, threads) as engine:
        spec = engine.spec
        frames = np.random.default_rng(0).integers(0, 256, (spec.batch or 1, spec.height, spec.width, 3), np.uint8)
        engine.infer(frames)
        times = []
        for _ in range(TRIALS):
            start = time.perf_counter()
            engine.infer(frames)
            times.append(time.perf_counter() - start)
    return statistics.median(times)
