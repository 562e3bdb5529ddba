"""Exports a detector to an .onnx file with its manifest, compared with torch before the file gets its name."""

from __future__ import annotations

import ast
import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import onnxsim
import torch

from edgekd import __version__
from edgekd.artifact import Manifest, manifest_path, read_json, write_beside, write_manifest
from edgekd.engines import Frames
from edgekd.engines.graph_check import check_graph
from edgekd.errors import EdgekdError
from edgekd.graph.frames import FrameNetwork
from edgekd.graph.macs import count_macs
from edgekd.graph.parity import measure_agreement, measure_parity
from edgekd.graph.resizes import resizes_as_products
from edgekd.graph.rewrites import rewrite
from edgekd.models.detector import Detector
from edgekd.preprocessing import Size, parse_size
from edgekd.progress import Progress, silent
from edgekd.recipe import read_export_recipe
from edgekd.resize_rules import CURRENT_RESIZE_RULE
from edgekd.view import read_view

NAME_SCOPES = "pkg.torch.onnx.name_scopes"  # Metadata of a node: its modules from the outermost, then itself.
NETWORK = "network."  # What the names of all modules begin with.

# Makes a graph of lower precision of a float32 one; also returns its entries of the manifest.
Lower = Callable[[onnx.ModelProto], tuple[onnx.ModelProto, dict[str, Any]]]
# Returns further entries of the manifest, measured on the artifact.
Measure = Callable[[Path], dict[str, Any]]


def export_detector(
    detector: Detector,
    system: str,
    size: int | Size,
    batch: int | None,
    frames: Frames,
    output: Path,
    origin: dict[str, Any],
    lower: Lower | None = None,
    measure: Measure | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Exports a detector's deployed form, whole or not at all.

    Args:
        detector: Trained or not.
        system: Its name.
        size: Height and width of a frame, in pixels, or the side of a square.
        batch: Frames a batch; None leaves it free.
        frames: Real images, uint8 [N, height, width, 3] BGR, to compare graph and network on; N as the batch, if that
            is fixed.
        output: The .onnx file; its manifest stands beside it.
        origin: What it was made from, for the manifest: trained, made_from, threshold; `resize`, the rule that the run
            resized its images by, where that is not the current one; and `view`, what it looks at, where that is not
            the whole image.
        lower: Makes the graph that ships of the float32 one; None ships the float32 one.
        measure: Called with the artifact as it will ship, for entries of the manifest such as its threshold.
        progress: Called while it works.

    Returns:
        The manifest, as it was written.

    Raises:
        EdgekdError: The graph differs from the network, or holds an operator outside the system's inventory.
    """
    recipe = read_export_recipe(system)
    height, width = parse_size(size)
    tiles = read_view(origin.get("view"), str(output)).count
    progress("exporting the graph", 0, 1)
    model = build_graph(detector, size, batch, recipe.opset)
    progress("exporting the graph", 1, 1)
    _keep_to_inventory(model, system, recipe.operators | recipe.variant_operators, fixed_batch=batch is not None)
    manifest: Manifest = {
        "system": system,
        "precision": "fp32",
        "inputs": {"frames": {"dtype": "uint8", "shape": [batch or "batch", height, width, 3], "layout": "NHWC, BGR"}},
        "outputs": {
            "score": {"dtype": "float32", "shape": [batch or "batch"]},
            "anomaly_map": {"dtype": "float32", "shape": [batch or "batch", height, width]},
        },
        "resize": {"rule": CURRENT_RESIZE_RULE},
        **origin,
        "macs": count_macs(model) * tiles,
        "operators": _operators(model),
        "tools": {"edgekd": __version__, "torch": torch.__version__, "onnx": onnx.__version__},
    }
    with write_beside(output) as part:
        onnx.save(model, part)
        manifest["parity"] = measure_parity(part, manifest, detector, frames, progress)
        if lower is not None:
            model, about = lower(model)
            manifest |= about | {"operators": _operators(model)}
            onnx.save(model, part)
            manifest["agreement"] = measure_agreement(part, manifest, detector, frames, progress)
        check_graph(part.read_bytes(), part, manifest)  # Whatever opens it later will.
        if measure is not None:
            with _manifest_beside(part, manifest):
                manifest |= measure(part)
    write_manifest(output, manifest)
    return dict(read_json(manifest_path(output)))


@contextlib.contextmanager
def _manifest_beside(part: Path, manifest: Manifest) -> Iterator[None]:
    """Gives a file that has no name yet its manifest, as long as the block lasts."""
    write_manifest(part, manifest)
    try:
        yield
    finally:
        manifest_path(part).unlink()


def build_graph(detector: Detector, size: int | Size, batch: int | None, opset: int) -> onnx.ModelProto:
    """The simplified graph of a detector's deployed form.

    Args:
        detector: Trained or not.
        size: Height and width of a frame, in pixels, or the side of a square.
        batch: Frames a batch; None leaves it free.
        opset: Of the graph.
    """
    network = rewrite(FrameNetwork(detector.deployed())).eval()
    example = torch.zeros(batch or 2, *parse_size(size), 3, dtype=torch.uint8)
    dynamic = None if batch else ({0: torch.export.Dim("batch")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # It misses torchvision, which nothing here needs.
        program = torch.onnx.export(
            network,
            (example,),
            input_names=["frames"],
            output_names=["score", "anomaly_map"],
            opset_version=opset,
            dynamic_shapes=dynamic,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    named: onnx.ModelProto = program.model_proto
    name_after_modules(named)
    resizes_as_products(named)
    model: onnx.ModelProto
    model, same = onnxsim.simplify(named)
    if not same:
        raise EdgekdError("simplifying the graph changed it: please report this")
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]  # Torch's stack traces, with paths of the machine that exported.
        node.doc_string = ""
    return model


def name_after_modules(model: onnx.ModelProto) -> None:
    """Names each node after the module that it came from: student.cbams.128/mul_1.

    Args:
        model: As torch exports it; the names of modules are in its metadata.
    """
    for node in model.graph.node:
        scopes = next((entry.value for entry in node.metadata_props if entry.key == NAME_SCOPES), "[]")
        modules = [scope for scope in ast.literal_eval(scopes)[:-1] if scope.startswith(NETWORK)]
        if modules:
            node.name = f"{modules[-1].removeprefix(NETWORK)}/{node.name.removeprefix('node_')}"


def _operators(model: onnx.ModelProto) -> list[str]:
    return sorted({node.op_type for node in model.graph.node})


def _keep_to_inventory(model: onnx.ModelProto, system: str, operators: frozenset[str], fixed_batch: bool) -> None:
    custom = sorted({node.domain for node in model.graph.node} - {"", "ai.onnx"})
    if custom:
        raise EdgekdError(f"the graph of {system} needs operators of {custom[0]}: please report this")
    outside = {node.op_type for node in model.graph.node} - operators
    if fixed_batch and outside:
        raise EdgekdError(f"the graph of {system} holds {', '.join(sorted(outside))}, not in export/{system}.toml")
