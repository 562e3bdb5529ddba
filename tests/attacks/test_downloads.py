"""Servers that exchange a file, send another part, redirect away from https or never end, and what refuses them."""

import http.server
import json
import ssl
import threading

import pytest
import torch
import trustme

from edgekd.artifact import sha256
from edgekd.errors import ArtifactError, MachineError
from edgekd.models.backbones.pdn import pdn
from edgekd.training.teachers import catalogue
from edgekd.training.teachers.fetching import download
from edgekd.training.teachers.files import is_stored, stored_file

from ..run_command import main


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers each request as its server's `answer` decides: status, headers, body."""

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        status, headers, body = self.server.answer(self)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


@pytest.fixture
def serve():
    """Starts servers on this machine; with a certificate authority, of https."""
    servers = []

    def start(answer, authority=None):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.answer, server.asked = answer, []
        scheme = "http"
        if authority is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("localhost").configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.url = f"{scheme}://localhost:{server.server_port}/file"
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def authority(tmp_path, monkeypatch):
    """A certificate authority that this process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


def whole(content, etag=None):
    headers = {"Content-Length": str(len(content))} | ({"ETag": etag} if etag else {})
    return lambda request: (200, headers, content)


def cut(content, etag=None):
    headers = {"Content-Length": str(len(content))} | ({"ETag": etag} if etag else {})
    return lambda request: (200, headers, content[: len(content) // 2])


def ignore(there, total):
    pass


@pytest.mark.parametrize(("before", "after"), [('"one"', '"two"'), (None, None), ('W/"weak"', 'W/"weak"')])
def test_a_file_that_was_exchanged_meanwhile_is_not_mixed_with_the_first_half(serve, tmp_path, before, after):
    """The second answer is whole: the server sees by If-Range that its file is another, or is not asked for a part."""
    old, new = b"o" * 10_000, b"n" * 10_000
    server = serve(cut(old, before))
    with pytest.raises(MachineError, match="broke off after 5000 of 10000"):
        download(server.url, tmp_path / "file", ignore)
    server.answer = whole(new, after)
    download(server.url, tmp_path / "file", ignore)
    assert (tmp_path / "file").read_bytes() == new
    asked = server.asked[1][1]
    assert asked.get("If-Range") == (before if before == '"one"' else None)
    assert ("Range" in asked) == (before == '"one"')
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_part_of_another_place_is_not_taken(serve, tmp_path):
    server = serve(cut(b"o" * 10_000, '"one"'))
    with pytest.raises(MachineError):
        download(server.url, tmp_path / "file", ignore)
    server.answer = lambda request: (206, {"Content-Range": "bytes 0-9999/10000"}, b"n" * 10_000)
    with pytest.raises(MachineError, match="sent another part than was asked for"):
        download(server.url, tmp_path / "file", ignore)
    assert not (tmp_path / "file").exists()


def test_a_part_of_another_address_is_not_resumed(serve, tmp_path):
    first, second = serve(cut(b"o" * 10_000, '"one"')), serve(whole(b"n" * 10_000, '"one"'))
    with pytest.raises(MachineError):
        download(first.url, tmp_path / "file", ignore)
    download(second.url, tmp_path / "file", ignore)
    assert (tmp_path / "file").read_bytes() == b"n" * 10_000
    assert "Range" not in second.asked[0][1]


def test_https_is_downloaded_and_redirects_within_it_are_followed(serve, authority, tmp_path):
    target = serve(whole(b"weights"), authority)
    server = serve(lambda request: (302, {"Location": target.url, "Content-Length": "0"}, b""), authority)
    download(server.url, tmp_path / "file", ignore)
    assert (tmp_path / "file").read_bytes() == b"weights"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_from_https_to_http_is_not_followed(serve, authority, tmp_path, status):
    open_line = serve(whole(b"of somebody on the way"))
    server = serve(lambda request: (status, {"Location": open_line.url, "Content-Length": "0"}, b""), authority)
    with pytest.raises(MachineError, match=f"redirects to {open_line.url}, which is not https"):
        download(server.url, tmp_path / "file", ignore)
    assert open_line.asked == []
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://localhost/x", "data:,x"])
def test_a_redirect_to_a_file_of_this_machine_is_not_followed(serve, authority, tmp_path, target):
    for server in (serve(redirect(target), authority), serve(redirect(target))):
        with pytest.raises(MachineError):
            download(server.url, tmp_path / "file", ignore)
        assert not (tmp_path / "file").exists()


def redirect(target):
    return lambda request: (302, {"Location": target, "Content-Length": "0"}, b"")


def test_a_certificate_that_nobody_vouches_for_is_refused(serve, tmp_path):
    server = serve(whole(b"weights"), trustme.CA())
    with pytest.raises(MachineError, match="certificate"):
        download(server.url, tmp_path / "file", ignore)


@pytest.mark.parametrize("stated", [True, False])
def test_a_file_larger_than_it_should_be_is_given_up_and_nothing_of_it_is_kept(serve, tmp_path, stated):
    headers = {"Content-Length": "3000000"} if stated else {}
    server = serve(lambda request: (200, headers, bytes(3_000_000)))
    with pytest.raises(ArtifactError, match="the file should have 1000000 at most: not downloaded"):
        download(server.url, tmp_path / "file", ignore, most_bytes=1_000_000)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def publisher(serve, tmp_path, monkeypatch):
    """A server in the place of EfficientAD's, which gives no hash."""
    monkeypatch.setenv("EDGEKD_TEACHERS", str(tmp_path / "store"))
    server = serve(whole(b""))
    entry = catalogue.CATALOGUE["efficientad_small"]._replace(url=server.url.replace("/file", "/teacher_small.pth"))
    monkeypatch.setitem(catalogue.CATALOGUE, "efficientad_small", entry)

    def publish(seed):
        torch.manual_seed(seed)
        torch.save(pdn("pdn_small").state_dict(), tmp_path / "made.pth")
        server.answer = whole((tmp_path / "made.pth").read_bytes())
        return sha256(tmp_path / "made.pth")

    return publish


def test_the_first_hash_of_a_file_without_one_is_shown_and_another_file_is_refused(publisher, tmp_path, capsys):
    first = publisher(1)
    assert main(["teachers", "fetch", "efficientad_small"]) == 0
    assert f"compare its SHA-256 with that of others, {first}" in capsys.readouterr().err
    kept = json.loads((tmp_path / "store" / "pins.json").read_text())
    assert kept["efficientad_small"]["sha256"] == first
    forget()
    second = publisher(2)
    assert main(["teachers", "fetch", "efficientad_small"]) == 2
    line = capsys.readouterr().err
    assert (
        f"its SHA-256 is {second}, and was {first}; if the publisher replaced it, remove efficientad_small from" in line
    )
    assert not is_stored("efficientad_small")
    publisher(1)
    assert main(["teachers", "fetch", "efficientad_small"]) == 0
    assert "compare its SHA-256" not in capsys.readouterr().err
    assert is_stored("efficientad_small")


def forget():
    for suffix in (".safetensors", ".json"):
        stored_file("efficientad_small").with_suffix(suffix).unlink()


def test_a_damaged_file_of_hashes_is_named(publisher, tmp_path, capsys):
    publisher(1)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "pins.json").write_text("[]")
    assert main(["teachers", "fetch", "efficientad_small"]) == 2
    assert "pins.json is damaged: remove it" in capsys.readouterr().err
