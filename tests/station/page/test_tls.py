"""TLS of the page: which files are taken, what is warned of, and new ones without a restart."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from datetime import datetime, timedelta, timezone

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from edgekd.errors import EdgekdError
from edgekd.station.page import tls
from edgekd.station.page.tls import keep_current, server_context, warning_of

CA = trustme.CA()


def write(folder, name="127.0.0.1", authority=CA, **more):
    """Puts a certificate and its key in the folder, and gives their paths."""
    made = authority.issue_cert(name, **more)
    certificate, key = folder / "page.pem", folder / "page.key"
    made.cert_chain_pems[0].write_to_path(certificate)
    made.private_key_pem.write_to_path(key)
    key.chmod(0o600)
    return certificate, key


def served_by(context):
    """The certificate that a browser gets from a server with this context."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(client)
    ends = [[ssl.MemoryBIO(), ssl.MemoryBIO()] for _ in range(2)]
    browser = client.wrap_bio(*ends[0], server_hostname="127.0.0.1")
    server = context.wrap_bio(*ends[1], server_side=True)
    for _ in range(10):
        for side, (_, out), (into, _) in ((browser, ends[0], ends[1]), (server, ends[1], ends[0])):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
            into.write(out.read())
    assert browser.version() in ("TLSv1.2", "TLSv1.3")
    return browser.getpeercert()["serialNumber"]


def test_a_browser_reaches_a_server_with_these_files(tmp_path):
    context = server_context(*write(tmp_path))
    assert served_by(context)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.skipif(os.name != "posix", reason="files have no modes here")
def test_a_key_that_others_may_read_is_refused(tmp_path):
    certificate, key = write(tmp_path)
    key.chmod(0o640)
    with pytest.raises(EdgekdError, match=r"open to other users \(mode 0640\): run chmod 600"):
        server_context(certificate, key)


def test_files_that_are_none_or_do_not_belong_together_are_refused(tmp_path):
    certificate, key = write(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, other_key = write(other)
    with pytest.raises(EdgekdError, match="do not belong together: name others"):
        server_context(certificate, other_key)
    with pytest.raises(EdgekdError, match="are no certificate and key in PEM"):
        server_context(key, key)
    with pytest.raises(EdgekdError, match=r"nothing.pem cannot be read: No such file"):
        server_context(certificate, tmp_path / "nothing.pem")
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    secret = serialization.BestAvailableEncryption(b"secret")
    key.write_bytes(loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret))
    with pytest.raises(EdgekdError, match="has a password: store the key without one"):
        server_context(certificate, key)


def test_people_are_told_before_a_certificate_expires(tmp_path):
    now = datetime.now(timezone.utc)
    certificate, _ = write(tmp_path, not_before=now - timedelta(days=2), not_after=now + timedelta(days=60))
    assert warning_of(certificate) == ""
    assert "expires on" in warning_of(certificate, now + timedelta(days=31))
    assert "expired on" in warning_of(certificate, now + timedelta(days=61))
    assert "not valid yet: check the machine's clock" in warning_of(certificate, now - timedelta(days=3))
    certificate.write_text("none")
    assert "cannot be read" in warning_of(certificate)
    assert "cannot be read" in warning_of(tmp_path / "nothing.pem")


def test_new_files_are_taken_while_the_server_runs_and_wrong_ones_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(tls, "LOOKED_AT_S", 0)
    files = write(tmp_path)
    context = server_context(*files)
    before, warned = served_by(context), []

    async def run():
        async def until(condition):
            while not condition():
                await asyncio.sleep(0)

        keeping = asyncio.create_task(keep_current(context, *files, warned.append))
        files[0].write_text("half of it")
        await asyncio.wait_for(until(lambda: warned), 30)
        assert served_by(context) == before
        write(tmp_path)
        await asyncio.wait_for(until(lambda: served_by(context) != before), 30)
        files[0].unlink()
        warned.clear()
        await asyncio.wait_for(until(lambda: warned), 30)
        keeping.cancel()

    asyncio.run(run())
    assert served_by(context) != before
    assert "cannot be read" in warned[0]
