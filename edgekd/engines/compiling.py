"""A graph into an engine file for one kind of device, with a manifest that says what it was built from, and how."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

from edgekd.artifact import Manifest, write_beside, write_manifest
from edgekd.engines.base import frame_shape
from edgekd.engines.build_plan import OPENVINO, BuildPlan
from edgekd.engines.cuda import open_driver
from edgekd.engines.opening import usable_cores
from edgekd.engines.openvino import cpu_options
from edgekd.engines.tensorrt.building import BuildOptions, build_engine
from edgekd.engines.tensorrt.flavours import RTX, STANDARD, TITLES, load_flavour
from edgekd.engines.tensorrt.listening import OnProgress
from edgekd.errors import ArtifactError, EdgekdError, MachineError, one_line


class _Compiled(NamedTuple):
    """What a back end made of a graph: the file's content, and what the manifest says of it."""

    blob: bytes
    version: str
    layers: list[dict[str, Any]]
    device: dict[str, Any] | None
    capabilities: list[str]
    timing_cache: bytes | None = None


def build(plan: BuildPlan, on_progress: OnProgress | None = None) -> Manifest:
    """Builds an engine and writes it with its manifest.

    Args:
        plan: What to build.
        on_progress: Called from another thread with a phase, the steps done of it and its steps in all.

    Returns:
        The engine's manifest: the graph's, with `engine`, which tells how it was built, and `layers`.

    Raises:
        ArtifactError: The back end does not take the graph.
        MachineError: The back end is not installed, or needs a GPU that is not here; or the disk is full.
    """
    start = time.perf_counter()
    compiled = _with_openvino(plan) if plan.backend == OPENVINO else _with_tensorrt(plan, on_progress)
    record = {
        "flavour": plan.backend,
        "version": compiled.version,
        "compute_capabilities": compiled.capabilities,
        "onnx": plan.onnx_path.name,
        "onnx_sha256": plan.manifest["sha256"],
        "largest_batch": plan.largest_batch,
        "workspace_mib": plan.workspace_mib,
        "build_seconds": round(time.perf_counter() - start, 3),
        "command": plan.command,
        "device": compiled.device,
    }
    manifest = {**plan.manifest, "engine": record, "layers": compiled.layers}
    _write(plan.output, compiled.blob)
    try:
        write_manifest(plan.output, manifest)
    except BaseException:  # An engine without its manifest is of no use.
        plan.output.unlink(missing_ok=True)
        raise
    if plan.timing_cache is not None and compiled.timing_cache is not None:
        _write(plan.timing_cache, compiled.timing_cache)
    return manifest


def _write(path: Path, content: bytes) -> None:
    with write_beside(path) as part:
        part.write_bytes(content)


def _with_tensorrt(plan: BuildPlan, on_progress: OnProgress | None) -> _Compiled:
    device = _gpu() if plan.backend == STANDARD else None
    flavour = load_flavour(plan.backend)
    saved = None if plan.timing_cache is None else _saved(plan.timing_cache)
    is_free = frame_shape(plan.manifest)[0] is None
    options = BuildOptions(plan.capabilities, plan.largest_batch or 1 if is_free else 1, plan.workspace_mib, saved)
    built = build_engine(plan.onnx_path, flavour, options, on_progress)
    return _Compiled(
        built.blob,
        flavour.version,
        [layer._asdict() for layer in built.layers],
        device,
        [device["capability"]] if device else list(plan.capabilities),
        built.timing_cache,
    )


def _gpu() -> dict[str, Any]:
    """The GPU of this machine, which the standard TensorRT builds for."""
    try:
        driver = open_driver()
    except MachineError as error:
        raise MachineError(
            f"{TITLES[STANDARD]} builds on the GPU that the engine is for, and none answers here: {error}; "
            f"build on the machine that has it, or give --backend {RTX}, which needs none"
        ) from error
    try:
        return dict(driver.device._asdict())
    finally:
        driver.close()


def _saved(timing_cache: Path) -> bytes:
    """What was measured before; nothing where the file is not there yet."""
    try:
        return timing_cache.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise EdgekdError(f"cannot read --timing-cache {timing_cache}: {error.strerror or error}") from error


def _with_openvino(plan: BuildPlan) -> _Compiled:
    """The graph as OpenVINO exports it once it is compiled; it is read with `import_model`."""
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise MachineError("OpenVINO is not installed: pip install openvino") from error
    core, options = openvino.Core(), cpu_options(usable_cores())
    try:
        blob = core.compile_model(str(plan.onnx_path), "CPU", options).export_model()
    except RuntimeError as error:
        raise ArtifactError(f"OpenVINO cannot build {plan.onnx_path}: {one_line(error)}") from error
    processor = {"name": str(core.get_property("CPU", "FULL_DEVICE_NAME"))}
    return _Compiled(blob.read(), openvino.get_version().split("-")[0], [], processor, [])
