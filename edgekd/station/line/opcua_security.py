"""Who may connect to the OPC UA server, and who may call its methods.

Encrypted connections need a client certificate that stands in the trusted folder. Whoever is anonymous on it may read
and subscribe; methods are for users who log in with a certificate out of the folder `users` inside it. Unencrypted
connections, where they are allowed at all, are read only, except from this machine itself.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from asyncua import Server, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import USER_TYPES, PermissionRuleset, User, UserRole
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from cryptography import x509

MOST_CALLS = 10  # Methods in one request.
MOST_NODES = 1000  # Nodes in one request to read, browse or monitor.
CALLER: ContextVar[str] = ContextVar("caller", default="")  # Who calls the method that runs.

_WRITING = (ua.ObjectIds.WriteRequest_Encoding_DefaultBinary,)
_ALLOWED = frozenset(ua.NodeId(each) for each in USER_TYPES if each not in _WRITING)


@dataclass
class Client(User):  # type: ignore[misc]
    """Whoever uses an activated session.

    Attributes:
        may_call: Whether methods are for it.
    """

    may_call: bool = False


class ReadOnly(PermissionRuleset):  # type: ignore[misc]
    """Nobody changes nodes or values by themselves; before a session is activated nothing is allowed."""

    def check_validity(self, user: User, action_type: ua.NodeId, body: Any) -> bool:
        return user.role is not UserRole.Anonymous and action_type in _ALLOWED


class Certificates:
    """The certificates in a folder, read anew for each session: what is put there or taken away counts from then on."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    async def trusted(self) -> frozenset[bytes]:
        """Clients that may connect, as DER."""
        return await asyncio.to_thread(_certificates_in, self._folder)

    async def users(self) -> frozenset[bytes]:
        """Users who may call methods, as DER."""
        return await asyncio.to_thread(_certificates_in, self._folder and self._folder / "users")


def _certificates_in(folder: Path | None) -> frozenset[bytes]:
    found: set[bytes] = set()
    for path in sorted(folder.iterdir()) if folder is not None and folder.is_dir() else ():
        if path.suffix.lower() in (".der", ".pem", ".crt", ".cer") and path.is_file():
            content = path.read_bytes()
            try:
                text = content.decode("ascii") if b"-----BEGIN" in content else ""
                found.add(ssl.PEM_cert_to_DER_cert(text) if text else content)
            except ValueError:
                continue  # It is none, so that it lets nobody in.
    return frozenset(found)


class Unencrypted(SecurityPolicyNone):  # type: ignore[misc]
    """No encryption; a certificate that such a client sends proves nothing, and is not looked at."""

    def __init__(self, peer_cert: Any = None, *arguments: Any, **named: Any) -> None:
        super().__init__(None, *arguments, **named)


class SecuredServer(Server):  # type: ignore[misc]
    """The library's server, with that policy in the place of its own."""

    async def _setup_server_nodes(self) -> None:
        await super()._setup_server_nodes()
        for factory in self._policies:
            if factory.cls is SecurityPolicyNone:
                factory.cls = Unencrypted


class StationServer(InternalServer):  # type: ignore[misc]
    """A server whose sessions know who may do what."""

    def __init__(self, certificates: Certificates, allow_unencrypted: bool) -> None:
        super().__init__()
        self.certificates, self.allow_unencrypted = certificates, allow_unencrypted
        self.allow_remote_admin = False
        self.supported_tokens = (ua.AnonymousIdentityToken, ua.X509IdentityToken)
        self.max_connections = 100
        self.max_subscriptions = 200
        self.max_monitored_item_queue_size = 1000
        self.max_unacked_messages_per_subscription = 100
        self.max_pending_messages_per_connection = 100
        self.max_pending_activation_seconds = 10.0

    def create_session(self, name: Any, user: User | None = None, external: bool = False) -> StationSession:
        return StationSession(self, self.aspace, self.subscription_service, name, user or User(), external)

    def register_external_session(self, session: InternalSession) -> None:
        session.auth_token = ua.NodeId(secrets.token_bytes(32), 0)  # The library's own can be guessed.
        super().register_external_session(session)

    def register_server(self, server: Any, conf: Any = None) -> None:
        raise ServiceError(ua.StatusCodes.BadServiceUnsupported)  # It would keep whatever anybody sends.


