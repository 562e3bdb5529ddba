"""A graph into an engine file for one kind of device, with a manifest that records what it was built from, and how."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from edgekd.artifact import (
    Manifest,
    frame_shape,
    manifest_path,
    read_manifest,
    write_beside,
    write_error,
    write_manifest,
)
from edgekd.backends import OPENVINO, TITLES
from edgekd.engines.build_plan import BuildPlan
from edgekd.engines.cores import usable_cores
from edgekd.engines.cuda import open_driver
from edgekd.engines.openvino import cpu_options
from edgekd.engines.openvino_graphs import read_for_cpu
from edgekd.engines.runtimes import import_openvino
from edgekd.engines.tensorrt.building import BuildOptions, build_engine, uses_user_allocation
from edgekd.engines.tensorrt.flavours import (
    PORTABLE_CAPABILITIES,
    RTX,
    STANDARD,
    is_ampere_or_later,
    load_flavour,
)
from edgekd.engines.tensorrt.progress import NestedPhases
from edgekd.errors import ArtifactError, EdgekdError, MachineError, one_line
from edgekd.progress import Progress, silent

Verify = Callable[[Path, Manifest], "dict[str, Any] | None"]


class _Compiled(NamedTuple):
    """What a back end made of a graph: the file's content, and what its manifest records of it."""

    blob: bytes
    version: str
    layers: list[dict[str, Any]]
    device: dict[str, Any] | None
    capabilities: list[str]
    timing_cache: bytes | None = None


def build(plan: BuildPlan, progress: Progress = silent, verify: Verify | None = None) -> Manifest:
    """Builds an engine and writes it with its manifest, both or neither; an earlier engine stays until they are there.

    Args:
        plan: What to build.
        progress: Called while it works, from another thread.
        verify: Compares the new engine with its graph, before it replaces an earlier one. It is given the engine, which
            stands in a folder of its own, and its manifest; what it returns is recorded as `verified`. Where it raises,
            the engine is not kept. None compares nothing.

    Returns:
        The engine's manifest: the graph's, with `engine`, which records how it was built, `layers` and `verified`.

    Raises:
        ArtifactError: The back end does not take the graph.
        EdgekdError: The back end or the GPU does not have what is asked for.
        MachineError: The back end is not installed, or needs a GPU that is not here; or the disk is full.
    """
    start = time.perf_counter()
    compiled = _with_openvino(plan, progress) if plan.backend == OPENVINO else _with_tensorrt(plan, progress)
    record = {
        "flavour": plan.backend,
        "version": compiled.version,
        **requested(plan),
        "compute_capabilities": compiled.capabilities,
        "onnx": plan.onnx_path.name,
        "onnx_sha256": plan.manifest["sha256"],
        "build_seconds": round(time.perf_counter() - start, 3),
        "command": plan.command,
        "device": compiled.device,
    }
    manifest = {**plan.manifest, "engine": record, "layers": compiled.layers, "verified": None}
    with _staged(plan.output) as staged:
        staged.write_bytes(compiled.blob)
        write_manifest(staged, manifest)
        if verify is not None:
            manifest["verified"] = verify(staged, read_manifest(staged))
            write_manifest(staged, manifest)
    if plan.timing_cache is not None and compiled.timing_cache is not None:
        with write_beside(plan.timing_cache) as part:
            part.write_bytes(compiled.timing_cache)
    return manifest


def requested(plan: BuildPlan) -> dict[str, Any]:
    """What of an engine's record follows from its plan alone; another value means that the engine is another one."""
    is_portable = plan.backend == RTX and not plan.capabilities
    return {
        "portable": is_portable,
        "largest_batch": plan.largest_batch,
        "opt_batch": plan.opt_batch,
        "workspace_mib": plan.workspace_mib,
        "hardware_compatibility": plan.hardware_compatibility,
        "user_allocation": uses_user_allocation(plan.backend),
    }


