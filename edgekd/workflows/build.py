"""Builds an engine of a graph for TensorRT, TensorRT for RTX or OpenVINO, and compares it with the graph.

It needs neither torch nor onnx, so that a station builds its own engine.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from edgekd.artifact import Manifest, checked_content, manifest_path, read_manifest, require_writable, write_manifest
from edgekd.backends import OPENVINO, HardwareCompatibility
from edgekd.errors import DriftError, EdgekdError, unknown_name
from edgekd.progress import Progress, silent
from edgekd.run_folder import DETECTOR_FILE, artifact_name
from edgekd.workflows.calling import takes_options

if TYPE_CHECKING:
    from edgekd.engines.build_plan import BuildPlan

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuildOptions:
    """Options of `build`.

    Attributes:
        graph: An .onnx file that `export` wrote, or a run with an INT8 one. For TensorRT an INT8 graph gets float16
            around it.
        backend: "tensorrt", "tensorrt-rtx" or "openvino"; None for the TensorRT that is installed.
        compute_capability: GPUs to build for, such as ["8.6"], for TensorRT for RTX; none for Ampere and later.
        max_batch: Largest batch, of a graph exported with a dynamic one; None for 8.
        opt_batch: Batch that kernels are chosen for, of such a graph; None for 1.
        workspace: Device memory that a kernel may take, in MiB; None for no limit.
        timing_cache: File of what the standard TensorRT has measured, read and written; None for none.
        hardware_compatibility: Other GPUs than the model it is built on that an engine of the standard TensorRT shall
            run on, at some cost in speed: "same-compute-capability" or "ampere-plus"; None for none.
        device: GPU that builds and runs the engine, such as "cuda:1"; None for the first.
        output: The .engine file; None for a name beside the graph, such as detector_sm86.engine.
        if_needed: Build only where the engine is missing, damaged, of another graph or options, or not for this
            machine.
        answer_file: File that the caller writes the result to; refused before the work where it cannot be written or
            a manifest stands.
        progress: Called while it works, also from another thread.
    """

    graph: str | Path
    backend: str | None = None
    compute_capability: Sequence[str] = ()
    max_batch: int | None = None
    opt_batch: int | None = None
    workspace: int | None = None
    timing_cache: str | Path | None = None
    hardware_compatibility: str | None = None
    device: str | None = None
    output: str | Path | None = None
    if_needed: bool = False
    answer_file: str | Path | None = None
    progress: Progress = field(default=silent, repr=False, compare=False)


@dataclass(frozen=True)
class BuildResult:
    """What `build` wrote, or found to be up to date.

    Attributes:
        file: The .engine file; its manifest is beside it.
        bytes: Its size.
        built: Whether it was built now; False where `if_needed` found nothing to do.
        system: Such as "hkt".
        precision: Of the graph.
        engine: How it was built: flavour, version, batches, compute capabilities, device, seconds, command.
        convolutions_reading: By data type, how many convolutions read it; empty where the back end does not report it.
        verified: How far it is from its graph, measured on this machine or an earlier one; None where it never was.
        compared: Whether that was measured now.
        not_compared: Why it was not compared here; None where it was, now or earlier.
        why_generated: Why it was compared on generated images; None where the run's own were there.
        manifest: All that is recorded of the engine.
    """

    file: Path
    bytes: int
    built: bool
    system: str
    precision: str
    engine: dict[str, Any]
    convolutions_reading: dict[str, int]
    verified: dict[str, Any] | None
    compared: bool
    not_compared: str | None
    why_generated: str | None
    manifest: Manifest = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON has it."""
        return {
            "file": str(self.file),
            "bytes": self.bytes,
            "built": self.built,
            "system": self.system,
            "precision": self.precision,
            "engine": self.engine,
            "convolutions_reading": self.convolutions_reading,
            "verified": self.verified,
        }


@dataclass(frozen=True)
class _Comparison:
    """How an engine was compared with its graph; see `BuildResult`."""

    verified: dict[str, Any] | None = None
    compared: bool = False
    not_compared: str | None = None
    why_generated: str | None = None


@takes_options(BuildOptions)
def build(options: BuildOptions) -> BuildResult:
    """Builds an engine of a graph and compares it with the graph, where it can run here.

    Args: see `BuildOptions`.

    Returns:
        The engine, how it was built and how far it is from its graph.

    Raises:
        EdgekdError: An option does not fit the graph or the back end, or a file would be overwritten.
        ArtifactError: The graph is damaged, or the back end does not take it.
        DriftError: The engine outputs something else than its graph; it is not kept.
        MachineError: The back end is not installed, or needs a GPU that is not here.
    """
    from edgekd.engines.build_plan import plan_build
    from edgekd.engines.rebuilding import reason_to_build

    levels = get_args(HardwareCompatibility)
    if options.hardware_compatibility is not None and options.hardware_compatibility not in levels:
        raise unknown_name("hardware compatibility", options.hardware_compatibility, levels)
    plan = plan_build(_graph_for(Path(options.graph), options), _choices(options))
    _refuse_answer_file(options, plan)
    if options.if_needed:
        reason = reason_to_build(plan)
        if reason is None:
            return _kept(plan, options.progress)
        logger.info("building: %s", reason)
    return _built(plan, options.progress)


def _choices(options: BuildOptions) -> Any:
    from edgekd.engines.build_plan import BuildChoices

    return BuildChoices(
        None if options.output is None else Path(options.output),
        options.backend,
        options.compute_capability,
        options.max_batch,
        options.opt_batch,
        options.workspace,
        None if options.timing_cache is None else Path(options.timing_cache),
        options.hardware_compatibility,
        options.device,
    )


