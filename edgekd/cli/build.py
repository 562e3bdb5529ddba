"""Builds an engine of a graph for TensorRT, TensorRT for RTX or OpenVINO, and compares it with the graph."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from edgekd.artifact import Manifest, manifest_path, read_manifest, write_manifest
from edgekd.backends import BUILDERS, OPENVINO
from edgekd.cli.arguments import add_json_argument, positive
from edgekd.cli.export import DETECTOR_FILE, named
from edgekd.cli.output import answer, notes, write_json_to
from edgekd.engines.build_plan import (
    LARGEST_BATCH,
    OPT_BATCH,
    BuildChoices,
    BuildPlan,
    plan_build,
)
from edgekd.engines.compiling import build
from edgekd.engines.rebuilding import reason_to_build
from edgekd.engines.tensorrt.building import COMPATIBILITY_LEVELS
from edgekd.engines.tensorrt.checks import capabilities_text
from edgekd.engines.tensorrt.flavours import RTX, RTX_CAPABILITIES, STANDARD, TITLES
from edgekd.engines.tensorrt.layers import Layer, convolution_inputs
from edgekd.errors import DriftError, EdgekdError
from edgekd.profiling.verification import HELD_OUT, images_for, place_for, verify_engine
from edgekd.recipe import read_recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "graph",
        type=Path,
        metavar="FILE.onnx|RUN",
        help="graph that edgekd export wrote, or a run with an INT8 one; for TensorRT, INT8 gets float16 around it",
    )
    parser.add_argument("--backend", help=f"{', '.join(BUILDERS)} (default: the TensorRT that is installed)")
    parser.add_argument(
        "--compute-capability",
        action="append",
        default=[],
        metavar="C",
        help=f"of the GPU, for {RTX}: {', '.join(RTX_CAPABILITIES)}; again for more (default: Ampere and later)",
    )
    parser.add_argument(
        "--max-batch",
        type=positive,
        metavar="N",
        help=f"largest batch, of a graph exported with --batch dynamic (default: {LARGEST_BATCH})",
    )
    parser.add_argument(
        "--opt-batch",
        type=positive,
        metavar="M",
        help=f"batch that kernels are chosen for, of such a graph (default: {OPT_BATCH}, as edgekd inspect uses)",
    )
    parser.add_argument(
        "--workspace", type=positive, metavar="MIB", help="device memory that a kernel may take (default: no limit)"
    )
    parser.add_argument(
        "--timing-cache", type=Path, metavar="FILE", help="what TensorRT has measured, kept for the next build"
    )
    parser.add_argument(
        "--hardware-compatibility",
        choices=tuple(COMPATIBILITY_LEVELS),
        help=f"other GPUs that a {STANDARD} engine shall run on, at some cost in speed "
        "(default: the GPU model that it is built on)",
    )
    parser.add_argument("--device", metavar="cuda:N", help="GPU that builds and runs the engine (default: cuda:0)")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="default: beside the graph, such as FILE_sm86.engine"
    )
    parser.add_argument(
        "--if-needed",
        action="store_true",
        help="build only where the engine is missing, damaged, of another graph or options, or not for this machine",
    )
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    choices = BuildChoices(
        arguments.output,
        arguments.backend,
        arguments.compute_capability,
        arguments.max_batch,
        arguments.opt_batch,
        arguments.workspace,
        arguments.timing_cache,
        arguments.hardware_compatibility,
        arguments.device,
    )
    plan = plan_build(_graph_for(arguments.graph, arguments.backend), choices)
    if arguments.json is not None and arguments.json.resolve() in _manifests(plan):
        raise EdgekdError(f"--json {arguments.json} is where a manifest stands: give another name")
    reason = reason_to_build(plan) if arguments.if_needed else None
    is_kept = arguments.if_needed and reason is None
    if reason is not None:
        notes.print(f"building: {reason}", soft_wrap=True)
    manifest, lines = _kept(plan) if is_kept else _built(plan)
    figures = {
        "file": str(plan.output),
        "bytes": plan.output.stat().st_size,
        "built": not is_kept,
        "system": manifest["system"],
        "precision": manifest["precision"],
        "engine": manifest["engine"],
        "convolutions_reading": _convolutions(manifest),
        "verified": manifest["verified"],
    }
    write_json_to(arguments.json, figures)
    if arguments.json != Path("-"):
        for line in lines:
            answer.print(line, soft_wrap=True)
    return 0


def _graph_for(source: Path, backend: str | None) -> Path:
    """The graph to build: of a run its INT8 one; for TensorRT with float16 around INT8 instead of float32."""
    if not source.exists():
        raise EdgekdError(f"no such graph or run: {source}")
    graph = source
    if source.is_dir():
        read_recipe(source)  # Refuses a folder that is no run.
        graph = source / named(DETECTOR_FILE, "int8")
        mixed = source / named(DETECTOR_FILE, "int8_fp16")
        if not graph.is_file() and mixed.is_file() and backend != OPENVINO:
            return mixed
        if not graph.is_file():
            raise EdgekdError(
                f"{source} holds no INT8 graph to build: edgekd export {shlex.quote(str(source))} --precision int8, "
                "or name an .onnx file of another precision"
            )
    if backend == OPENVINO or graph.suffix != ".onnx" or not graph.is_file():
        return graph
    manifest = read_manifest(graph)
    if manifest.get("precision") != "int8":
        return graph
    try:
        from edgekd.quantization.for_tensorrt import current_float16, float16_path, write_float16
    except ModuleNotFoundError:
        notes.print(
            f"warning: onnx is not installed, so the engine computes in float32 around the INT8 of {graph}, slower "
            "than with float16: pip install onnx, or build where onnx is",
            soft_wrap=True,
        )
        return graph
    mixed_graph = current_float16(graph, manifest)
    if mixed_graph is not None:
        notes.print(f"taking {mixed_graph}, which has float16 around INT8", soft_wrap=True)
        return mixed_graph
    with notes.status(f"bringing what {graph.name} leaves in float32 to float16"):
        frames = images_for(graph, manifest).frames
        written = write_float16(graph, manifest, frames)
    notes.print(f"wrote {float16_path(graph)}, with float16 around INT8: TensorRT is built from it", soft_wrap=True)
    return written


def _built(plan: BuildPlan) -> tuple[Manifest, list[str]]:
    """Builds the engine and compares it with its graph; its manifest, and what to print."""
    compared: list[str] = []

    def verify(engine: Path, manifest: Manifest) -> dict[str, Any] | None:
        place = place_for(plan.output, manifest, plan.gpu)
        if place.on is None:
            compared.append(
                f"not compared with its graph, since it cannot run here: {place.why_not}; on the machine that runs it "
                f"{plan.command} --if-needed compares them"
            )
            return None
        verified, line = _compared(plan, engine, manifest, place.on)
        compared.append(line)
        return verified

    with _progress(plan.output.name) as on_progress:
        try:
            manifest = build(plan, on_progress, verify)
        except DriftError as error:
            raise DriftError(f"{plan.output} was not written: {error}") from error
    where = "on a machine with such a GPU, whose kernels are chosen there: " if plan.backend == RTX else ""
    bench = f"next, {where}edgekd bench --engine {shlex.quote(str(plan.output))}"
    return manifest, [*_described(plan, manifest), *compared, bench]


def _kept(plan: BuildPlan) -> tuple[Manifest, list[str]]:
    """Compares an engine that is there with its graph, unless that was done on this device; see `_built`."""
    manifest = read_manifest(plan.output)
    verified = manifest.setdefault("verified", None)
    place = place_for(plan.output, manifest, plan.gpu)
    if place.on is None:
        return manifest, [f"{plan.output} is up to date: nothing to do; it cannot run here: {place.why_not}"]
    if verified is not None and verified["on"] == place.on:
        return manifest, [f"{plan.output} fits this machine: nothing to do"]
    manifest["verified"], line = _compared(plan, plan.output, manifest, place.on)
    write_manifest(plan.output, manifest)
    return manifest, [line, f"{plan.output} fits this machine: nothing to build"]


def _compared(plan: BuildPlan, engine: Path, manifest: Manifest, on: str) -> tuple[dict[str, Any], str]:
    """Compares an engine with its graph on this machine; the manifest's `verified`, and the same in one line."""
    images = images_for(plan.onnx_path, plan.manifest)
    verified = verify_engine(engine, manifest, plan.onnx_path, images, on, plan.gpu)
    verdicts = "verdict differs" if verified["flips"] == 1 else "verdicts differ"
    flips = "" if verified["flips"] is None else f", {verified['flips']} {verdicts}"
    why = "" if images.origin == HELD_OUT else f" ({images.why_made})"
    line = (
        f"compared with its graph in {verified['reference']}, on {verified['images']} {verified['from']}{why}: noise "
        f"{verified['noise']:.1e} of the map's standard deviation, at most {verified['largest']:.1e} of its range, "
        f"score {verified['score']:.1e}{flips}"
    )
    return verified, line


