import os
import socket

import pytest

from edgekd import watchdog


@pytest.fixture(params=["in a folder", "abstract"])
def systemd(request, tmp_path, monkeypatch):
    """A socket that hears what systemd would."""
    path = str(tmp_path / "notify") if request.param == "in a folder" else f"@edgekd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.settimeout(5)
        heard.bind("\0" + path[1:] if path.startswith("@") else path)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        yield heard


def test_systemd_hears_each_state_once(systemd):
    watchdog.ready()
    watchdog.alive()
    watchdog.alive()
    watchdog.stopping()
    assert [systemd.recv(64) for _ in range(4)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"STOPPING=1"]
    systemd.setblocking(False)
    with pytest.raises(BlockingIOError):
        systemd.recv(64)


@pytest.mark.parametrize("address", [None, "", "vsock:2:1234", "/nowhere/notify", "@nobody-listens-here"])
def test_without_a_systemd_that_listens_nothing_happens(address, monkeypatch):
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    before = set(os.listdir("/proc/self/fd"))
    watchdog.ready()
    watchdog.alive()
    watchdog.stopping()
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_socket_that_is_full_does_not_hold_up_an_inspection(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full:
        full.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        for _ in range(5000):  # Nobody reads.
            watchdog.alive()