class StationSession(InternalSession):  # type: ignore[misc]
    """A session; the certificate of its channel is looked at, whatever the client says of itself."""

    iserver: StationServer

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._trusted: frozenset[bytes] = frozenset()
        self._users: frozenset[bytes] = frozenset()
        self._peer: bytes | None = None  # Once it is activated.

    async def create_session(self, params: ua.CreateSessionParameters, sockname: Any = None) -> Any:
        self._trusted = await self.iserver.certificates.trusted()
        self._users = await self.iserver.certificates.users()
        return await super().create_session(params, sockname)

    def activate_session(self, params: ua.ActivateSessionParameters, peer_certificate: bytes | None) -> Any:
        encrypted = bool(peer_certificate)
        if peer_certificate:
            _check(peer_certificate, self._trusted, ua.StatusCodes.BadCertificateUntrusted)
        elif not self.iserver.allow_unencrypted:  # The library lets everybody open such a channel.
            raise ServiceError(ua.StatusCodes.BadSecurityPolicyRejected)
        if self._peer not in (None, peer_certificate or b""):
            raise ServiceError(ua.StatusCodes.BadSecurityChecksFailed)
        token = params.UserIdentityToken
        logs_in = isinstance(token, ua.X509IdentityToken)
        if logs_in:
            _check(token.CertificateData, self._users, ua.StatusCodes.BadIdentityTokenRejected)
        result = super().activate_session(params, peer_certificate)
        self._peer = peer_certificate or b""
        self.user = self._client(token.CertificateData if logs_in else None, encrypted)
        return result

    def _client(self, certificate: bytes | None, encrypted: bool) -> Client:
        host = str(self.name[0]) if isinstance(self.name, tuple) else ""
        if encrypted:
            name = _common_name(certificate) if certificate else ""
            return Client(UserRole.User, name or host, may_call=certificate is not None)
        return Client(UserRole.User, host, may_call=_is_this_machine(host))

    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        if len(params) > MOST_CALLS:
            raise ServiceError(ua.StatusCodes.BadTooManyOperations)
        if not (isinstance(self.user, Client) and self.user.may_call):
            refused = ua.StatusCode(ua.StatusCodes.BadUserAccessDenied)
            return [ua.CallMethodResult(StatusCode=refused) for _ in params]
        reset = CALLER.set(f"opcua:{self.user.name}")
        try:
            result: list[ua.CallMethodResult] = await super().call(params)
            return result
        finally:
            CALLER.reset(reset)

    async def read(self, params: ua.ReadParameters) -> Any:
        self._check_count(params.NodesToRead)
        return await super().read(params)

    async def browse(self, params: ua.BrowseParameters) -> Any:
        self._check_count(params.NodesToBrowse)
        return await super().browse(params)

    async def create_monitored_items(self, params: ua.CreateMonitoredItemsParameters) -> Any:
        self._check_count(params.ItemsToCreate)
        return await super().create_monitored_items(params)

    def _check_count(self, wanted: Any) -> None:
        if self.external and len(wanted or ()) > MOST_NODES:
            raise ServiceError(ua.StatusCodes.BadTooManyOperations)


def _check(certificate: bytes, known: frozenset[bytes], refusal: int) -> None:
    """Raises where a certificate is not known, or not valid at this time."""
    if certificate not in known:
        raise ServiceError(refusal)
    parsed, now = x509.load_der_x509_certificate(certificate), datetime.now(timezone.utc)
    if not parsed.not_valid_before_utc <= now <= parsed.not_valid_after_utc:
        raise ServiceError(ua.StatusCodes.BadCertificateTimeInvalid)


def _common_name(certificate: bytes) -> str:
    names = x509.load_der_x509_certificate(certificate).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _is_this_machine(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def application_uri(certificate: x509.Certificate) -> str | None:
    """The name under which a certificate was issued to a server; clients hold it against what the server says."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), None)
