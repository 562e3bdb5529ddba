"""Files that are sent to harm: too many pixels, too many files, no images, names that are paths."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image
from starlette.datastructures import UploadFile

from edgekd.station.page.roles import Role
from edgekd.station.page.routes.teach import MOST_FILES

from .stage import client, make_page

URL = "/api/teach/bolt/uploads"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    made = make_page(tmp_path_factory.mktemp("page"))
    made.projects.create("bolt", "line", "M4", 3, "erik")
    return made


@pytest.fixture(scope="module")
def engineer(page):
    return client(page, Role.ENGINEER, errors=False)


def encoded(kind="PNG", seed=0, **how):
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **how)
    return buffer.getvalue()


def png(width, height, content=b""):
    """A PNG that claims a size, whatever is in it."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", b"\0" * 1_000_000)
    return buffer.getvalue()


def send(engineer, content, name="a.png", kind="image/png"):
    return engineer.post(URL, files={"files": (name, content, kind)}, data={"label": "good"})


@pytest.mark.parametrize(
    "content",
    [
        png(60_000, 60_000, zlib.compress(b"\0" * 10_000_000)),
        png(2**31 - 1, 2**31 - 1),
        png(64, 64),
        png(0, 0),
        encoded()[:500],
        encoded("GIF", save_all=True, append_images=[Image.new("RGB", (64, 64), (n, 0, 0)) for n in range(50)]),
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"<html><script>alert(1)</script></html>",
        zipped(),
        b"\0" * 100_000,
        b"",
    ],
    ids=[
        "pixels",
        "overflow",
        "empty image",
        "no size",
        "cut off",
        "many images",
        "svg",
        "html",
        "zip",
        "zeros",
        "empty",
    ],
)
def test_what_is_no_image_or_too_large_is_refused_and_not_kept(page, engineer, content):
    before = sorted(page.data.rglob("*"))
    answer = send(engineer, content)
    assert answer.status_code in (201, 422)
    if answer.status_code == 201:
        assert answer.json()["added"] == []
        assert len(answer.json()["refused"]) == 1
        assert "\n" not in answer.json()["refused"][0]["text"]
    assert [path for path in sorted(page.data.rglob("*")) if path not in before and path.is_file()] == []


@pytest.mark.parametrize(
    "name",
    [
        "../../evil.png",
        "/etc/evil.png",
        "..\\evil.png",
        "a\x00.png",
        "<img src=x onerror=alert(1)>.png",
        "a" * 3000,
        "..",
    ],
)
def test_the_name_of_a_file_reaches_no_path_and_no_html(page, engineer, name):
    answer = send(engineer, encoded(seed=abs(hash(name)) % 2**32), name)
    assert answer.status_code < 500
    project = page.data / "teach" / "bolt"
    for path in page.data.parent.rglob("*"):
        assert "evil" not in path.name
        assert "img" not in path.name
    assert not list(page.data.parent.glob("*.png"))
    assert all(path.is_relative_to(project) for path in page.data.rglob("*.png"))
    answer = engineer.get("/api/teach/bolt/images")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_was_sent_comes_back_as_a_jpeg_made_here(page, engineer):
    comment = b"<script>alert(1)</script>"
    added = send(engineer, encoded("JPEG", seed=9, comment=comment)).json()["added"]
    for kind in ("thumbnail", "full"):
        answer = engineer.get(f"/api/teach/bolt/images/{added[0]['id']}/{kind}")
        assert answer.headers["content-type"] == "image/jpeg"
        assert comment not in answer.content


def test_too_many_files_and_fields_are_refused(engineer):
    files = [("files", (f"{number}.png", b"x", "image/png")) for number in range(MOST_FILES + 1)]
    assert engineer.post(URL, files=files).status_code in (400, 413, 422)
    assert engineer.post(URL, data={f"field{number}": "x" for number in range(50)}).status_code in (400, 413, 422)


@pytest.mark.parametrize("body", [b"--x\r\nContent-Disposition: form-data", b"--y--", b"", b"\r\n" * 1000])
def test_a_form_that_is_none_is_refused(engineer, body):
    answer = engineer.post(URL, content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code in (400, 422)
    assert engineer.post(URL, content=body, headers={"Content-Type": "multipart/form-data"}).status_code in (400, 422)


def test_a_file_of_more_bytes_than_an_image_may_take_is_refused_before_it_is_read(engineer, monkeypatch):
    read = []
    real = UploadFile.read

    async def counting(file, size=-1):
        content = await real(file, size)
        read.append(len(content))
        return content

    monkeypatch.setattr(UploadFile, "read", counting)
    monkeypatch.setenv("EDGEKD_IMAGE_MEMORY_MB", "1")
    large, small = b"\0" * 1_500_000, encoded(seed=77)
    files = [("files", ("large.bin", large, "image/png")), ("files", ("small.png", small, "image/png"))]
    told = engineer.post(URL, files=files, data={"label": "good"}).json()
    assert [each["name"] for each in told["added"]] == ["small.png"]
    assert [each["name"] for each in told["refused"]] == ["large.bin"]
    assert "more than the 1 MB" in told["refused"][0]["text"]
    assert read == [len(small)]
