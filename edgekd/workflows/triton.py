"""Writes an artifact into a model repository of Triton Inference Server: part of `export`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.artifact import Manifest, checked_content, require_writable
from edgekd.errors import EdgekdError

if TYPE_CHECKING:
    from edgekd.engines.triton_config import TritonModel


@dataclass(frozen=True)
class TritonOptions:
    """What --triton and its options ask for.

    Attributes:
        repository: Folder of the model repository; None for none.
        backend: Of Triton; None for onnxruntime, or for tensorrt where the artifact is an engine.
        device: "cpu" or "gpu"; None for cpu, or for gpu where the back end is tensorrt.
        max_batch: Frames that Triton may batch, where the artifact's batch is free; None for 8.
    """

    repository: str | Path | None
    backend: str | None
    device: str | None
    max_batch: int | None


def plan_triton(options: TritonOptions, artifact: Path, batch: int | None) -> TritonModel | None:
    """What will be written, checked before the work.

    Args:
        options: As the user gave them.
        artifact: The file that will be served.
        batch: Frames a batch; None where it is free.

    Returns:
        None without a repository.

    Raises:
        EdgekdError: The options do not fit together or the artifact, or the repository cannot be written.
    """
    from edgekd.engines.triton_config import CONFIG_FILE
    from edgekd.engines.triton_repository import plan_model

    if options.repository is None:
        for name in ("backend", "device", "max_batch"):
            if getattr(options, name) is not None:
                raise EdgekdError(f"--triton-{name.replace('_', '-')} needs --triton DIR, which is not given")
        return None
    repository = Path(options.repository)
    model = plan_model(repository, artifact, batch, options.backend, options.device, options.max_batch)
    require_writable(model.folder / CONFIG_FILE)
    return model


def plan_triton_of(options: TritonOptions, artifact: Path, manifest: Manifest) -> TritonModel:
    """What will be written of an artifact that is there already.

    Args:
        options: With a repository.
        artifact: An .onnx file, or an .engine file of TensorRT.
        manifest: Its manifest.

    Raises:
        EdgekdError: The options do not fit together or the artifact, or the repository cannot be written.
    """
    from edgekd.engines.graph_check import check_graph
    from edgekd.engines.triton_repository import engine_limits, refuse_other_model

    if artifact.suffix == ".onnx":
        check_graph(checked_content(artifact, manifest), artifact, manifest)
    batch = manifest["inputs"]["frames"]["shape"][0]
    batch = batch if isinstance(batch, int) else None
    largest = engine_limits(artifact, manifest) if artifact.suffix == ".engine" else None
    if batch is None and largest is not None:
        asked = options.max_batch or largest
        if asked > largest:
            raise EdgekdError(
                f"--triton-max-batch {asked} is more than {artifact} takes: it was built for batches of 1 to {largest}"
            )
        options = TritonOptions(options.repository, options.backend, options.device, asked)
    model = plan_triton(options, artifact, batch)
    assert model is not None, "a repository is given"
    refuse_other_model(model, manifest)
    return model