def served_by(plan: BuildPlan) -> list[str] | None:
    """The compute capabilities that an engine of TensorRT for RTX is built for; None for other back ends."""
    return list(plan.capabilities or PORTABLE_CAPABILITIES) if plan.backend == RTX else None


@contextlib.contextmanager
def _staged(output: Path) -> Iterator[Path]:
    """A place for an engine and its manifest, which replace what is at `output` when the block ends well.

    Args:
        output: Where the engine shall be; its folder is made.

    Yields:
        The engine's path in a folder of its own, under its own name.

    Raises:
        MachineError: The disk is full or cannot be written.
    """
    folder = output.with_name(f".{output.stem}.{os.getpid()}.part")
    staged = folder / output.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield staged
        os.replace(staged, output)
        os.replace(manifest_path(staged), manifest_path(output))
    except OSError as error:
        raise write_error(output, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _with_tensorrt(plan: BuildPlan, progress: Progress) -> _Compiled:
    device = gpu_record(plan.gpu) if plan.backend == STANDARD else None
    if device and plan.hardware_compatibility == "ampere-plus" and not is_ampere_or_later(device["capability"]):
        raise EdgekdError(
            f"--hardware-compatibility ampere-plus needs a GPU of compute capability 8.0 or later to build on, and "
            f"{device['name']} has {device['capability']}: leave it out"
        )
    flavour = load_flavour(plan.backend)
    saved = None if plan.timing_cache is None else _saved(plan.timing_cache)
    is_free = frame_shape(plan.manifest)[0] is None
    largest, opt = (plan.largest_batch or 1, plan.opt_batch or 1) if is_free else (1, 1)
    options = BuildOptions(plan.capabilities, largest, opt, plan.workspace_mib, saved, plan.hardware_compatibility)
    phases = NestedPhases()

    def on_phase(phase: str, done: int, steps: int) -> None:
        progress(_step(plan), phases.update(phase, done, steps), phases.PARTS)

    built = build_engine(plan.onnx_path, flavour, options, on_phase)
    return _Compiled(
        built.blob,
        flavour.version,
        [layer._asdict() for layer in built.layers],
        device,
        served_by(plan) or ([device["capability"]] if device else []),
        built.timing_cache,
    )


def _step(plan: BuildPlan) -> str:
    return f"building {plan.output.name}"


def gpu_record(index: int) -> dict[str, Any]:
    """The GPU that the standard TensorRT builds on and for."""
    try:
        driver = open_driver(index)
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


def installed_version(backend: str) -> str:
    """The version of a back end that builds here, as an engine's record has it.

    Args:
        backend: "tensorrt", "tensorrt-rtx" or "openvino".

    Raises:
        MachineError: It is not installed, does not load, or is too old.
    """
    return openvino_version() if backend == OPENVINO else load_flavour(backend).version


def openvino_version() -> str:
    """The version of OpenVINO, such as "2026.4.0".

    Raises:
        MachineError: It is not installed.
    """
    return str(_openvino().get_version().split("-")[0])


def processor_name() -> str:
    """This machine's processor, as OpenVINO calls it."""
    return str(_openvino().Core().get_property("CPU", "FULL_DEVICE_NAME"))


def _openvino() -> Any:
    try:
        openvino = import_openvino()
    except ModuleNotFoundError as error:
        raise MachineError("OpenVINO is not installed: pip install openvino") from error
    return openvino


def _with_openvino(plan: BuildPlan, progress: Progress) -> _Compiled:
    """The graph as OpenVINO exports it once it is compiled; it is read with `import_model`."""
    core, options = _openvino().Core(), cpu_options(usable_cores())
    progress(_step(plan), 0, 1)
    try:
        blob = core.compile_model(read_for_cpu(core, plan.onnx_path.read_bytes()), "CPU", options).export_model()
    except RuntimeError as error:
        raise ArtifactError(f"OpenVINO cannot build {plan.onnx_path}: {one_line(error)}") from error
    progress(_step(plan), 1, 1)
    return _Compiled(blob.read(), openvino_version(), [], {"name": processor_name()}, [])
