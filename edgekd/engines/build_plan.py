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

from edgekd.artifact import Manifest, checked_content, frame_shape, manifest_path, read_json, read_manifest
from edgekd.backends import BUILDERS, OPENVINO, TITLES
from edgekd.engines.devices import parse_device
from edgekd.engines.graph_check import check_graph
from edgekd.engines.tensorrt.building import NO_COMPATIBILITY
from edgekd.engines.tensorrt.flavours import (
    RTX,
    STANDARD,
    capability_name,
    checked_capabilities,
    default_flavour,
)
from edgekd.errors import ArtifactError, EdgekdError, unknown_name
from edgekd.preprocessing import preprocessing_of

LARGEST_BATCH = 8  # Of a graph whose batch is free, where none is asked for; of more tiles, those of one image.
OPT_BATCH = 1  # Images: the batch that edgekd inspect uses with such a graph.


class BuildChoices(NamedTuple):
    """What may be asked of a build besides the graph; None and empty leave it to edgekd.

    Attributes:
        output: The .engine file; None names it after the graph and what it is for, beside the graph.
        backend: "tensorrt", "tensorrt-rtx" or "openvino"; None takes the TensorRT that is installed.
        capabilities: Compute capabilities such as "8.6", for TensorRT for RTX; none for Ampere and later.
        max_batch: The largest, of a graph whose batch is free; None for 8.
        opt_batch: That kernels are chosen for, of a graph whose batch is free; None for 1.
        workspace_mib: MiB of device memory that a kernel may take for its work; None for no limit.
        timing_cache: A file of what the standard TensorRT has measured, read where it is there, and written.
        hardware_compatibility: "same-compute-capability" or "ampere-plus", for the standard TensorRT; None for the GPU
            model that it is built on.
        device: The GPU that builds and runs it, such as "cuda:1"; None for the first.
    """

    output: Path | None = None
    backend: str | None = None
    capabilities: Sequence[str] = ()
    max_batch: int | None = None
    opt_batch: int | None = None
    workspace_mib: int | None = None
    timing_cache: Path | None = None
    hardware_compatibility: str | None = None
    device: str | None = None


class BuildPlan(NamedTuple):
    """An engine to be built.

    Attributes:
        onnx_path: The graph.
        manifest: The graph's, checked against it.
        output: The .engine file.
        backend: "tensorrt", "tensorrt-rtx" or "openvino".
        capabilities: Compute capabilities such as "8.6", sorted; none for Ampere and later, or for this machine.
        largest_batch: In images; None where it takes any.
        opt_batch: In images, that kernels are chosen for; None where it takes any batch.
        workspace_mib: MiB of device memory that a kernel may take for its work; None for no limit.
        timing_cache: A file of what the standard TensorRT has measured, read where it is there, and written.
        hardware_compatibility: "none", "same-compute-capability" or "ampere-plus".
        gpu: The GPU that builds and runs it, as CUDA counts them.
        command: That builds it again.
    """

    onnx_path: Path
    manifest: Manifest
    output: Path
    backend: str
    capabilities: tuple[str, ...]
    largest_batch: int | None
    opt_batch: int | None
    workspace_mib: int | None
    timing_cache: Path | None
    hardware_compatibility: str
    gpu: int
    command: str


def plan_build(onnx_path: Path, choices: BuildChoices | None = None) -> BuildPlan:
    """Checks what is asked for, and fills in what is not.

    Args:
        onnx_path: The graph, with its manifest beside it.
        choices: What is asked for; None for nothing in particular.

    Raises:
        ArtifactError: The graph is missing, not the file that its manifest describes, or none that edgekd exports.
        EdgekdError: What is asked for does not fit the graph or the back end, or would overwrite something.
        MachineError: No back end is asked for, and no TensorRT can be used.
    """
    choices = choices or BuildChoices()
    if onnx_path.suffix != ".onnx":
        raise EdgekdError(f"{onnx_path} is not a graph: give an .onnx file that edgekd export wrote")
    if choices.backend is not None and choices.backend not in BUILDERS:
        raise unknown_name("back end to build for", choices.backend, BUILDERS)
    manifest = read_manifest(onnx_path)
    check_graph(checked_content(onnx_path, manifest), onnx_path, manifest)
    backend = choices.backend or default_flavour().name
    _refuse_options(backend, choices)
    gpu = 0 if choices.device is None else parse_device(choices.device)
    wanted = tuple(checked_capabilities(choices.capabilities))
    largest_batch, opt_batch = _batches(onnx_path, manifest, backend, choices)
    output = choices.output or default_output(onnx_path, backend, wanted)
    _refuse_output(output)
    return BuildPlan(
        onnx_path,
        manifest,
        output,
        backend,
        wanted,
        largest_batch,
        opt_batch,
        choices.workspace_mib,
        choices.timing_cache,
        choices.hardware_compatibility or NO_COMPATIBILITY,
        gpu,
        _command(onnx_path, backend, wanted, choices),
    )


