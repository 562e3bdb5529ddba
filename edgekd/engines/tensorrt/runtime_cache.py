"""The kernels that TensorRT for RTX compiles on a GPU when an engine first runs there, kept for the next start.

Without them every start compiles anew. TensorRT itself refuses kernels of another GPU, driver or version; a file that
was cut short or changed is found out by its hash before TensorRT sees it.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from edgekd.artifact import write_beside
from edgekd.engines.cache import cache_folder
from edgekd.engines.cuda import Device
from edgekd.errors import EdgekdError

DIGEST = 32  # Bytes of the SHA-256 that a file begins with.

_edgekd_log = logging.getLogger("edgekd.tensorrt")


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
    """A runtime cache of TensorRT for RTX and its file. What is wrong with the file costs a line and time, no more.

    Args:
        runtime_cache: TensorRT's own, new and empty.
        path: The file.
    """

    def __init__(self, runtime_cache: Any, path: Path) -> None:
        self._runtime_cache = runtime_cache
        self._path = path
        self._saved: bytes | None = None  # What the file holds.
        self._writable = True

    def load(self) -> None:
        """Takes over what an earlier run has compiled."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            self._drop(f"cannot be read ({error.strerror or error})")
            return
        kernels = content[DIGEST:]
        if hashlib.sha256(kernels).digest() != content[:DIGEST]:
            self._drop("are damaged")
        elif not self._runtime_cache.deserialize(kernels):
            self._drop("are of another GPU, driver or TensorRT")
        else:
            self._saved = kernels

    def save(self) -> None:
        """Writes what is compiled by now, where that is not in the file yet."""
        blob = self._runtime_cache.serialize()
        kernels = None if blob is None else bytes(memoryview(blob))
        if not kernels or kernels == self._saved or not self._writable:
            return
        try:
            with write_beside(self._path) as part:
                part.write_bytes(hashlib.sha256(kernels).digest() + kernels)
        except EdgekdError as error:
            self._writable = False
            _edgekd_log.warning("the compiled kernels are not kept, and the next start compiles them again: %s", error)
            return
        self._saved = kernels

    def _drop(self, why: str) -> None:
        _edgekd_log.warning("the compiled kernels in %s %s: they are compiled again", self._path, why)
