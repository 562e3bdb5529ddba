"""Where edgekd keeps what it has measured or compiled on this machine. It may be deleted at any time."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from pathlib import Path

import numpy as np

from edgekd.artifact import write_beside
from edgekd.errors import EdgekdError

DIGEST = 32  # Bytes of the SHA-256 that a kept file begins with.

_unwritable: set[Path] = set()  # Folders for which a line was logged.
_writing = threading.Lock()  # Threads of one process would write to one temporary file.


def cache_folder() -> Path:
    """$EDGEKD_CACHE, or edgekd's folder in the user's cache folder. It need not exist yet."""
    if folder := os.environ.get("EDGEKD_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgekd"


class KeptFile:
    """What a back end has compiled, in a file for the next start. What is wrong with the file costs one line, no more.

    The file begins with the SHA-256 of its own name and its content: one that was cut short, changed, or put under
    another name is found out before a back end reads it.

    Args:
        path: The file.
        content: What it holds, in the plural, such as "compiled kernels"; for messages.
        log: Where they go.
    """

    def __init__(self, path: Path, content: str, log: logging.Logger) -> None:
        self.path = path
        self._content = content
        self._log = log
        self._held: bytes | None = None  # The digest that the file begins with, where it is right.
        self._is_silent = False

    def read(self) -> memoryview | None:
        """Its content, in memory of its own; None where there is none, or none that can be used."""
        try:
            with self.path.open("rb") as file:
                digest, content = file.read(DIGEST), np.fromfile(file, np.uint8).data
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.drop(f"cannot be read ({error.strerror or error})")
            return None
        if self._digest(content) != digest:
            self.drop("are damaged")
            return None
        self._held = digest
        return content

    def drop(self, why: str) -> None:
        """Reports that the content cannot be used; the next `write` replaces it.

        Args:
            why: The end of a sentence about it, such as "are damaged".
        """
        self._held = None
        self._warn("the %s in %s %s: they are compiled again", self._content, self.path, why)

    def write(self, content: bytes) -> bool:
        """Keeps new content, completely or not at all; whether the file now holds it."""
        digest = self._digest(content)
        if digest == self._held:
            return True
        try:
            # Not synchronised: what a power cut leaves is found out by its digest.
            with _writing, write_beside(self.path, durable=False) as part, part.open("wb") as file:
                file.write(digest)
                file.write(content)
        except EdgekdError as error:
            if self.path.parent not in _unwritable and not self._is_silent:
                _unwritable.add(self.path.parent)
                self._warn("the %s are not kept, and the next start compiles them again: %s", self._content, error)
            return False
        self._held = digest
        return True

    def _digest(self, content: bytes | memoryview) -> bytes:
        digest = hashlib.sha256(self.path.name.encode())
        digest.update(content)
        return digest.digest()

    def _warn(self, text: str, *values: object) -> None:
        if not self._is_silent:
            self._log.warning(text, *values)
        self._is_silent = True
