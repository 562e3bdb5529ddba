"""Passwords and keys stand in files that only their owner may read."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from edgekd.errors import EdgekdError

MOST_BYTES = 4096


def read_secret(path: Path, setting: str) -> str:
    """The text of a secret's file, without the end of its line.

    Args:
        path: The file; its mode is 0600 or narrower.
        setting: What names it in the configuration, such as "mqtt.password_file".

    Raises:
        EdgekdError: It cannot be read, others may read it, or it holds no text.
    """
    try:
        # A pipe would wait for a writer. The mode is that of the file that is read, not of one put in its place.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            mode = os.fstat(handle).st_mode & 0o777
            content = file.read(MOST_BYTES + 1) or b""
    except OSError as error:
        raise EdgekdError(f"{setting}: {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        command = f"chmod 600 {shlex.quote(str(path))}"
        raise EdgekdError(f"{setting}: {path} is open to other users (mode {mode:04o}): run {command}")
    try:
        secret = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise EdgekdError(f"{setting}: {path} must hold UTF-8 text") from None
    if not secret or len(content) > MOST_BYTES or any(character in secret for character in "\r\n\0"):
        raise EdgekdError(f"{setting}: {path} must hold one line of at most {MOST_BYTES} bytes")
    return secret
