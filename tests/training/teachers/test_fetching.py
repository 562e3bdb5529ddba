import http.server
import re
import threading
from typing import ClassVar

import pytest
import torch

from edgekd.artifact import sha256, write_json
from edgekd.errors import MachineError
from edgekd.models.backbones.resnet import ResNet
from edgekd.training.teachers import catalogue
from edgekd.training.teachers.fetching import download
from edgekd.training.teachers.files import is_stored

from ...run_command import main


class Publisher(http.server.BaseHTTPRequestHandler):
    """Serves one file; it can refuse ranges, and break off after so many bytes of an answer."""

    content = b""
    ranges = True
    etag = '"one"'
    break_after = None
    asked: ClassVar[list[str]] = []

    def do_GET(self):
        asked = self.headers.get("Range")
        type(self).asked.append(asked)
        if self.path != "/file":
            return self.send_error(404)
        same = self.etag is not None and self.headers.get("If-Range") == self.etag
        start = int(re.match(r"bytes=(\d+)-", asked)[1]) if asked and self.ranges and same else 0
        if start and start >= len(self.content):
            return self.send_error(416)
        body = self.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        if self.etag is not None:
            self.send_header("ETag", self.etag)
        self.end_headers()
        self.wfile.write(body[: self.break_after])
        return None

    def log_message(self, *words):
        pass


@pytest.fixture
def publisher():
    handler = type("Handler", (Publisher,), {"content": bytes(range(256)) * 4000, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.url = f"http://127.0.0.1:{server.server_port}/file"
    yield handler
    server.shutdown()
    server.server_close()


def nothing(there, total):
    pass


def test_a_download_comes_whole_and_tells_how_far_it_is(publisher, tmp_path):
    told = []
    download(publisher.url, tmp_path / "deep" / "file", lambda there, total: told.append((there, total)))
    assert (tmp_path / "deep" / "file").read_bytes() == publisher.content
    assert told[-1] == (len(publisher.content),) * 2
    assert [there for there, _ in told] == sorted(there for there, _ in told)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_goes_on(publisher, tmp_path, ranges):
    publisher.break_after, publisher.ranges = 300_000, ranges
    with pytest.raises(MachineError, match="run the same command again to resume"):
        download(publisher.url, tmp_path / "file", nothing)
    assert not (tmp_path / "file").exists()
    publisher.break_after = None
    download(publisher.url, tmp_path / "file", nothing)
    assert (tmp_path / "file").read_bytes() == publisher.content
    assert publisher.asked == [None, "bytes=300000-"]


def test_a_part_longer_than_the_file_is_thrown_away(publisher, tmp_path):
    (tmp_path / "file.part").write_bytes(b"x" * (len(publisher.content) + 1))
    write_json(tmp_path / "file.part.json", {"url": publisher.url, "validator": publisher.etag})
    download(publisher.url, tmp_path / "file", nothing)
    assert (tmp_path / "file").read_bytes() == publisher.content


def test_a_server_that_refuses_or_is_not_there_costs_one_line(publisher, tmp_path):
    with pytest.raises(MachineError, match="responded 404"):
        download(publisher.url + "s", tmp_path / "file", nothing)
    with pytest.raises(MachineError, match="edgekd teachers import"):
        download("http://127.0.0.1:9/file", tmp_path / "file", nothing)


@pytest.fixture
def resnet18_at(publisher, tmp_path, monkeypatch):
    """Publishes a ResNet18 under its hash, or under another."""
    torch.manual_seed(0)
    torch.save(ResNet("resnet18").state_dict(), tmp_path / "made.pth")
    publisher.content = (tmp_path / "made.pth").read_bytes()
    monkeypatch.setenv("EDGEKD_TEACHERS", str(tmp_path / "store"))

    def publish(digest=None):
        name = f"resnet18-{digest or sha256(tmp_path / 'made.pth')[:8]}.pth"
        entry = catalogue.CATALOGUE["resnet18"]._replace(url=publisher.url.replace("/file", f"/{name}"))
        monkeypatch.setitem(catalogue.CATALOGUE, "resnet18", entry)
        publisher.do_GET = lambda self: (setattr(self, "path", "/file"), Publisher.do_GET(self))[1]

    return publish


def test_a_teacher_is_fetched_checked_and_kept(resnet18_at, publisher, tmp_path, capsys):
    resnet18_at()
    assert main(["teachers", "fetch", "resnet18"]) == 0
    assert is_stored("resnet18")
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["resnet18.json", "resnet18.safetensors"]
    assert main(["teachers", "fetch", "resnet18"]) == 0
    assert "here already" in capsys.readouterr().out
    assert len(publisher.asked) == 1


def test_a_fetched_file_with_a_wrong_hash_is_not_kept(resnet18_at, tmp_path, capsys):
    resnet18_at("0badcafe")
    assert main(["teachers", "fetch", "resnet18"]) == 2
    assert "that in its name with 0badcafe" in capsys.readouterr().err
    assert list((tmp_path / "store").iterdir()) == []
