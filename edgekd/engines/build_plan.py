"""What an engine is to be built from and for, and everything that speaks against it before the building begins.

`detector.onnx` becomes `detector_sm86.engine` and `detector_sm86.json`: never `detector.engine`, whose manifest would
stand where the graph's own does.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekd.artifact import Manifest, manifest_path, read_json, read_manifest
from edgekd.engines.base import frame_shape
from edgekd.engines.tensorrt.flavours import (
    RTX,
    STANDARD,
    TITLES,
    capability_name,
    checked_capabilities,
    default_flavour,
)
from edgekd.errors import ArtifactError, EdgekdError, unknown_name

OPENVINO = "openvino"
BUILDERS = (STANDARD, RTX, OPENVINO)
LARGEST_BATCH = 8  # Of a graph whose batch is free, where none is asked for.


class BuildPlan(NamedTuple):
    """An engine to be built.

    Attributes:
        onnx_path: The graph.
        manifest: The graph's, checked against it.
        output: The .engine file.
        backend: "tensorrt", "tensorrt-rtx" or "openvino".
        capabilities: Compute capabilities such as "8.6", sorted; none for Ampere and later, or for this machine.
        largest_batch: In frames; None where it takes any.
        workspace_mib: MiB of device memory that a kernel may take for its work; None for no limit.
        timing_cache: A file of what the standard TensorRT has measured, read where it is there, and written.
        command: That builds it again.
    """

    onnx_path: Path
    manifest: Manifest
    output: Path
    backend: str
    capabilities: tuple[str, ...]
    largest_batch: int | None
    workspace_mib: int | None
    timing_cache: Path | None
    command: str


def plan_build(
    onnx_path: Path,
    output: Path | None = None,
    backend: str | None = None,
    capabilities: Sequence[str] = (),
    batch: int | None = None,
    workspace_mib: int | None = None,
    timing_cache: Path | None = None,
) -> BuildPlan:
    """Checks what is asked for, and fills in what is not.

    Args:
        onnx_path: The graph, with its manifest beside it.
        output: None names the engine after the graph and what it is for, beside the graph.
        backend: None takes the TensorRT that is installed.
        capabilities: For TensorRT for RTX; see `BuildPlan`.
        batch: The largest, of a graph whose batch is free; None for 8.
        workspace_mib: See `BuildPlan`.
        timing_cache: See `BuildPlan`.

    Raises:
        ArtifactError: The graph is missing or not what its manifest says.
        EdgekdError: What is asked for does not fit the graph or the back end, or would overwrite something.
        MachineError: No back end is asked for, and no TensorRT can be used.
    """
    if onnx_path.suffix != ".onnx":
        raise EdgekdError(f"{onnx_path} is no graph: give an .onnx file that edgekd export wrote")
    if backend is not None and backend not in BUILDERS:
        raise unknown_name("back end to build for", backend, BUILDERS)
    manifest = read_manifest(onnx_path)
    backend = backend or default_flavour().name
    _refuse_options(backend, capabilities, workspace_mib, timing_cache)
    wanted = tuple(checked_capabilities(capabilities))
    largest_batch = _largest_batch(onnx_path, manifest, backend, batch)
    usual = default_output(onnx_path, backend, wanted)
    _refuse_output(output or usual)
    words: list[object] = ["edgekd", "build", onnx_path, "--backend", backend]
    for capability in wanted:
        words += ["--compute-capability", capability]
    options = {"--batch": batch, "--workspace": workspace_mib, "--timing-cache": timing_cache, "--output": output}
    for option, value in options.items():
        words += [] if value is None else [option, value]
    return BuildPlan(
        onnx_path,
        manifest,
        output or usual,
        backend,
        wanted,
        largest_batch,
        workspace_mib,
        timing_cache,
        shlex.join(map(str, words)),
    )


def default_output(onnx_path: Path, backend: str, capabilities: Sequence[str]) -> Path:
    """The engine's name: the graph's, and what it is for.

    Args:
        onnx_path: The graph.
        backend: That builds.
        capabilities: Sorted; they name the engine where there are any.
    """
    names = [capability_name(text).lower() for text in capabilities] or [backend.replace("-", "_")]
    return onnx_path.with_name(f"{'_'.join([onnx_path.stem, *names])}.engine")


def _refuse_output(output: Path) -> None:
    """Refuses a name that is no engine's, or whose manifest would stand where another file is."""
    if output.suffix != ".engine":
        raise EdgekdError(f"--output {output} must end in .engine")
    if output.is_dir():
        raise EdgekdError(f"--output {output} is a folder: name a file")
    beside = manifest_path(output)
    if not beside.exists():
        return
    described = None
    with contextlib.suppress(ArtifactError):
        described = read_json(beside)
    owner = described.get("file") if isinstance(described, dict) else None
    if owner != output.name:
        what = f"the manifest of {owner}" if owner else "no manifest of an engine"
        raise EdgekdError(
            f"{output} would overwrite {beside}, which is {what}: "
            f"give another name, such as --output {output.with_stem(f'{output.stem}_engine')}"
        )


def _refuse_options(
    backend: str, capabilities: Sequence[str], workspace_mib: int | None, timing_cache: Path | None
) -> None:
    if capabilities and backend == STANDARD:
        raise EdgekdError(
            f"--compute-capability is for {TITLES[RTX]}: {TITLES[STANDARD]} builds for the GPU of the machine it runs "
            f"on; leave it out, or give --backend {RTX}"
        )
    if backend == OPENVINO:
        given = {"--compute-capability": capabilities, "--workspace": workspace_mib}
        for option in (name for name, value in given.items() if value):
            raise EdgekdError(f"{option} is for TensorRT, and OpenVINO builds for this processor: leave it out")
    if timing_cache is not None and backend != STANDARD:
        raise EdgekdError(
            f"--timing-cache is for {TITLES[STANDARD]}, which measures kernels while it builds; {backend} does not: "
            "leave it out"
        )
    if timing_cache is not None and timing_cache.is_dir():
        raise EdgekdError(f"--timing-cache {timing_cache} is a folder: name a file")


def _largest_batch(onnx_path: Path, manifest: Manifest, backend: str, asked: int | None) -> int | None:
    """The largest batch that the engine takes; None where it takes any."""
    fixed = frame_shape(manifest)[0]
    if fixed is not None:
        if asked is not None:
            raise EdgekdError(
                f"{onnx_path} takes batches of {fixed} and no others: leave --batch out, "
                "or export it with --batch dynamic"
            )
        return fixed
    if backend == OPENVINO:
        if asked is not None:
            raise EdgekdError("--batch is for TensorRT, and an engine of OpenVINO takes any batch: leave it out")
        return None
    return asked or LARGEST_BATCH