def _command(onnx_path: Path, backend: str, capabilities: Sequence[str], choices: BuildChoices) -> str:
    """The command that builds an engine again."""
    words: list[object] = ["edgekd", "build", onnx_path, "--backend", backend]
    for capability in capabilities:
        words += ["--compute-capability", capability]
    options = {
        "--max-batch": choices.max_batch,
        "--opt-batch": choices.opt_batch,
        "--workspace": choices.workspace_mib,
        "--timing-cache": choices.timing_cache,
        "--hardware-compatibility": choices.hardware_compatibility,
        "--device": choices.device,
        "--output": choices.output,
    }
    for option, value in options.items():
        words += [] if value is None else [option, value]
    return shlex.join(map(str, words))


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
    """Refuses a name that is not an engine's, or whose manifest would stand where another file is."""
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


def _refuse_options(backend: str, choices: BuildChoices) -> None:
    """Refuses options that are for another back end."""
    if backend == OPENVINO:
        given = {
            "--compute-capability": choices.capabilities,
            "--workspace": choices.workspace_mib,
            "--device": choices.device,
        }
        for option in (name for name, value in given.items() if value):
            raise EdgekdError(f"{option} is for TensorRT, and OpenVINO builds for this processor: leave it out")
    if choices.capabilities and backend == STANDARD:
        raise EdgekdError(
            f"--compute-capability is for {TITLES[RTX]}: {TITLES[STANDARD]} builds for the GPU of the machine it runs "
            f"on; leave it out, or give --backend {RTX}"
        )
    if choices.hardware_compatibility is not None and backend != STANDARD:
        raise EdgekdError(
            f"--hardware-compatibility is for {TITLES[STANDARD]}: leave it out"
            + (f"; {TITLES[RTX]} builds for the GPUs that --compute-capability names" if backend == RTX else "")
        )
    if choices.timing_cache is not None and backend != STANDARD:
        raise EdgekdError(
            f"--timing-cache is for {TITLES[STANDARD]}, which measures kernels while it builds; {backend} does not: "
            "leave it out"
        )
    if choices.timing_cache is not None and choices.timing_cache.is_dir():
        raise EdgekdError(f"--timing-cache {choices.timing_cache} is a folder: name a file")


def _batches(onnx_path: Path, manifest: Manifest, backend: str, choices: BuildChoices) -> tuple[int | None, int | None]:
    """The largest batch and the one that kernels are chosen for; None where the engine takes any."""
    fixed = frame_shape(manifest)[0]
    given = {"--max-batch": choices.max_batch, "--opt-batch": choices.opt_batch}
    for option in (name for name, value in given.items() if value is not None):
        if fixed is not None:
            raise EdgekdError(
                f"{onnx_path} takes batches of {fixed} and no others: leave {option} out, "
                "or export it with --batch dynamic"
            )
        if backend == OPENVINO:
            raise EdgekdError(f"{option} is for TensorRT, and an engine of OpenVINO takes any batch: leave it out")
    if fixed is not None:
        return fixed, fixed
    if backend == OPENVINO:
        return None, None
    tiles = preprocessing_of(manifest).tiles
    largest = choices.max_batch or max(LARGEST_BATCH, tiles)
    opt = choices.opt_batch or min(largest, OPT_BATCH * tiles)
    if largest < tiles:
        raise EdgekdError(f"--max-batch {largest} is less than the {tiles} tiles of one image: give {tiles} or more")
    if opt > largest:
        default = "" if choices.max_batch else ", its default"
        raise EdgekdError(
            f"--opt-batch {opt} must be at most --max-batch, which is {largest}{default}: give a smaller --opt-batch, "
            "or a larger --max-batch"
        )
    return largest, opt
