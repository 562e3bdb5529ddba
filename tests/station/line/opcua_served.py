"""OPC UA servers with scripted stations, and the library's own client, for tests that share them."""

from __future__ import annotations

import asyncio
import datetime
import socket
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from asyncua import Client, Node, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from edgekd.station.configuration import OpcUaConfiguration
from edgekd.station.line.opcua import OpcUaServer
from tests.station.line.opcua_scripted import RECIPES, ScriptedStation

T = TypeVar("T")
START_S = 240  # Of a machine that does other things too.
WAIT_S = 40
EVENTS = {
    1013: "JobStarted",
    1018: "StateChanged",
    1019: "Error",
    1020: "ErrorResolved",
    1022: "RecipePrepared",
    1023: "Ready",
    1024: "ResultReady",
    1025: "AcquisitionDone",
}


class Served:
    """A server with three stations: one that OPC UA triggers, one that a PLC does, and one to fail."""

    def __init__(self, **configuration: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.stations = [ScriptedStation("single"), ScriptedStation("plc"), ScriptedStation("third")]
        self.typed = False  # Whether a client has read the types.
        self.recipes: Callable[[], Any] = lambda: RECIPES
        triggers = {"single": "opcua", "plc": "modbus", "third": "opcua"}
        settings = OpcUaConfiguration(**{"port": free_port(), **configuration})
        self.server = OpcUaServer(settings, self.stations, triggers, lambda: self.recipes())
        self._task = self.loop.create_task(self.server.run())
        self.run(self.listening())

    async def listening(self) -> None:
        """Waits until clients can connect."""
        await asyncio.wait_for(self.server.listening.wait(), START_S)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a test's own coroutine beside the server."""
        return self.loop.run_until_complete(asyncio.wait_for(work, START_S))

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.server.port}/edgekd/station"

    def close(self) -> None:
        self._task.cancel()
        self.loop.run_until_complete(asyncio.gather(self._task, return_exceptions=True))
        self.loop.close()


class Station:
    """A station as a client finds it."""

    def __init__(self, client: Client, name: str) -> None:
        self.client, self._name = client, name
        self.events: list[tuple[str, Any]] = []
        self._arrived = asyncio.Event()

    async def node(self, *path: str) -> Node:
        """A node by browse names: of the companion specification, or with "own:" and "0:" of others."""
        names = []
        for name in (f"own:{self._name}", *path):
            names.append(f"3:{name[4:]}" if name.startswith("own:") else name if name[1] == ":" else f"2:{name}")
        return await self.client.nodes.objects.get_child(names)

    async def value(self, *path: str) -> Any:
        return await (await self.node(*path)).read_value()

    async def call(self, *path: str, arguments: tuple[Any, ...] = ()) -> Any:
        owner = await self.node(*path[:-1])
        return await owner.call_method(f"2:{path[-1]}", *arguments)

    async def listen(self) -> None:
        """Begins to collect events."""
        subscription = await self.client.create_subscription(10, self)
        await subscription.subscribe_events(await self.node(), [ua.NodeId(number, 2) for number in EVENTS])

    def event_notification(self, event: Any) -> None:
        self.events.append((EVENTS[event.EventType.Identifier], event))
        self._arrived.set()

    def status_change_notification(self, status: Any) -> None:
        raise AssertionError(status)

    async def event(self, name: str, count: int = 1) -> Any:
        """Waits for the so-manieth event of a kind."""

        async def wait() -> Any:
            while len(found := [event for kind, event in self.events if kind == name]) < count:
                self._arrived.clear()
                await self._arrived.wait()
            return found[count - 1]

        return await asyncio.wait_for(wait(), WAIT_S)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Waits until something is so."""

        async def wait() -> None:
            while not await condition():
                await asyncio.sleep(0.02)

        await asyncio.wait_for(wait(), WAIT_S)

    async def in_state(self, automatic: str) -> None:
        """Waits for a state of the automatic mode, or of the upper machine where that is not active."""

        async def there() -> bool:
            machine = ["VisionStateMachine"]
            top = await self.value(*machine, "0:CurrentState")
            if top.Text == "Operational":
                machine.append("AutomaticModeStateMachine")
            return bool((await self.value(*machine, "0:CurrentState")).Text == automatic)

        await self.until(there)


AUTOMATIC = ("VisionStateMachine", "AutomaticModeStateMachine")


def structured(name: str, **values: Any) -> ua.Variant:
    return ua.Variant(getattr(ua, name)(**values), ua.VariantType.ExtensionObject)


def int32(value: int) -> ua.Variant:
    return ua.Variant(value, ua.VariantType.Int32)


def uint32(value: int) -> ua.Variant:
    return ua.Variant(value, ua.VariantType.UInt32)


def cause(text: str = "") -> tuple[ua.Variant, ua.Variant]:
    return int32(0), ua.Variant(text, ua.VariantType.String)


def a_job(part: str = "17", measurement: str = "", recipe: str = "", product: str = "") -> tuple[ua.Variant, ...]:
    return (
        structured("MeasIdDataType", Id=measurement),
        structured("PartIdDataType", Id=part),
        structured("RecipeIdExternalDataType", Id=recipe),
        structured("ProductIdDataType", Id=product),
        ua.Variant([], ua.VariantType.Variant, is_array=True),
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Certificate:
    """A certificate with its key, as files."""

    def __init__(self, folder: Path, name: str, days: int = 30) -> None:
        self.uri = f"urn:test:{name}"
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=60))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(self.uri)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.der, self.key = folder / f"{name}.der", folder / f"{name}.pem"
        self.der.write_bytes(made.public_bytes(serialization.Encoding.DER))
        form = serialization.PrivateFormat.PKCS8
        self.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))

    def into(self, folder: Path) -> Certificate:
        """Puts the certificate into a folder of trusted ones."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / self.der.name).write_bytes(self.der.read_bytes())
        return self


async def encrypted(url: str, client: Certificate, server: Certificate, user: Certificate | None = None) -> Client:
    """A client with a certificate, and a user with another; not connected yet."""
    made = Client(url, timeout=START_S, watchdog_intervall=START_S)
    made.application_uri = client.uri
    await made.set_security(
        SecurityPolicyBasic256Sha256, str(client.der), str(client.key), server_certificate=str(server.der)
    )
    if user is not None:
        await made.load_client_certificate(str(user.der))
        await made.load_private_key(str(user.key))
    return made