def _refuse_answer_file(options: BuildOptions, plan: BuildPlan) -> None:
    """Refuses a file for the answer that cannot be written, or where a manifest stands."""
    if options.answer_file is None:
        return
    answer_file = Path(options.answer_file)
    if answer_file.resolve() in [manifest_path(path).resolve() for path in (plan.onnx_path, plan.output)]:
        raise EdgekdError(f"--json {answer_file} is where a manifest stands: give another name")
    require_writable(answer_file)


def _graph_for(source: Path, options: BuildOptions) -> Path:
    """The graph to build: of a run its INT8 one; for TensorRT with float16 around INT8 instead of float32."""
    if not source.exists():
        raise EdgekdError(f"no such graph or run: {source}")
    graph = source if not source.is_dir() else _graph_of_run(source, options.backend)
    if options.backend == OPENVINO or graph.suffix != ".onnx" or not graph.is_file():
        return graph
    from edgekd.engines.graph_check import check_graph

    manifest = read_manifest(graph)
    check_graph(checked_content(graph, manifest), graph, manifest)
    return _with_float16(graph, manifest, options.progress) if manifest.get("precision") == "int8" else graph


def _graph_of_run(run: Path, backend: str | None) -> Path:
    """A run's INT8 graph; for TensorRT the one with float16 around it, where it has that alone."""
    from edgekd.recipe import read_recipe

    read_recipe(run)  # Refuses a folder that is not a run.
    graph, mixed = (run / artifact_name(DETECTOR_FILE, precision) for precision in ("int8", "int8_fp16"))
    if graph.is_file():
        return graph
    if mixed.is_file() and backend != OPENVINO:
        return mixed
    raise EdgekdError(
        f"{run} holds no INT8 graph to build: edgekd export {shlex.quote(str(run))} --precision int8, "
        "or name an .onnx file of another precision"
    )


def _with_float16(graph: Path, manifest: Manifest, progress: Progress) -> Path:
    """The same INT8 graph with float16 around it, written where it is not there yet."""
    from edgekd.profiling.verification import images_for

    try:
        from edgekd.quantization.for_tensorrt import current_float16, float16_path, write_float16
    except ModuleNotFoundError:
        logger.warning(
            "onnx is not installed, so the engine computes in float32 around the INT8 of %s, slower than with float16: "
            "pip install onnx, or build where onnx is",
            graph,
        )
        return graph
    mixed = current_float16(graph, manifest)
    if mixed is not None:
        logger.info("taking %s, which has float16 around INT8", mixed)
        return mixed
    step = f"converting what {graph.name} leaves in float32 to float16"
    progress(step, 0, 1)
    written = write_float16(graph, manifest, images_for(graph, manifest).frames)
    progress(step, 1, 1)
    logger.info("wrote %s, with float16 around INT8: TensorRT is built from it", float16_path(graph))
    return written


def _built(plan: BuildPlan, progress: Progress) -> BuildResult:
    """Builds the engine, and compares it with its graph before it replaces an earlier one."""
    from edgekd.engines.compiling import build as compile_engine
    from edgekd.profiling.verification import place_for

    comparison = _Comparison()

    def verify(engine: Path, manifest: Manifest) -> dict[str, Any] | None:
        nonlocal comparison
        place = place_for(plan.output, manifest, plan.gpu)
        if place.on is None:
            comparison = _Comparison(not_compared=place.why_not)
        else:
            comparison = _compared(plan, engine, manifest, place.on, progress)
        return comparison.verified

    try:
        manifest = compile_engine(plan, progress, verify)
    except DriftError as error:
        raise DriftError(f"{plan.output} was not written: {error}") from error
    return _result(plan, True, manifest, comparison)


def _kept(plan: BuildPlan, progress: Progress) -> BuildResult:
    """An engine that is up to date, compared with its graph unless that was done on this device."""
    from edgekd.profiling.verification import place_for

    manifest = read_manifest(plan.output)
    verified = manifest.setdefault("verified", None)
    place = place_for(plan.output, manifest, plan.gpu)
    if place.on is None:
        return _result(plan, False, manifest, _Comparison(verified, not_compared=place.why_not))
    if verified is not None and verified["on"] == place.on:
        return _result(plan, False, manifest, _Comparison(verified))
    comparison = _compared(plan, plan.output, manifest, place.on, progress)
    manifest["verified"] = comparison.verified
    write_manifest(plan.output, manifest)
    return _result(plan, False, manifest, comparison)


def _compared(plan: BuildPlan, engine: Path, manifest: Manifest, on: str, progress: Progress) -> _Comparison:
    """Compares an engine with its graph on this machine."""
    from edgekd.profiling.verification import images_for, verify_engine

    images = images_for(plan.onnx_path, plan.manifest)
    step = f"comparing {plan.output.name} with its graph"
    progress(step, 0, 1)
    verified = verify_engine(engine, manifest, plan.onnx_path, images, on, plan.gpu)
    progress(step, 1, 1)
    return _Comparison(verified, compared=True, why_generated=images.why_generated)


def _result(plan: BuildPlan, built: bool, manifest: Manifest, comparison: _Comparison) -> BuildResult:
    from edgekd.engines.tensorrt.layers import Layer, convolution_inputs

    return BuildResult(
        plan.output,
        plan.output.stat().st_size,
        built,
        manifest["system"],
        manifest["precision"],
        manifest["engine"],
        convolution_inputs(Layer(**layer) for layer in manifest.get("layers") or ()),
        comparison.verified,
        comparison.compared,
        comparison.not_compared,
        comparison.why_generated,
        manifest,
    )
