"""A model repository for Triton Inference Server: an artifact, its manifest, and a config.pbtxt that describes it.

    DIR/NAME/config.pbtxt    names, types and shapes of the graph; batching, device, threshold
    DIR/NAME/1/model.onnx    the artifact, or model.plan for an engine of TensorRT
    DIR/NAME/1/model.json    its manifest

The manifest stands where every artifact's does, beside the file and named after it. Triton reads no other file of a
version's folder than the one that config.pbtxt names, and edgekd opens `DIR/NAME/1/model.onnx` as any artifact. So what
is served can be checked against its hash and run without a server.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path

from edgekd.artifact import Manifest, manifest_path, read_json, write_beside, write_manifest
from edgekd.backends import ONNXRUNTIME, OPENVINO, TENSORRT
from edgekd.engines.triton_config import (
    CONFIG_FILE,
    ONNX_FILE,
    PLAN_FILE,
    TritonModel,
    model_config,
)
from edgekd.errors import ArtifactError, EdgekdError, unknown_name

BACKENDS = (ONNXRUNTIME, OPENVINO, TENSORRT)
DEVICES = ("cpu", "gpu")
LARGEST_BATCH = 8  # Of a graph whose batch is free, where none is asked for.


def plan_model(
    repository: Path,
    artifact: Path,
    batch: int | None,
    backend: str | None = None,
    device: str | None = None,
    max_batch: int | None = None,
) -> TritonModel:
    """Checks what is asked for, before any work, and fills in what is not.

    Args:
        repository: The folder that `tritonserver --model-repository` is given.
        artifact: The .onnx or .engine file; it need not be there yet.
        batch: Frames a batch; None where it is free.
        backend: None for onnxruntime, or for tensorrt where the artifact is an engine.
        device: "cpu" or "gpu"; None for cpu, or for gpu where the back end is tensorrt.
        max_batch: Of a graph whose batch is free; None for 8.

    Raises:
        EdgekdError: It does not fit together, or the folder is a file.
    """
    is_engine = artifact.suffix == ".engine"
    backend = backend or (TENSORRT if is_engine else ONNXRUNTIME)
    if backend not in BACKENDS:
        raise unknown_name("Triton back end", backend, BACKENDS)
    if is_engine and backend != TENSORRT:
        raise EdgekdError(f"Triton's {backend} back end loads .onnx files, not {artifact}: leave --triton-backend out")
    if backend == TENSORRT and not is_engine:
        raise EdgekdError(
            f"Triton's {TENSORRT} back end loads engines, which are built on their GPU: run "
            f"edgekd build {artifact} --backend tensorrt there, then edgekd export FILE.engine --triton {repository}"
        )
    device = device or ("gpu" if backend == TENSORRT else "cpu")
    if device not in DEVICES:
        raise unknown_name("Triton device", device, DEVICES)
    if (device, backend) in (("cpu", TENSORRT), ("gpu", OPENVINO)):
        other = "gpu" if device == "cpu" else "cpu"
        raise EdgekdError(
            f"Triton's {backend} back end runs on the {other.upper()}: leave --triton-device {device} out"
        )
    if repository.exists() and not repository.is_dir():
        raise EdgekdError(f"--triton {repository} is a file: give the folder of a model repository")
    return TritonModel(
        repository / model_name(artifact), backend, device, _triton_batch(artifact, batch, backend, max_batch)
    )


def model_name(artifact: Path) -> str:
    """The name of an artifact's model: the file's without its suffix, the run's where the file is `detector`.

    runs/part/detector_int8.onnx is part_int8, hkt.onnx is hkt. Clients put the name into an address, so anything but
    letters, digits, dots, hyphens and underscores becomes an underscore.
    """
    name = artifact.stem
    if re.fullmatch(r"detector(_.*)?", name):
        name = (artifact.resolve().parent.name or "detector") + name[len("detector") :]
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)


def _triton_batch(artifact: Path, batch: int | None, backend: str, asked: int | None) -> int:
    """What Triton may batch to. It batches graphs with a free batch alone: a fixed one is part of the shape."""
    if batch is not None:
        if asked is not None:
            raise EdgekdError(
                f"--triton-max-batch is for a free batch, and {artifact} takes batches of {batch}: "
                "leave it out, or export with --batch dynamic"
            )
        return 0
    if backend == OPENVINO:  # It compiles the graph for max_batch_size and refuses or pads every smaller request.
        if asked is not None:
            raise EdgekdError(
                f"Triton's {OPENVINO} back end would pad every request to --triton-max-batch: leave it out, "
                "and requests of any batch are run as they come"
            )
        return 0
    return asked or LARGEST_BATCH


def engine_limits(path: Path, manifest: Manifest) -> int | None:
    """The largest batch of an engine that Triton's tensorrt back end can load.

    Args:
        path: The engine, to be named.
        manifest: Its manifest.

    Returns:
        Frames; None where the manifest does not record it.

    Raises:
        ArtifactError: It is an engine of something else.
    """
    record = manifest.get("engine") or {}
    flavour = record.get("flavour")
    if flavour != TENSORRT:
        raise ArtifactError(
            f"{path} is an engine of {flavour}, and Triton loads those of TensorRT alone: "
            "build one with --backend tensorrt, or give the .onnx file"
        )
    largest: int | None = record.get("largest_batch")
    return largest


def refuse_other_model(model: TritonModel, manifest: Manifest) -> None:
    """Refuses a name that is taken: by something else, or by a model of another training.

    Args:
        model: To be written.
        manifest: What is known of the artifact: system, precision and made_from at least.

    Raises:
        EdgekdError: The folder is there, and not with this model.
    """
    folder = model.folder
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    there = None
    with contextlib.suppress(ArtifactError):
        there = read_json(manifest_path(model.file))
    if not isinstance(there, dict) or "made_from" not in there:
        raise EdgekdError(f"{folder} exists and was not written by edgekd: give --triton another folder")
    keys = ("system", "precision", "made_from")
    if any(there.get(key) != manifest.get(key) for key in keys):
        raise EdgekdError(
            f"{folder} holds another model ({there.get('system')}, {there.get('precision')}, made of other weights or "
            "settings): delete it to replace it, or give --triton another folder"
        )


def write_model(model: TritonModel, artifact: Path, manifest: Manifest) -> None:
    """Copies an artifact and its manifest into the repository, and describes them to Triton.

    Args:
        model: Planned, and not refused.
        artifact: The .onnx or .engine file.
        manifest: Its manifest.

    Raises:
        EdgekdError: A file cannot be written, or the manifest names a type that Triton does not have.
        MachineError: The disk is full.
    """
    config = model_config(model, manifest)
    is_new = not model.folder.exists()
    try:
        with write_beside(model.file) as part:
            shutil.copyfile(artifact, part)
        write_manifest(model.file, manifest)
        with write_beside(model.folder / CONFIG_FILE) as part:
            part.write_text(config, encoding="utf-8")
        for name in {ONNX_FILE, PLAN_FILE} - {model.file.name}:  # Of another back end; its manifest was replaced.
            model.file.with_name(name).unlink(missing_ok=True)
    except BaseException:  # Half a model would stop a server that reads the folder.
        if is_new:
            shutil.rmtree(model.folder, ignore_errors=True)
        raise
