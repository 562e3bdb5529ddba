"""Downloads that are resumed where they were cut off."""

from __future__ import annotations

import contextlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from edgekd.artifact import write_error
from edgekd.errors import MachineError

TIMEOUT = 30  # Seconds without a byte.
CHUNK = 1 << 18

OnBytes = Callable[[int, int | None], None]  # Bytes downloaded, and in all where the server reports it.


def download(url: str, path: Path, on_bytes: OnBytes) -> None:
    """Downloads a file; what was downloaded before is beside it as .part and is not downloaded again.

    Args:
        url: http or https.
        path: Where to put the file; it appears only when it is complete.
        on_bytes: Called with the bytes downloaded, and in all where that is known.

    Raises:
        MachineError: The server cannot be reached, refuses, or breaks off. What was downloaded is kept.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _download(url, part, on_bytes)
        part.replace(path)
    except urllib.error.HTTPError as error:
        raise MachineError(f"cannot download {url}: the server responded {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise MachineError(
            f"cannot download {url}: {reason}; what was downloaded is kept: run the same command again to resume, "
            f"or download it elsewhere and use 'edgekd teachers import'"
        ) from error
    except OSError as error:
        raise write_error(part, error) from error


def _download(url: str, part: Path, on_bytes: OnBytes) -> None:
    there = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        part.unlink()  # It is as long as the server's file, or longer; only a fresh download can tell.
        return _download(url, part, on_bytes)
    with contextlib.closing(response):
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            there = 0
        length = response.headers.get("Content-Length")
        total = there + int(length) if length else None
        with part.open("ab" if there else "wb") as file:
            while chunk := _read(response):
                file.write(chunk)
                there += len(chunk)
                on_bytes(there, total)
    if total is not None and there < total:
        raise ConnectionError(f"the connection broke off after {there} of {total} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    """The next bytes; whatever goes wrong on the way is the connection's fault, not the disk's."""
    try:
        return response.read(CHUNK)
    except OSError as error:
        raise ConnectionError(str(error)) from error
