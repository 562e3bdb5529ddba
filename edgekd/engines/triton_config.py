"""The text of a Triton model's config.pbtxt, from an artifact's manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgekd.artifact import Manifest
from edgekd.backends import ONNXRUNTIME, OPENVINO, TENSORRT
from edgekd.errors import ArtifactError
from edgekd.view import read_view

CONFIG_FILE, ONNX_FILE, PLAN_FILE = "config.pbtxt", "model.onnx", "model.plan"
VERSION = 1
QUEUE_DELAY_US = 1000  # That a request may wait for others to be batched with.
DATA_TYPES = {"uint8": "TYPE_UINT8", "float16": "TYPE_FP16", "float32": "TYPE_FP32"}


class TritonModel(NamedTuple):
    """A model of a repository, to be written.

    Attributes:
        folder: DIR/NAME; the name is the model's.
        backend: Of Triton: "onnxruntime", "openvino" or "tensorrt".
        device: "cpu" or "gpu".
        max_batch: The largest batch that Triton may put together, in frames; 0 where it leaves batches as they come.
    """

    folder: Path
    backend: str
    device: str
    max_batch: int

    @property
    def file(self) -> Path:
        """The artifact's copy."""
        return self.folder / str(VERSION) / (PLAN_FILE if self.backend == TENSORRT else ONNX_FILE)


def model_config(model: TritonModel, manifest: Manifest) -> str:
    """The text of a model's config.pbtxt.

    Args:
        model: Planned.
        manifest: The artifact's.

    Raises:
        ArtifactError: The manifest names a type that Triton does not have.
    """
    blocks = [
        f"name: {_quoted(model.folder.name)}",
        f"backend: {_quoted(model.backend)}",
        *(['platform: "tensorrt_plan"'] if model.backend == TENSORRT else []),
        f"default_model_filename: {_quoted(model.file.name)}",
        f"max_batch_size: {model.max_batch}",
        *(_tensor("input", name, about, model.max_batch) for name, about in manifest["inputs"].items()),
        *(_tensor("output", name, about, model.max_batch) for name, about in manifest["outputs"].items()),
        f"instance_group {{\n  kind: KIND_{model.device.upper()}\n  count: 1\n}}",
        *_batching(model, manifest),
        "# Only the version that the parameters below are of.",
        f"version_policy {{\n  specific {{\n    versions: {VERSION}\n  }}\n}}",
        *_warm_up(model, manifest),
        *_optimization(model),
        *(_parameter(key, value) for key, value in (_settings(model) | _facts(manifest)).items()),
    ]
    return "\n".join(blocks) + "\n"


def _tensor(kind: str, name: str, about: Mapping[str, Any], max_batch: int) -> str:
    """An input or output. Where Triton batches, its shapes leave the batch out, and none may be empty."""
    dims = _dims(about, max_batch)
    reshape = "" if dims else "\n  reshape {\n    shape: []\n  }"
    return (
        f"{kind} {{\n  name: {_quoted(name)}\n  data_type: {_data_type(name, about)}\n"
        f"  dims: {_numbers(dims or [1])}{reshape}\n}}"
    )


def _dims(about: Mapping[str, Any], max_batch: int) -> list[int]:
    shape: Sequence[int | str] = about["shape"]
    return [-1 if isinstance(side, str) else side for side in (shape[1:] if max_batch else shape)]


def _data_type(name: str, about: Mapping[str, Any]) -> str:
    dtype = about["dtype"]
    if dtype not in DATA_TYPES:
        raise ArtifactError(f"{name} is {dtype}, and Triton's types here are {', '.join(DATA_TYPES)}: export again")
    return DATA_TYPES[dtype]


def _batching(model: TritonModel, manifest: Manifest) -> list[str]:
    """Requests that wait are put together. Triton prefers the largest batch, an engine the one it was tuned for."""
    if model.max_batch <= 1:
        return []
    tuned = (manifest.get("engine") or {}).get("opt_batch")
    preferred = f"  preferred_batch_size: [{tuned}]\n" if tuned and 1 < tuned <= model.max_batch else ""
    return [f"dynamic_batching {{\n{preferred}  max_queue_delay_microseconds: {QUEUE_DELAY_US}\n}}"]


def _warm_up(model: TritonModel, manifest: Manifest) -> list[str]:
    """One black frame, or fixed batch of them, before the server calls the model ready."""
    inputs = ""
    for name, about in manifest["inputs"].items():
        dims = [1 if side == -1 else side for side in _dims(about, model.max_batch)]
        inputs += (
            f"  inputs {{\n    key: {_quoted(name)}\n    value {{\n      data_type: {_data_type(name, about)}\n"
            f"      dims: {_numbers(dims)}\n      zero_data: true\n    }}\n  }}\n"
        )
    return [f'model_warmup {{\n  name: "black"\n  batch_size: 1\n{inputs}}}']


def _optimization(model: TritonModel) -> list[str]:
    """Precision is the graph's business: by default ONNX Runtime rounds float32 to TF32 on a GPU."""
    if (model.backend, model.device) != (ONNXRUNTIME, "gpu"):
        return []
    return [
        "optimization {\n  execution_accelerators {\n    gpu_execution_accelerator {\n"
        '      name: "cuda"\n      parameters {\n        key: "use_tf32"\n        value: "0"\n      }\n    }\n  }\n}'
    ]


def _settings(model: TritonModel) -> dict[str, str]:
    """Settings of the back end."""
    if model.backend == ONNXRUNTIME:
        return {"intra_op_thread_count": "0"}  # All cores; there is one instance.
    if model.backend == OPENVINO:
        return {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
    return {}


def _facts(manifest: Manifest) -> dict[str, str]:
    """What a client needs for a verdict, and what made the scores. Back ends skip parameters that they do not know."""
    facts: dict[str, str] = {key: str(manifest[key]) for key in ("system", "precision", "sha256") if key in manifest}
    tiles = read_view(manifest.get("view"), "the manifest").tiles
    if tiles != (1, 1):
        facts["tiles"] = f"{tiles[0]}x{tiles[1]}"
    facts["trained"] = "true" if manifest.get("trained") else "false"
    threshold = manifest.get("threshold")
    if threshold is not None:
        facts["threshold"] = repr(float(threshold["value"]))
        facts["threshold_origin"] = str(threshold["origin"])
        facts["false_reject_rate"] = repr(float(threshold["false_reject_rate"]))
    return {f"edgekd_{key}": value for key, value in facts.items()}


def _parameter(key: str, value: str) -> str:
    return f"parameters {{\n  key: {_quoted(key)}\n  value {{\n    string_value: {_quoted(value)}\n  }}\n}}"


def _quoted(text: str) -> str:
    """A string of protobuf's text format; its escapes are JSON's."""
    return json.dumps(text)


def _numbers(numbers: Sequence[int]) -> str:
    return f"[{', '.join(map(str, numbers))}]"
