"""Files that are kept for the next start: threads write them in turn, and what is wrong with one is logged."""

import contextlib
import logging
import threading
import time

import pytest

import edgekd.engines.cache as cache_module
from edgekd.engines.cache import KeptFile

LOG = logging.getLogger("edgekd.test")


@pytest.fixture(autouse=True)
def nothing_reported(monkeypatch):
    """No folder was reported as one that cannot be written."""
    monkeypatch.setattr(cache_module, "_unwritable", set())


def test_threads_that_keep_the_same_file_write_it_in_turn(tmp_path, monkeypatch, caplog):
    write_beside = cache_module.write_beside

    @contextlib.contextmanager
    def slow(path, durable):
        with write_beside(path, durable) as part:
            yield part
            time.sleep(0.1)  # In which another thread would take the same temporary file.

    monkeypatch.setattr(cache_module, "write_beside", slow)
    path, contents = tmp_path / "kept.bin", (b"1" * 1000, b"2" * 1000)
    begin, written = threading.Barrier(2), []

    def keep(content):
        file = KeptFile(path, "compiled kernels", LOG)
        begin.wait(10)
        written.append(file.write(content))

    threads = [threading.Thread(target=keep, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert written == [True, True]
    assert caplog.records == []
    assert KeptFile(path, "compiled kernels", LOG).read() in contents


def test_a_file_whose_line_was_logged_already_does_not_silence_those_beside_it(tmp_path, caplog):
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).mkdir()  # Can be neither read nor replaced.
    first, second = (KeptFile(tmp_path / name, "compiled kernels", LOG) for name in ("a.bin", "b.bin"))
    assert first.read() is None
    assert not first.write(b"1")
    assert not second.write(b"2")
    unread, unkept = (record.getMessage() for record in caplog.records)
    assert f"the compiled kernels in {tmp_path / 'a.bin'} cannot be read" in unread
    assert "the compiled kernels are not kept, and the next start compiles them again" in unkept
