"""Who may connect to the OPC UA server, and who may call its methods."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.station.counterparts import required_package

required_package("asyncua")

from asyncua import Client, ua  # noqa: E402

from edgekd.errors import EdgekdError  # noqa: E402
from edgekd.station.line.opcua_security import _is_this_machine  # noqa: E402
from tests.station.line.opcua_served import Certificate, Served, Station, cause, encrypted  # noqa: E402

MACHINE = ("VisionStateMachine", "Reset")


class Secured(NamedTuple):
    """An encrypted server, and certificates of those who come."""

    served: Served
    trusted: Path
    server: Certificate
    scada: Certificate
    engineer: Certificate
    stranger: Certificate
    expired: Certificate


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("certificates")
    trusted = folder / "trusted"
    server, stranger = Certificate(folder, "server"), Certificate(folder, "stranger")
    scada = Certificate(folder, "scada").into(trusted)
    expired = Certificate(folder, "expired", days=-1).into(trusted)
    engineer = Certificate(folder, "engineer").into(trusted / "users")
    (trusted / "readme.pem").write_text("-----BEGIN nothing")
    served = Served(certificate=server.der, private_key=server.key, trusted=trusted)
    yield Secured(served, trusted, server, scada, engineer, stranger, expired)
    served.close()


def test_a_trusted_client_that_is_anonymous_reads_and_subscribes_but_calls_nothing(secured: Secured) -> None:
    async def run() -> None:
        async with await encrypted(secured.served.url, secured.scada, secured.server) as client:
            await client.load_data_type_definitions()
            station = Station(client, "single")
            await station.listen()
            assert (await station.value("VisionStateMachine", "0:CurrentState")).Text == "Preoperational"
            with pytest.raises(ua.uaerrors.BadUserAccessDenied):
                await station.call(*MACHINE, arguments=cause())
            assert secured.served.stations[0].asked[-1][0] != "set_online"

    secured.served.run(run())


def test_a_user_with_a_certificate_calls_methods_under_its_own_name(secured: Secured) -> None:
    async def run() -> None:
        client = await encrypted(secured.served.url, secured.scada, secured.server, secured.engineer)
        async with client:
            assert await Station(client, "single").call(*MACHINE, arguments=cause()) == 0
        assert secured.served.stations[0].asked[-1] == ("reset", "opcua", "opcua:engineer")

    secured.served.run(run())


def test_nobody_writes_values_or_adds_nodes(secured: Secured) -> None:
    async def run() -> None:
        client = await encrypted(secured.served.url, secured.scada, secured.server, secured.engineer)
        async with client:
            station = Station(client, "single")
            node = await station.node("own:Inspection", "own:LastResult", "own:VerdictCode")
            with pytest.raises(ua.uaerrors.BadUserAccessDenied):
                await node.write_value(ua.Variant(1, ua.VariantType.UInt16))
            with pytest.raises(ua.uaerrors.BadUserAccessDenied):
                await client.nodes.objects.add_folder(3, "more")

    secured.served.run(run())


def test_a_client_that_is_not_trusted_or_whose_certificate_expired_is_refused(secured: Secured) -> None:
    async def run(certificate: Certificate) -> None:
        async with await encrypted(secured.served.url, certificate, secured.server):
            pass

    with pytest.raises(ua.uaerrors.BadCertificateUntrusted):
        secured.served.run(run(secured.stranger))
    with pytest.raises(ua.uaerrors.BadCertificateTimeInvalid):
        secured.served.run(run(secured.expired))


def test_the_certificate_of_the_channel_counts_and_not_what_a_client_says_of_itself(secured: Secured) -> None:
    async def run() -> None:
        client = await encrypted(secured.served.url, secured.stranger, secured.server)
        create = client.uaclient.create_session

        async def as_somebody_else(parameters: ua.CreateSessionParameters) -> ua.CreateSessionResult:
            parameters.ClientCertificate = secured.scada.der.read_bytes()
            return await create(parameters)

        client.uaclient.create_session = as_somebody_else
        async with client:
            pass

    with pytest.raises(ua.uaerrors.BadCertificateUntrusted):
        secured.served.run(run())


def test_a_user_that_is_not_known_is_refused(secured: Secured) -> None:
    async def run() -> None:
        async with await encrypted(secured.served.url, secured.scada, secured.server, secured.scada):
            pass

    with pytest.raises(ua.uaerrors.BadIdentityTokenRejected):
        secured.served.run(run())


def test_a_user_certificate_without_its_key_is_refused(secured: Secured) -> None:
    async def run() -> None:
        client = await encrypted(secured.served.url, secured.scada, secured.server, secured.engineer)
        await client.load_private_key(str(secured.stranger.key))
        async with client:
            pass

    with pytest.raises((ua.uaerrors.BadIdentityTokenInvalid, ua.uaerrors.BadUserSignatureInvalid)):
        secured.served.run(run())


def test_an_encrypted_server_serves_nobody_without_encryption(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No such endpoint is offered; a client that comes all the same is let in by the library.
    monkeypatch.setattr(Client, "find_endpoint", staticmethod(lambda endpoints, mode, uri: endpoints[0]))

    async def run() -> None:
        async with Client(secured.served.url):
            pass

    with pytest.raises(ua.uaerrors.BadSecurityPolicyRejected):
        secured.served.run(run())


def test_a_certificate_that_is_taken_out_of_the_folder_lets_nobody_in(secured: Secured) -> None:
    async def run() -> None:
        async with await encrypted(secured.served.url, secured.stranger, secured.server):
            pass

    secured.stranger.into(secured.trusted)
    secured.served.run(run())
    (secured.trusted / secured.stranger.der.name).unlink()
    with pytest.raises(ua.uaerrors.BadCertificateUntrusted):
        secured.served.run(run())


@pytest.fixture(scope="module")
def unencrypted() -> Iterator[Served]:
    served = Served(host="0.0.0.0", allow_unencrypted=True)
    yield served
    served.close()


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # Sends nothing.
        except OSError:
            pytest.skip("needs an address other than that of the loopback interface")
        address = str(probe.getsockname()[0])
    if _is_this_machine(address):
        pytest.skip("needs an address other than that of the loopback interface")
    return address


def test_without_encryption_only_this_machine_calls_methods(unencrypted: Served) -> None:
    address = _own_address()

    async def run() -> None:
        async with Client(unencrypted.url) as client:
            assert await Station(client, "single").call(*MACHINE, arguments=cause()) == 0
        asked = len(unencrypted.stations[0].asked)
        async with Client(unencrypted.url.replace("127.0.0.1", address)) as client:
            station = Station(client, "single")
            assert (await station.value("VisionStateMachine", "0:CurrentState")).Text == "Preoperational"
            with pytest.raises(ua.uaerrors.BadUserAccessDenied):
                await station.call(*MACHINE, arguments=cause())
        assert len(unencrypted.stations[0].asked) == asked

    unencrypted.run(run())


@pytest.mark.parametrize(
    ("address", "is_ours"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_only_addresses_of_the_loopback_interface_are_this_machine(address: str, is_ours: bool) -> None:
    assert _is_this_machine(address) is is_ours


def test_the_wrong_key_is_named(tmp_path: Path) -> None:
    first, second = Certificate(tmp_path, "first"), Certificate(tmp_path, "second")
    (tmp_path / "trusted").mkdir()
    import asyncio

    from asyncua import Server

    from edgekd.station.line.opcua_process import _secure

    settings = {"certificate": str(first.der), "private_key": str(second.key), "allow_unencrypted": False}
    with pytest.raises(EdgekdError, match=r"second\.pem: is not the key of .*first\.der"):
        asyncio.run(_secure(Server(), settings))
