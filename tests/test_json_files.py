import json
import os
import socket
import threading
import time
import tracemalloc

import pytest

from edgekd.errors import ArtifactError
from edgekd.json_files import MOST_BYTES, read_json, read_object

from .mutations import deranged


def refusal(path, content=None, read=read_json):
    """The one line by which a file is refused."""
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ArtifactError) as caught:
        read(path)
    line = str(caught.value)
    assert str(path) in line
    assert "\n" not in line
    return line.replace(str(path), "FILE")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"a": NaN}', "FILE is not valid JSON: it holds NaN, which is not a finite number"),
        ('{"a": -Infinity}', "FILE is not valid JSON: it holds -Infinity, which is not a finite number"),
        ('{"a": 1e999}', "FILE is not valid JSON: it holds 1e999, which is not a finite number"),
        ("[18446744073709551616]", "FILE is not valid JSON: it holds 18446744073709551616, which is too large for an "),
        ("1" * 5000, "which is too large for an integer"),
        ('{"a": 1, "b": 2, "a": 1}', "FILE is not valid JSON: an object holds 'a' twice"),
        ('{"a\\n": 1, "a\\n": 1}', r"an object holds 'a\n' twice"),
        ('{"\\udf00": 1}', r"it holds text that is not Unicode: \udf00"),
        ("[" * 66 + "]" * 66, "it is nested more than 64 levels deep"),
        ("[" * 100_000, "it is nested too deeply"),
        ('{"a":' * 100_000, "it is nested too deeply"),
        (b"\xff\xfe{}", "FILE is not valid JSON: 'utf-8' codec can't decode byte 0xff in position 0"),
        ("", "FILE is not valid JSON: Expecting value"),
        ("{} {}", "FILE is not valid JSON: Extra data"),
    ],
)
def test_what_is_not_plain_json_of_finite_numbers_is_refused_in_a_line(tmp_path, content, complaint):
    assert complaint in refusal(tmp_path / "x.json", content)


def test_what_edgekd_and_editors_write_is_read(tmp_path):
    content = {"ä": [1, -(2**64) + 1, 1.5, None, True, {"deep": [[[]]]}], "name": "b_\udce4.png"}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content))
    assert read_json(path) == content
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(content, ensure_ascii=True).encode())  # As Notepad saves it.
    assert read_object(path) == content


def test_an_object_is_asked_for_where_one_is_used(tmp_path):
    assert refusal(tmp_path / "x.json", "[1]", read_object).startswith("FILE holds a list in place of an object:")
    assert refusal(tmp_path / "x.json", "true", read_object).startswith("FILE holds true in place of an object:")


def test_a_folder_a_fifo_a_socket_and_a_device_are_refused_at_once(tmp_path):
    (tmp_path / "folder.json").mkdir()
    assert refusal(tmp_path / "folder.json") == "cannot read FILE: it is a folder"
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "device.json").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.json"))
        start = time.monotonic()
        for name in ("fifo.json", "socket.json", "device.json"):
            assert refusal(tmp_path / name) == "cannot read FILE: it is not a regular file"
        assert time.monotonic() - start < 1


def test_a_fifo_that_takes_the_files_place_while_it_is_opened_is_not_waited_for(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    path.write_text("{}")
    regular = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(type(path), "stat", lambda self, **options: regular)
    found = []
    reading = threading.Thread(target=lambda: found.append(refusal(path)), daemon=True)
    reading.start()
    reading.join(5)
    assert found == ["cannot read FILE: it is not a regular file"]


def test_a_gigabyte_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "x.json"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    tracemalloc.start()
    try:
        assert refusal(path) == "FILE is larger than 32 MiB: edgekd wrote no such file, make it again"
        assert tracemalloc.get_traced_memory()[1] < 3 * MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("content", [b"[" + b"[],{},0," * 500_000 + b"0]", b"[[" * 400_000])
def test_many_small_values_in_few_bytes_are_refused_before_they_are_parsed(tmp_path, content):
    start = time.process_time()
    assert "FILE holds more than 600000 values" in refusal(tmp_path / "x.json", content)
    assert time.process_time() - start < 1


def test_a_path_that_no_file_can_have_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="cannot read"):
        read_json(tmp_path / "a\0b.json")


def test_every_deranged_file_is_refused_in_moments(tmp_path):
    files = deranged(json.dumps({"a": ["b"]}).encode())
    del files["many errors"]  # It is JSON: what is wrong with it is its fields.
    for what, content in files.items():
        (tmp_path / "x.json").write_bytes(content)
        start = time.process_time()
        with pytest.raises(ArtifactError, match=r"x\.json (is|holds)"):
            read_object(tmp_path / "x.json")
        assert time.process_time() - start < 2, what
