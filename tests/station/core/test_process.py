"""The service as systemd sees it: signs of life, signals, and a clock that is set."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekd.station.error_codes import ErrorCode

from ..counterparts import missing
from ..inspector.bench import Bench as Stage
from ..inspector.parts_by_hand import make_recipe

ROOT = Path(__file__).parents[3]
SECONDS = 60.0
DAY_MS = 86_400_000
FAKETIME = "/usr/lib/{}-linux-gnu/faketime/libfaketime.so.1"

pytestmark = pytest.mark.faults


class Systemd:
    """The socket that systemd would read."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)

    def hears(self, message, seconds=SECONDS):
        """Whether a message comes in time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                if self.socket.recv(64) == message:
                    return True
        return False

    def forget(self):
        """Drops what came until now."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.recv(64)


@pytest.fixture
def systemd(tmp_path):
    systemd = Systemd(tmp_path / "notify")
    yield systemd
    systemd.socket.close()


@pytest.fixture
def folder(tmp_path):
    stage = Stage(tmp_path, {"press": ("top",)})
    stage.loop.close()
    make_recipe(stage.recipes, 1)
    return tmp_path


@contextlib.contextmanager
def serving(folder, systemd, **environment):
    """A station in a process of its own, ready."""
    environment = os.environ | {"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "1000000", **environment}
    environment["PYTHONPATH"] = str(ROOT)
    process = subprocess.Popen([sys.executable, "-m", "tests.station.core.serving", folder], env=environment, cwd=ROOT)
    try:
        assert systemd.hears(b"READY=1")
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def rows(folder, query):
    with contextlib.closing(sqlite3.connect(f"file:{folder / 'data' / 'verdicts.sqlite'}?mode=ro", uri=True)) as file:
        return file.execute(query).fetchall()


def until(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def five_good_parts(folder):
    good = "SELECT count(*) FROM verdict WHERE verdict = 'OK'"
    counted = rows(folder, good)[0][0]
    until(lambda: rows(folder, good)[0][0] >= counted + 5)


def test_a_frozen_control_sends_no_sign_of_life_and_goes_on_when_it_thaws(folder, systemd):
    with serving(folder, systemd) as process:
        assert systemd.hears(b"WATCHDOG=1")
        process.send_signal(signal.SIGSTOP)
        systemd.forget()
        assert not systemd.hears(b"WATCHDOG=1", seconds=1.5)
        process.send_signal(signal.SIGCONT)
        assert systemd.hears(b"WATCHDOG=1", seconds=5)
        before = rows(folder, "SELECT count(*) FROM verdict")
        until(lambda: rows(folder, "SELECT count(*) FROM verdict WHERE verdict = 'OK'") > before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_by_that_signal_with_every_part_answered_on_record(folder, systemd, number):
    with serving(folder, systemd) as process:
        until(lambda: rows(folder, "SELECT 1 FROM verdict WHERE verdict = 'OK'"))
        process.send_signal(number)
        assert systemd.hears(b"STOPPING=1", seconds=10)
        assert process.wait(20) == (130 if number == signal.SIGINT else -number)
    begun = rows(folder, "SELECT count(*) FROM acquisition")
    answered = rows(folder, "SELECT count(*) FROM result WHERE acquisition_id > 0")
    assert begun == answered
    assert rows(folder, "SELECT count(*) FROM verdict WHERE verdict != 'OK'") == [(0,)]
    assert rows(folder, "SELECT value FROM meta WHERE name = 'last_clean_stop'") == [("1",)]


def test_a_clock_set_by_a_day_and_back_changes_no_verdict_and_ids_still_rise(folder, systemd):
    library = next(filter(os.path.exists, (FAKETIME.format(each) for each in ("x86_64", "aarch64"))), None)
    if library is None:
        missing("libfaketime", "apt-get install faketime")
    stamp = folder / "faketime"
    stamp.write_text("+0d")
    fake = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(stamp), "FAKETIME_NO_CACHE": "1"}
    fake["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"  # No clock of the machine sets that one back.
    with serving(folder, systemd, **fake):
        for moment in ("-1d", "+1d", "+0d"):
            five_good_parts(folder)
            stamp.write_text(moment)
        warned = f"SELECT 1 FROM alarm WHERE code = {ErrorCode.CLOCK_JUMPED.value}"
        until(lambda: rows(folder, warned))
        five_good_parts(folder)
    stamps = [row[0] for row in rows(folder, "SELECT triggered_ms FROM result ORDER BY id")]
    steps = [later - earlier for earlier, later in itertools.pairwise(stamps)]
    assert min(steps) < -0.9 * DAY_MS
    assert max(steps) > 0.9 * DAY_MS
    took = [row[0] for row in rows(folder, "SELECT end_to_end_ms FROM verdict")]
    assert max(took) < 1000
