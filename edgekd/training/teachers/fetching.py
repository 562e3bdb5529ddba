"""Downloads that are resumed where they were cut off, if it is still the same file, and that never leave https."""

from __future__ import annotations

import contextlib
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edgekd.artifact import read_json, write_error, write_json
from edgekd.errors import ArtifactError, MachineError

TIMEOUT = 30  # Seconds without a byte.
CHUNK = 1 << 18

OnBytes = Callable[[int, int | None], None]  # Bytes downloaded, and in all where the server reports it.


def download(url: str, path: Path, on_bytes: OnBytes, most_bytes: int | None = None) -> None:
    """Downloads a file; what was downloaded before is beside it as .part and is not downloaded again.

    It is only added to where the server confirms that its file is still the same (If-Range); a download of another file
    starts anew.

    Args:
        url: http or https. From https no redirect leads anywhere else.
        path: Where to put the file; it appears only when it is complete.
        on_bytes: Called with the bytes downloaded, and in all where that is known.
        most_bytes: That the file may have; None for any size.

    Raises:
        MachineError: The server cannot be reached, refuses, redirects to http, or breaks off. What was downloaded is
            kept.
        ArtifactError: The file is larger than it may be; nothing of it is kept.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _download(url, part, on_bytes, most_bytes)
        part.replace(path)
        _origin_file(part).unlink(missing_ok=True)
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


def _download(url: str, part: Path, on_bytes: OnBytes, most: int | None) -> None:
    there, validator = _begun(url, part)
    headers = {"Range": f"bytes={there}-", "If-Range": validator} if there and validator else {}
    opener = urllib.request.build_opener(_SafeRedirects)
    try:
        response = opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not headers:
            raise
        part.unlink()  # It is as long as the server's file, or longer; only a fresh download can tell.
        return _download(url, part, on_bytes, most)
    with contextlib.closing(response):
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            there = 0
        elif _first_byte(response) != there:
            raise ConnectionError("the server sent another part than was asked for")
        length = response.headers.get("Content-Length")
        total = there + int(length) if length and length.isdecimal() else None
        _require_size(url, part, total or 0, most)
        if not there:
            write_json(_origin_file(part), {"url": url, "validator": _validator(response)})
        with part.open("ab" if there else "wb") as file:
            while chunk := _read(response):
                there += len(chunk)
                _require_size(url, part, there, most)
                file.write(chunk)
                on_bytes(there, total)
    if total is not None and there < total:
        raise ConnectionError(f"the connection broke off after {there} of {total} bytes")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but from https to nothing else: what comes over http may come from anybody on the way."""

    def redirect_request(self, req: urllib.request.Request, *more: Any) -> urllib.request.Request | None:
        new = more[-1]
        if urlsplit(req.full_url).scheme == "https" and urlsplit(new).scheme != "https":
            raise urllib.error.URLError(f"the server redirects to {new}, which is not https")
        return super().redirect_request(req, *more)


def _begun(url: str, part: Path) -> tuple[int, str | None]:
    """How many bytes of a file are here, and what the server called its version; 0 if of another address."""
    if not part.is_file():
        return 0, None
    with contextlib.suppress(ArtifactError):
        origin = read_json(_origin_file(part))
        if isinstance(origin, dict) and origin.get("url") == url and isinstance(origin.get("validator"), str):
            return part.stat().st_size, origin["validator"]
    return 0, None


def _validator(response: http.client.HTTPResponse) -> str | None:
    """What names the version of a file: its ETag, if it stands for the bytes and not for what they mean."""
    etag = response.headers.get("ETag")
    return etag if etag and re.fullmatch(r'"[\x21\x23-\x7e]*"', etag) else None


def _first_byte(response: http.client.HTTPResponse) -> int | None:
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range") or "")
    return int(found[1]) if found else None


def _require_size(url: str, part: Path, size: int, most: int | None) -> None:
    if most is not None and size > most:
        for file in (part, _origin_file(part)):
            file.unlink(missing_ok=True)
        raise ArtifactError(f"{url} has at least {size} bytes, and the file should have {most} at most: not downloaded")


def _origin_file(part: Path) -> Path:
    """Where the address and version of a part are kept."""
    return part.with_name(f"{part.name}.json")


def _read(response: http.client.HTTPResponse) -> bytes:
    """The next bytes; whatever goes wrong on the way is the connection's fault, not the disk's."""
    try:
        return response.read(CHUNK)
    except OSError as error:
        raise ConnectionError(str(error)) from error
