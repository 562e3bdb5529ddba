"""--triton DIR and its options, of export."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgekd.artifact import Manifest, read_manifest
from edgekd.cli.arguments import positive
from edgekd.cli.output import answer, require_writable
from edgekd.engines.triton_config import CONFIG_FILE, TritonModel
from edgekd.engines.triton_repository import (
    BACKENDS,
    DEVICES,
    LARGEST_BATCH,
    engine_limits,
    plan_model,
    refuse_other_model,
    write_model,
)
from edgekd.errors import EdgekdError

OPTIONS = ("triton_backend", "triton_device", "triton_max_batch")
OF_AN_EXPORT = {"batch": "1", "size": None, "output": None, "precision": "fp32", "calibration": None}  # And defaults.


def add_triton_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("triton")
    group.add_argument(
        "--triton", type=Path, metavar="DIR", help="also write the artifact into this model repository of Triton"
    )
    group.add_argument(
        "--triton-backend", metavar="NAME", help=f"{', '.join(BACKENDS)} (default: onnxruntime; tensorrt for an engine)"
    )
    group.add_argument(
        "--triton-device", metavar="NAME", help=f"{' or '.join(DEVICES)} (default: cpu; gpu for tensorrt)"
    )
    group.add_argument(
        "--triton-max-batch",
        type=positive,
        metavar="N",
        help=f"frames that Triton may put together, where the batch is free (default: {LARGEST_BATCH})",
    )


def plan_triton(arguments: argparse.Namespace, artifact: Path, batch: int | None) -> TritonModel | None:
    """What --triton asks for, checked before the work.

    Args:
        arguments: Of the command.
        artifact: The file that will be served.
        batch: Frames a batch; None where it is free.

    Returns:
        None without --triton.

    Raises:
        EdgekdError: The options do not fit together or the artifact, or the repository cannot be written.
    """
    given = [name for name in OPTIONS if getattr(arguments, name) is not None]
    if arguments.triton is None:
        if given:
            raise EdgekdError(f"--{given[0].replace('_', '-')} is for --triton DIR, which is not given")
        return None
    model = plan_model(
        arguments.triton,
        artifact,
        batch,
        arguments.triton_backend,
        arguments.triton_device,
        arguments.triton_max_batch,
    )
    require_writable(model.folder / CONFIG_FILE)
    return model


def serve_artifact(arguments: argparse.Namespace, artifact: Path) -> None:
    """Writes an artifact that is there already into a model repository.

    Args:
        arguments: Of the command.
        artifact: An .onnx file, or an .engine of TensorRT.

    Raises:
        EdgekdError: It is no artifact, --triton is missing, or an option is for exporting something new.
    """
    if artifact.suffix not in (".onnx", ".engine"):
        raise EdgekdError(f"{artifact} is a file: name a system, the folder of a run, or an .onnx or .engine file")
    if arguments.triton is None:
        raise EdgekdError(f"{artifact} is exported already: give --triton DIR to write it into a model repository")
    for name, default in OF_AN_EXPORT.items():
        if getattr(arguments, name) != default:
            raise EdgekdError(f"--{name} is for exporting a run or a system, and {artifact} is exported already")
    manifest = read_manifest(artifact)
    batch = manifest["inputs"]["frames"]["shape"][0]
    batch = batch if isinstance(batch, int) else None
    largest = engine_limits(artifact, manifest) if artifact.suffix == ".engine" else None
    if batch is None and largest is not None:
        asked = arguments.triton_max_batch or largest
        if asked > largest:
            raise EdgekdError(
                f"--triton-max-batch {asked} is more than {artifact} takes: it was built for batches of 1 to {largest}"
            )
        arguments.triton_max_batch = asked
    model = plan_triton(arguments, artifact, batch)
    assert model is not None
    refuse_other_model(model, manifest)
    write_and_report(model, artifact, manifest)


def write_and_report(model: TritonModel, artifact: Path, manifest: Manifest) -> None:
    """Writes a model that was planned, and says how to serve it."""
    write_model(model, artifact, manifest)
    answer.print(
        f"wrote {model.folder} for Triton's {model.backend} back end on the {model.device.upper()}; "
        f"next, tritonserver --model-repository={model.folder.resolve().parent}",
        soft_wrap=True,
    )
