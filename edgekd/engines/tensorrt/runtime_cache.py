"""The kernels that TensorRT for RTX compiles on a GPU when an engine first runs there, kept for the next start.

Without them every start compiles anew. TensorRT itself refuses kernels of another GPU, driver or version; a file that
was cut short or changed is found out by its hash before TensorRT sees it.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from edgekd.engines.cache import KeptFile, cache_folder
from edgekd.engines.cuda import Device


def runtime_cache_path(engine_sha256: str, device: Device, version: str) -> Path:
    """Where the kernels of an engine for a GPU are kept.

    Args:
        engine_sha256: Of the .engine file.
        device: The GPU; its driver counts too.
        version: Of TensorRT for RTX.
    """
    where = "\n".join([device.uuid or device.name, device.capability, device.driver, version])
    name = f"{engine_sha256[:16]}_{hashlib.sha256(where.encode()).hexdigest()[:16]}.bin"
    return cache_folder() / "tensorrt_rtx" / name


class RuntimeCache:
    """A runtime cache of TensorRT for RTX and its file.

    Args:
        runtime_cache: TensorRT's own, new and empty.
        path: The file.
    """

    def __init__(self, runtime_cache: Any, path: Path) -> None:
        self._runtime_cache = runtime_cache
        self._file = KeptFile(path, "compiled kernels", logging.getLogger("edgekd.tensorrt"))
        self._is_writable = True

    def load(self) -> None:
        """Takes over what an earlier run has compiled."""
        kernels = self._file.read()
        if kernels is not None and not self._runtime_cache.deserialize(bytes(kernels)):
            self._file.drop("are of another GPU, driver or TensorRT")

    def save(self) -> None:
        """Writes what is compiled by now, where that is not in the file yet."""
        if not self._is_writable:
            return
        blob = self._runtime_cache.serialize()
        if blob is not None and len(memoryview(blob)):
            self._is_writable = self._file.write(bytes(memoryview(blob)))
