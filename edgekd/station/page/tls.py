"""TLS of the page, by certificate files; new ones are taken without a restart."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509

from edgekd.errors import EdgekdError, one_line

logger = logging.getLogger(__name__)

LOOKED_AT_S = 60.0  # How often files are held against those that are in use.
SOON = timedelta(days=30)
DAILY = 24 * 60  # Looks, after which a warning comes again.


def server_context(certificate: Path, private_key: Path) -> ssl.SSLContext:
    """What a server of TLS 1.2 and above encrypts with.

    Args:
        certificate: PEM, with its chain.
        private_key: PEM, without a password, open to nobody else.

    Raises:
        EdgekdError: They cannot be read, do not belong together, or others may read the key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    _load(context, certificate, private_key)
    return context


def warning_of(certificate: Path, now: datetime | None = None) -> str:
    """What people should know of a certificate: that it is about to expire, or is not valid; "" for nothing.

    Args:
        certificate: PEM; the first in it is the server's.
        now: The time; None for the machine's.
    """
    try:
        parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        return f"page.certificate: {certificate} cannot be read: {one_line(error)}"
    now = now or datetime.now(timezone.utc)
    ends = parsed.not_valid_after_utc
    if now < parsed.not_valid_before_utc:
        return f"page.certificate: {certificate} is not valid yet: check the machine's clock"
    if now > ends:
        return f"page.certificate: {certificate} expired on {ends:%Y-%m-%d}: put a new one in its place"
    if now > ends - SOON:
        return f"page.certificate: {certificate} expires on {ends:%Y-%m-%d}: put a new one in its place"
    return ""


async def keep_current(
    context: ssl.SSLContext, certificate: Path, private_key: Path, warn: Callable[[str], object] = logger.warning
) -> None:
    """Takes new files into use when they change, and warns once a day of what is about to expire; until cancelled.

    Args:
        context: Of the server that runs.
        certificate, private_key: Its files.
        warn: Gets a line for people.
    """
    seen, looks = _state(certificate, private_key), 0
    while True:
        now = _state(certificate, private_key)
        if now != seen:
            try:
                server_context(certificate, private_key)  # One may be new already, and the other not yet.
                _load(context, certificate, private_key)
                looks = 0
            except EdgekdError as error:
                warn(str(error))
            seen = now
        if looks % DAILY == 0 and (warning := warning_of(certificate)):
            warn(warning)
        looks += 1
        await asyncio.sleep(LOOKED_AT_S)


def _load(context: ssl.SSLContext, certificate: Path, private_key: Path) -> None:
    try:
        mode = private_key.stat().st_mode & 0o777
        if os.name == "posix" and mode & 0o077:
            command = f"chmod 600 {shlex.quote(str(private_key))}"
            raise EdgekdError(
                f"page.private_key: {private_key} is open to other users (mode {mode:04o}): run {command}"
            )
        context.load_cert_chain(certificate, private_key, password=_no_password)
    except ssl.SSLError as error:
        why = "do not belong together" if "MISMATCH" in (error.reason or "") else "are no certificate and key in PEM"
        raise EdgekdError(f"page: {certificate} and {private_key} {why}: name others") from error
    except OSError as error:
        raise EdgekdError(f"page: {error.filename or certificate} cannot be read: {error.strerror or error}") from error
    except _PasswordError:
        raise EdgekdError(f"page.private_key: {private_key} has a password: store the key without one") from None


class _PasswordError(Exception):
    """The key has a password, which nobody is there to type."""


def _no_password() -> str:
    raise _PasswordError


def _state(*paths: Path) -> tuple[object, ...]:
    """What differs where a file was replaced or written."""
    found: list[object] = []
    for path in paths:
        try:
            stat = path.stat()
            found.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
        except OSError:
            found.append(None)
    return tuple(found)
