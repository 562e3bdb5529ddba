"""A connection to an MQTT broker, and what may be wrong with one in words."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from edgekd.errors import EdgekdError, missing_package, one_line
from edgekd.station.configuration import MqttConfiguration
from edgekd.station.line.secret_files import read_secret
from edgekd.station.tasks import within

try:
    import aiomqtt as aiomqtt  # The modules that use it import it from here.
    from aiomqtt.exceptions import MqttConnectError
except ModuleNotFoundError as missing:
    if missing.name not in ("aiomqtt", "paho"):
        raise
    raise missing_package("aiomqtt", "MQTT") from missing

KEEP_ALIVE_SECONDS = 10  # The broker sends the last will half as much later again, where nobody closed the connection.
ANSWER_SECONDS = 5.0
GOODBYE_SECONDS = 2.0
MOST_COMMANDS_WAITING = 100
AT_ONCE = 20  # Messages that are sent before the first of them is confirmed.
REFUSED_CREDENTIALS = (4, 5, 134, 135)  # Bad user name or password, not authorized, of MQTT 3.1.1 and 5.
logger = logging.getLogger(__name__)
# What aiomqtt and paho log comes as an error too, or would be a line for each command of a flood.
silent_logger = logging.getLogger(f"{__name__}.client")
silent_logger.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class Broker:
    """A broker, and how to log in there.

    Attributes:
        host: Its name or address.
        port: Its port.
        username: None for nobody.
        password: Read from a file; never shown.
        tls: None for a connection that is not encrypted.
    """

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    tls: ssl.SSLContext | None = field(repr=False)

    def __str__(self) -> str:
        return f"MQTT broker {self.host}:{self.port}"


def broker_of(configuration: MqttConfiguration) -> Broker:
    """The broker that a configuration names; reads its files and connects to nothing.

    Args:
        configuration: Of MQTT.

    Raises:
        EdgekdError: A setting does not fit the others, a file is wrong, or others can read the password.
    """
    if not configuration.host or not configuration.port:
        raise EdgekdError("mqtt.host and mqtt.port must name the broker")
    if (configuration.username is None) != (configuration.password_file is None):
        raise EdgekdError("mqtt.username and mqtt.password_file go together: set both or neither")
    if configuration.commands and configuration.username is None:
        raise EdgekdError("mqtt.commands needs a broker that knows its users: set mqtt.username, mqtt.password_file")
    password = None
    if configuration.password_file is not None:
        password = read_secret(configuration.password_file, "mqtt.password_file")
    if password is not None and not configuration.tls and not _is_loopback(configuration.host):
        logger.warning("mqtt.tls is false: the password goes to %s unencrypted", configuration.host)
    return Broker(
        host=configuration.host,
        port=configuration.port,
        username=configuration.username,
        password=password,
        tls=_tls(configuration) if configuration.tls else None,
    )


def _tls(configuration: MqttConfiguration) -> ssl.SSLContext:
    authority = configuration.certificate_authority
    try:
        return ssl.create_default_context(cafile=authority)
    except (OSError, ValueError) as error:  # An SSLError is an OSError.
        reason = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else "no PEM file"
        raise EdgekdError(f"mqtt.certificate_authority: {authority} cannot be read: {reason}") from error


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


class Client(aiomqtt.Client):
    """aiomqtt's own, but for what it does with a connection that ends early.

    It would have the number of a closed socket watched, which may be another's by then, and would fail where nobody
    waits for the connection any more.
    """

    def _on_disconnect(self, *arguments: Any) -> None:
        if not self._connected.cancelled():
            super()._on_disconnect(*arguments)

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        def write() -> None:
            try:
                client.loop_write()
            except Exception as error:  # A broken pipe, for one: the connection is lost.
                if not self._disconnected.done():
                    self._disconnected.set_exception(error)

        def watch() -> None:
            if sock.fileno() >= 0:
                self._loop.add_writer(sock.fileno(), write)

        self._loop.call_soon_threadsafe(watch)


@contextlib.asynccontextmanager
async def connected(broker: Broker, identifier: str, will: aiomqtt.Will) -> AsyncIterator[aiomqtt.Client]:
    """A connection for as long as it lasts; MQTT 3.1.1, which every broker speaks.

    Args:
        broker: Where to.
        identifier: Of the client; a broker closes an older connection of the same one, and sends its will before.
        will: What the broker publishes where the connection breaks.

    Raises:
        aiomqtt.MqttError: There is no connection, or not any more.
    """
    client = Client(
        broker.host,
        broker.port,
        identifier=identifier,
        username=broker.username,
        password=broker.password,
        tls_context=broker.tls,
        will=will,
        logger=silent_logger,
        clean_session=True,  # Commands that were sent while the station was away are void.
        keepalive=KEEP_ALIVE_SECONDS,
        timeout=ANSWER_SECONDS,
        max_queued_incoming_messages=MOST_COMMANDS_WAITING,
        max_inflight_messages=AT_ONCE,
        socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
    )
    client.pending_calls_threshold = 10 * AT_ONCE  # That many wait on purpose, and it would be logged.
    try:
        await within(None, client.__aenter__())
        try:
            yield client
        finally:
            client.timeout = GOODBYE_SECONDS
            with contextlib.suppress(aiomqtt.MqttError):  # What ended the connection is raised, not this.
                await within(None, client.__aexit__(None, None, None))
    except UnicodeError as error:  # Of a name that no host can have.
        raise aiomqtt.MqttError(one_line(error)) from error
    finally:
        _close(client)


def _close(client: aiomqtt.Client) -> None:
    """Closes what aiomqtt leaves open where a broker accepts a connection and does not answer."""
    # Nobody asks any more what the connection ended with, which asyncio would complain of.
    client._disconnected.add_done_callback(lambda future: future.cancelled() or future.exception())
    left_open = client._client.socket()
    if isinstance(left_open, socket.socket):
        with contextlib.suppress(OSError):
            left_open.shutdown(socket.SHUT_RDWR)  # Its event loop then finds it at its end, and closes it.


def explanation(broker: Broker, error: Exception) -> str:
    """What is wrong with a connection, and what to do, in one line.

    Args:
        broker: Where it should lead.
        error: What the connection failed with.
    """
    text = one_line(error)
    if isinstance(error, MqttConnectError):
        if getattr(error.rc, "value", error.rc) in REFUSED_CREDENTIALS:
            return f"{broker} refuses the user name or password: check mqtt.username and mqtt.password_file"
        return f"{broker} refuses the connection ({text})"
    if isinstance(error, aiomqtt.MqttCodeError) or text.startswith("Disconnected"):
        return f"{broker} closed the connection: check its log, and that no other client has the same name"
    if "certificate verify failed" in text.lower():
        return f"{broker} has a certificate that is not trusted: check mqtt.host and mqtt.certificate_authority"
    if "SSL" in text:
        return f"{broker} does not speak TLS as expected ({text}): check mqtt.port and mqtt.tls"
    if text == "Operation timed out":
        return f"{broker} does not answer: check that it runs, mqtt.port and mqtt.tls"
    return f"{broker} cannot be reached ({text}): check that it runs, mqtt.host, mqtt.port and mqtt.tls"
