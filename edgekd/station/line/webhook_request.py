"""One request of a webhook: where it goes, how it is signed, what became of it.

The signature is that of Standard Webhooks (standardwebhooks.com), for which there are libraries in most languages:
the headers webhook-id, webhook-timestamp and webhook-signature, an HMAC-SHA256 over "ID.TIMESTAMP.BODY".
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import http.client
import socket
import ssl
import time
from concurrent.futures import Executor
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

import edgekd
from edgekd.errors import EdgekdError, one_line
from edgekd.station.configuration import WebhookConfiguration
from edgekd.station.line.secret_files import read_secret
from edgekd.station.tasks import within

ENCODED_SECRET = "whsec_"
# The server read this result and does not want it: another attempt would be refused like this one.
REFUSED_FOR_GOOD = (400, 413, 422)


class NotDeliveredError(Exception):
    """The server did not take a message; it is to be sent again."""


class RefusedError(Exception):
    """The server will never take a message."""


@dataclass(frozen=True)
class Target:
    """Where results go.

    Attributes:
        url: In its parts.
        secret: Key of the signature; None for no signature.
        tls: None for http.
    """

    url: SplitResult
    secret: bytes | None = field(repr=False)
    tls: ssl.SSLContext | None = field(repr=False)

    def __str__(self) -> str:
        return f"webhook {self.url.scheme}://{self.url.netloc}"  # A path may hold a token.

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """A connection that is not open yet.

        Args:
            timeout: Seconds for each step of it.
        """
        host = self.url.hostname or ""
        if self.tls is None:
            return http.client.HTTPConnection(host, self.url.port, timeout=timeout)
        return http.client.HTTPSConnection(host, self.url.port, timeout=timeout, context=self.tls)

    def headers(self, message_id: str, body: bytes) -> dict[str, str]:
        """The headers of a request, with its signature.

        Args:
            message_id: The same each time that the message is sent.
            body: That is signed.
        """
        now = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"edgekd/{edgekd.__version__}",
            "Connection": "close",
            "webhook-id": message_id,
            "webhook-timestamp": now,
        }
        if self.secret is not None:
            digest = hmac.new(self.secret, f"{message_id}.{now}.".encode() + body, hashlib.sha256).digest()
            headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
        return headers


def target_of(configuration: WebhookConfiguration) -> Target:
    """The target that a configuration names; reads its secret and connects to nothing.

    Args:
        configuration: Of the webhook.

    Raises:
        EdgekdError: The URL is not one of http or https, or the secret's file is wrong or open to others.
    """
    try:
        url = urlsplit(configuration.url)
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0 and configuration.url.isascii()
        usable = usable and configuration.url.isprintable() and " " not in configuration.url
    except ValueError:
        usable = False
    if not usable:
        raise EdgekdError("webhook.url must be a URL such as https://host/path")
    if url.username is not None:
        raise EdgekdError("webhook.url must not hold a user name or password: use webhook.secret_file")
    secret = None
    if configuration.secret_file is not None:
        secret = _key(read_secret(configuration.secret_file, "webhook.secret_file"))
    return Target(url, secret, ssl.create_default_context() if url.scheme == "https" else None)


def _key(secret: str) -> bytes:
    if not secret.startswith(ENCODED_SECRET):
        return secret.encode()
    key = b""
    with contextlib.suppress(binascii.Error):
        key = base64.b64decode(secret.removeprefix(ENCODED_SECRET), validate=True)
    if not key:
        raise EdgekdError(f"webhook.secret_file: what follows {ENCODED_SECRET} must be base64")
    return key


async def post(target: Target, message_id: str, body: bytes, timeout: float, thread: Executor) -> None:
    """Posts one message.

    Args:
        target: Where to.
        message_id: The same each time that it is sent.
        body: JSON.
        timeout: Seconds after which there is no answer.
        thread: For what blocks.

    Raises:
        RefusedError: The server will never take this message.
        NotDeliveredError: It did not take it this time.
    """
    connection = target.connection(timeout)
    request = asyncio.get_running_loop().run_in_executor(
        thread, _request, connection, target.url, body, target.headers(message_id, body)
    )
    try:
        status = await within(timeout, request)
    except (asyncio.TimeoutError, TimeoutError):  # One and the same from Python 3.11 on; the socket has its own.
        raise NotDeliveredError(f"{target} did not answer within {timeout:g} s") from None
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise NotDeliveredError(f"{target} cannot be reached ({one_line(error)})") from None
    finally:
        _hang_up(connection)
    if status in REFUSED_FOR_GOOD:
        raise RefusedError(f"{target} refuses {message_id} ({status}): it is not sent again")
    if 300 <= status < 400:
        raise NotDeliveredError(f"{target} redirects ({status}), which is not followed: correct webhook.url")
    if not 200 <= status < 300:
        raise NotDeliveredError(f"{target} answered {status}")


def _request(connection: http.client.HTTPConnection, url: SplitResult, body: bytes, headers: dict[str, str]) -> int:
    """Sends one request and returns the status of its answer; in a thread."""
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        connection.request("POST", target, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _hang_up(connection: http.client.HTTPConnection) -> None:
    """Ends what a thread still waits for: a server may send a byte now and then for ever."""
    open_socket = connection.sock
    if open_socket is not None:
        with contextlib.suppress(OSError):
            open_socket.shutdown(socket.SHUT_RDWR)
