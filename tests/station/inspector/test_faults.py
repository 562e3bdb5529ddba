"""What becomes of a part when the inspector's process dies, hangs or is disturbed: an ERROR in time, then a next part.

Run with `make faults`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.inspector import client as client_module
from edgekd.station.inspector import supervisor
from edgekd.station.inspector.judging import is_ok

from .bench import SHORT, Bench
from .parts_by_hand import make_recipe

# Whichever comes first: the deadline, the camera's share of it, or the watch over its driver.
HANGING = (ErrorCode.ANSWER_LATE, ErrorCode.ACQUISITION_TIMEOUT, ErrorCode.CAMERA_LOST)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "SILENT", 1.5)  # Tests need not wait as long as a line does.
    monkeypatch.setattr(supervisor, "UNENDING", 1.0)
    bench = Bench(tmp_path, {"one": ("top",), "two": ("side",)})
    make_recipe(bench.recipes, 1, cameras=("top", "side"))
    bench.run(bench.client.start())
    bench.run(bench.load())
    yield bench
    bench.close()


async def next_part_is_fine(bench, after):
    """The process is started again, knows its recipe, and judges."""
    await bench.until("restarted", after=after)
    inspected = await bench.inspect()
    assert (inspected.error, inspected.recipe_digest) == (ErrorCode.NONE, bench.loaded["one"].digest)
    assert is_ok(inspected)


async def signalled(bench, number, delay, seconds=SHORT):
    """Inspects a part, and sends the process a signal so many seconds after the trigger."""
    acquiring = asyncio.ensure_future(bench.inspect(seconds=seconds))
    await asyncio.sleep(delay)  # The point at which the fault comes.
    os.kill(bench.client.pid, number)
    start = time.monotonic()
    return await acquiring, time.monotonic() - start


@pytest.mark.parametrize("when", ["before", "at the trigger", "in the camera", "in the engine", "after"])
def test_a_process_that_is_killed_costs_an_error_and_is_started_again(bench, when):
    async def kill():
        before, pid = len(bench.happened), bench.client.pid
        if when in ("before", "after"):
            os.kill(pid, signal.SIGKILL)
            if when == "after":
                await bench.until("died", after=before)
            inspected = await bench.inspect()
        elif when == "at the trigger":
            with bench.fault("dies"):
                inspected = await bench.inspect()
        else:
            kind = ("slow 0.4", "top") if when == "in the camera" else ("sleeps 5", "engine")
            with bench.fault(*kind):
                inspected, took = await signalled(bench, signal.SIGKILL, 0.1, seconds=5.0)
            assert took < 2.0  # Long before the deadline.
        assert inspected.error is ErrorCode.INSPECTOR_DIED
        assert not is_ok(inspected)
        await next_part_is_fine(bench, before)
        assert bench.client.pid != pid
        assert not os.path.exists(f"/proc/{pid}")
        assert [event[0] for event in bench.happened].count("died") == 1

    bench.run(kill())


@pytest.mark.parametrize("fault", [("none", "top"), ("slow 0.4", "top"), ("sleeps 0.4", "engine")])
def test_a_process_that_hangs_costs_an_error_at_the_deadline_and_is_killed(bench, fault):
    async def stop():
        before, pid = len(bench.happened), bench.client.pid
        with bench.fault(*fault):
            if fault[0] == "none":
                os.kill(pid, signal.SIGSTOP)
                inspected = await bench.inspect(seconds=SHORT)
            else:
                inspected, _ = await signalled(bench, signal.SIGSTOP, 0.05)
        assert inspected.error is ErrorCode.INSPECTOR_DIED
        assert "it was killed since" in (await bench.until("died", after=before))[0]
        assert (await bench.inspect()).error is ErrorCode.INSPECTOR_DIED
        await next_part_is_fine(bench, before)
        assert not os.path.exists(f"/proc/{pid}")

    bench.run(stop())


def test_an_inference_that_never_ends_is_late_and_then_ends_the_process(bench):
    async def never():
        before = len(bench.happened)
        with bench.fault("never", "engine"):
            assert (await bench.inspect(seconds=SHORT)).error is ErrorCode.ANSWER_LATE
            assert "an inspection did not end" in (await bench.until("died", after=before))[0]
        await next_part_is_fine(bench, before)
        assert not [event for event in bench.happened if event[0] == "late"]

    bench.run(never())


def test_a_camera_whose_driver_never_returns_ends_the_process_and_not_the_other_station(bench):
    async def hang():
        await bench.load(station="two")
        before = len(bench.happened)
        with bench.fault("hangs"):
            inspected, other = await asyncio.gather(bench.inspect(seconds=SHORT), bench.inspect("two"))
            assert inspected.error in HANGING
            assert is_ok(other)
            assert "does not return" in (await bench.until("died", after=before))[0]
        await next_part_is_fine(bench, before)

    bench.run(hang())


def test_a_device_that_is_lost_is_an_error_and_a_new_process_opens_it_again(bench):
    async def lose():
        before = len(bench.happened)
        with bench.fault("lost", "engine"):
            assert (await bench.inspect()).error is ErrorCode.DEVICE_LOST
            await bench.until("died", after=before)
        await next_part_is_fine(bench, before)

    bench.run(lose())


def test_a_device_that_is_lost_in_a_self_test_is_opened_again_by_a_new_process_too(bench):
    async def lose():
        before = len(bench.happened)
        with bench.fault("lost", "engine"):
            report = await bench.client.self_test("one")
            assert not report.passed
            assert "ERROR 304" in report.text
            await bench.until("died", after=before)
        await next_part_is_fine(bench, before)
        assert (await bench.client.self_test("one")).passed

    bench.run(lose())


def test_three_deaths_in_ten_minutes_are_told_and_it_is_still_started_again(bench):
    async def die():
        for count in (1, 2, 3):
            before = len(bench.happened)
            os.kill(bench.client.pid, signal.SIGKILL)
            await next_part_is_fine(bench, before)
            assert [event[0] for event in bench.happened].count("failing") == (count == 3)

    bench.run(die())


def test_a_recipe_that_was_altered_meanwhile_is_not_loaded_again(bench):
    async def alter():
        before = len(bench.happened)
        path = bench.recipes / "plate1" / "1" / "x.onnx"
        content = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.kill(bench.client.pid, signal.SIGKILL)
        station, error = await bench.until("unloaded", after=before)
        assert (station, error.code) == ("one", ErrorCode.DIGEST_DIFFERS)
        await bench.until("restarted", after=before)
        assert (await bench.inspect()).error is ErrorCode.LOADING_FAILED

    bench.run(alter())


def test_loading_that_never_ends_fails_and_so_does_loading_that_is_interrupted(bench, monkeypatch):
    async def load():
        monkeypatch.setattr(client_module, "LOADING", 1.0)
        make_recipe(bench.recipes, 2, backend="openvino")
        for kill in (False, True):
            before = len(bench.happened)
            with bench.fault("for ever", "loading"):
                loading = asyncio.ensure_future(bench.client.load("one", 2))
                if kill:
                    await asyncio.sleep(0.3)
                    os.kill(bench.client.pid, signal.SIGKILL)
                with pytest.raises(StationError) as failure:
                    await loading
                assert failure.value.code is ErrorCode.LOADING_FAILED
                await bench.until("died", after=before)
            monkeypatch.setattr(client_module, "LOADING", 60.0)
            await bench.until("restarted", after=before)
            assert (await bench.inspect()).error is ErrorCode.LOADING_FAILED

    bench.run(load())


def test_a_process_that_does_not_start_is_told_at_the_start_and_tried_again_later(bench, tmp_path_factory):
    async def start():
        before = len(bench.happened)
        with bench.fault("exit", "start"):
            os.kill(bench.client.pid, signal.SIGKILL)
            await bench.until("failing", after=before)
        await next_part_is_fine(bench, before)

    other = Bench(tmp_path_factory.mktemp("other"), {"one": ("top",)})
    with other.fault("exit", "start"), pytest.raises(StationError) as failure:
        other.run(other.client.start())
    assert failure.value.code is ErrorCode.INSPECTOR_DIED
    other.close()
    bench.run(start())


def test_neither_processes_nor_descriptors_are_left_after_ten_deaths(bench):
    async def die(times):
        for _ in range(times):
            before = len(bench.happened)
            bench.client._supervisor._deaths.clear()
            os.kill(bench.client.pid, signal.SIGKILL)
            await bench.until("restarted", after=before)

    def open_files():
        return len(os.listdir("/proc/self/fd"))

    bench.run(die(1))
    before = open_files()
    bench.run(die(4))
    assert open_files() == before
    children = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "pid=,stat="], capture_output=True, text=True)
    alive = [line for line in children.stdout.splitlines() if "ps" not in line]
    assert not [line for line in alive if "Z" in line]


PARENT = """
import asyncio, sys
from pathlib import Path
from tests.station.inspector.bench import Bench

async def main(bench):
    await bench.client.start()
    print(bench.client.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main(Bench(Path(sys.argv[1]), {"one": ("top",)})))
"""


@pytest.mark.parametrize("busy", [False, True])
def test_the_process_ends_with_control_however_that_ends(tmp_path, busy):
    root = os.path.dirname(__file__).rsplit("/tests/", 1)[0]
    environment = os.environ | {"PYTHONPATH": root}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    pid = int(parent.stdout.readline())
    if busy:
        os.kill(pid, signal.SIGSTOP)  # It cannot see that its connection ended.
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    end = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_running(pid)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as status:
            return status.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False
