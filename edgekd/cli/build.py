"""Builds an engine of a graph for TensorRT, TensorRT for RTX or OpenVINO."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from edgekd.artifact import Manifest, manifest_path
from edgekd.cli.arguments import add_json_argument, positive
from edgekd.cli.output import answer, notes, write_json_to
from edgekd.engines.build_plan import BUILDERS, LARGEST_BATCH, OPENVINO, BuildPlan, plan_build
from edgekd.engines.compiling import build
from edgekd.engines.tensorrt.checks import capabilities_text
from edgekd.engines.tensorrt.flavours import RTX, RTX_CAPABILITIES, TITLES
from edgekd.engines.tensorrt.layers import Layer, convolution_inputs
from edgekd.errors import EdgekdError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("graph", type=Path, metavar="FILE.onnx", help="that edgekd export wrote")
    parser.add_argument("--backend", help=f"{', '.join(BUILDERS)} (default: the TensorRT that is installed)")
    parser.add_argument(
        "--compute-capability",
        action="append",
        default=[],
        metavar="C",
        help=f"of the GPU, for {RTX}: {', '.join(RTX_CAPABILITIES)}; again for more (default: Ampere and later)",
    )
    parser.add_argument(
        "--batch",
        type=positive,
        metavar="N",
        help=f"the largest, of a graph exported with --batch dynamic (default: {LARGEST_BATCH})",
    )
    parser.add_argument(
        "--workspace", type=positive, metavar="MIB", help="device memory that a kernel may take (default: no limit)"
    )
    parser.add_argument(
        "--timing-cache", type=Path, metavar="FILE", help="what TensorRT has measured, kept for the next build"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="default: beside the graph, such as FILE_sm86.engine"
    )
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    plan = plan_build(
        arguments.graph,
        arguments.output,
        arguments.backend,
        arguments.compute_capability,
        arguments.batch,
        arguments.workspace,
        arguments.timing_cache,
    )
    if arguments.json is not None and arguments.json.resolve() in _manifests(plan):
        raise EdgekdError(f"--json {arguments.json} is where a manifest stands: give another name")
    with _progress(plan.output.name) as on_progress:
        manifest = build(plan, on_progress)
    convolutions = convolution_inputs(Layer(**layer) for layer in manifest["layers"])
    size = plan.output.stat().st_size
    figures = {
        "file": str(plan.output),
        "bytes": size,
        "system": manifest["system"],
        "precision": manifest["precision"],
        "engine": manifest["engine"],
        "convolutions_reading": convolutions,
    }
    write_json_to(arguments.json, figures)
    if arguments.json != Path("-"):
        _report(plan, manifest, size, convolutions)
    return 0


def _manifests(plan: BuildPlan) -> list[Path]:
    return [manifest_path(path).resolve() for path in (plan.onnx_path, plan.output)]


@contextmanager
def _progress(name: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar of the phase that a builder is in; nothing where there is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, disable=not notes.is_terminal, transient=True) as progress:
        task = progress.add_task(name, total=None)
        yield lambda phase, done, of: progress.update(task, description=f"{name}: {phase}", completed=done, total=of)


def _report(plan: BuildPlan, manifest: Manifest, size: int, convolutions: dict[str, int]) -> None:
    record = manifest["engine"]
    builder = f"{TITLES.get(plan.backend, 'OpenVINO')} {record['version']}"
    processor = plan.backend == OPENVINO
    target = record["device"]["name"] if processor else f"GPUs of {capabilities_text(record['compute_capabilities'])}"
    answer.print(
        f"wrote {plan.output}: {size / 1e6:.1f} MB in {record['build_seconds']:.1f} s by {builder}, for {target}",
        soft_wrap=True,
    )
    if plan.largest_batch is None:
        answer.print("it takes batches of any size")
    elif isinstance(manifest["inputs"]["frames"]["shape"][0], str):
        answer.print(f"it takes batches of 1 to {plan.largest_batch}; its kernels are chosen for {plan.largest_batch}")
    if convolutions:
        kinds = ", ".join(f"{count} read {kind}" for kind, count in convolutions.items())
        answer.print(f"{sum(convolutions.values())} convolutions: {kinds}")
    where = "on a machine with such a GPU, whose kernels are chosen there: " if plan.backend == RTX else ""
    answer.print(f"next, {where}edgekd bench --engine {plan.output}", soft_wrap=True)
