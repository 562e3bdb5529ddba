"""Graphs that OpenVINO has compiled for this CPU, kept for the next start.

Compiling takes several times as long as importing what was exported. A file's name is the hash of everything that what
OpenVINO makes of a graph depends on, so that a graph, option, version or processor that changed finds nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgekd.engines.cache import KeptFile, cache_folder
from edgekd.engines.cores import core_kinds
from edgekd.engines.openvino_graphs import read_for_cpu
from edgekd.engines.runtimes import import_openvino

FORMAT = 2  # Of the files; higher when an older file must not be read any more.
MOST_BYTES = 1_000_000_000  # Of all files; beyond, those go that were not used for longest.
LIBRARIES = ("OV_", "OPENVINO_", "ONEDNN_", "DNNL_")  # How the environment variables begin that they read.

_log = logging.getLogger("edgekd.openvino")


class Compiled(NamedTuple):
    """A graph that OpenVINO has compiled.

    Attributes:
        model: OpenVINO's compiled model.
        weights: The memory that it reads them from, where that is not its own: keep it for as long as the model and
            its inference requests. OpenVINO does not.
    """

    model: Any
    weights: object = None


def compile_for_cpu(core: Any, graph: bytes, digest: str, options: Mapping[str, Any]) -> Compiled:
    """A graph compiled for the CPU: imported where it was compiled here before, and otherwise kept for the next time.

    Args:
        core: OpenVINO's.
        graph: The content of the .onnx file.
        digest: Its SHA-256, in hexadecimal, that the content was checked against.
        options: How it is compiled.

    Returns:
        The compiled graph, with the same results either way.

    Raises:
        RuntimeError: OpenVINO does not take the graph.
    """
    file = KeptFile(compiled_path(core, digest, options), "compiled layers", _log)
    blob = file.read()
    if blob is not None:
        try:
            # Shared, not copied: a station holds its weights once, and not mapped, since a file may be written to.
            model = core.import_model(import_openvino().Tensor(np.asarray(blob), shared_memory=True), "CPU", options)
        except (RuntimeError, UnicodeDecodeError):
            file.drop("are refused by OpenVINO")
        else:
            with contextlib.suppress(OSError):
                os.utime(file.path)  # It was used now.
            return Compiled(model, blob)
    model = core.compile_model(read_for_cpu(core, graph), "CPU", options)
    try:
        exported = model.export_model().getvalue()
    except RuntimeError as error:
        _log.debug("OpenVINO cannot export the compiled layers: %s", error)
        return Compiled(model)
    if file.write(exported):
        _keep_within(file.path.parent, MOST_BYTES)
    return Compiled(model)


def compiled_path(core: Any, digest: str, options: Mapping[str, Any], proc: Path = Path("/proc")) -> Path:
    """Where a compiled graph is kept.

    Args:
        core: OpenVINO's.
        digest: The SHA-256 of the .onnx file's content, in hexadecimal.
        options: How it is compiled.
        proc: The folder of cpuinfo.
    """
    key = {
        "format": FORMAT,
        "graph": digest,
        "options": {name: str(value) for name, value in options.items()},
        "openvino": import_openvino().get_version(),
        "machine": platform.machine(),
        "device": str(core.get_property("CPU", "FULL_DEVICE_NAME")),
        "capabilities": sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        "cores": core_kinds(proc / "cpuinfo"),
        "environment": {name: value for name, value in os.environ.items() if name.startswith(LIBRARIES)},
    }
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return cache_folder() / "openvino" / f"{name}.blob"


def _keep_within(folder: Path, most_bytes: int) -> None:
    """Deletes the files that were not used for longest, and what killed processes left, beyond a sum of sizes."""
    used = []
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            with contextlib.suppress(OSError):  # Another process has deleted it.
                state = path.stat()
                used.append((state.st_mtime_ns, state.st_size, path))
    total = 0
    for _, size, path in sorted(used, reverse=True):
        total += size
        if total > most_bytes:
            with contextlib.suppress(OSError):
                path.unlink()