def _manifests(plan: BuildPlan) -> list[Path]:
    return [manifest_path(path).resolve() for path in (plan.onnx_path, plan.output)]


def _convolutions(manifest: Manifest) -> dict[str, int]:
    return convolution_inputs(Layer(**layer) for layer in manifest["layers"])


@contextmanager
def _progress(name: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar of the phase that a builder is in; nothing where there is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, disable=not notes.is_terminal, transient=True) as progress:
        task = progress.add_task(name, total=None)
        yield lambda phase, done, of: progress.update(task, description=f"{name}: {phase}", completed=done, total=of)


def _described(plan: BuildPlan, manifest: Manifest) -> Iterator[str]:
    """What was built, in lines."""
    record, size = manifest["engine"], plan.output.stat().st_size
    builder = f"{TITLES.get(plan.backend, 'OpenVINO')} {record['version']}"
    yield (
        f"wrote {plan.output}: {size / 1e6:.1f} MB in {record['build_seconds']:.1f} s by {builder}, for "
        f"{_target(plan, record)}"
    )
    if plan.largest_batch is None:
        yield "it takes batches of any size"
    elif isinstance(manifest["inputs"]["frames"]["shape"][0], str):
        yield f"it takes batches of 1 to {plan.largest_batch}; its kernels are chosen for {plan.opt_batch}"
    if convolutions := _convolutions(manifest):
        kinds = ", ".join(f"{count} read {kind}" for kind, count in convolutions.items())
        yield f"{sum(convolutions.values())} convolutions: {kinds}"


def _target(plan: BuildPlan, record: dict[str, Any]) -> str:
    """What an engine is for, in words."""
    if plan.backend == OPENVINO:
        return str(record["device"]["name"])
    served = capabilities_text(record["compute_capabilities"])
    if plan.backend == RTX:
        return f"GPUs of {served}"
    return {
        "same-compute-capability": f"GPUs of {served}",
        "ampere-plus": "GPUs of compute capability 8.0 or later",
    }.get(plan.hardware_compatibility, f"{record['device']['name']}, {served}")
