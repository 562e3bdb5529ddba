"""The commands of the soak: `edgekd inspect` in a process of its own, and what its log must hold afterwards."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.faults.failures import Failures
from tests.faults.frames import write_frames, write_video

FRAMES = 150
PRINTED_BEFORE = 300  # Bytes, a few verdicts, after which a fault is injected.
TMPFS_KIB = 1024
ENDS_AFTER = 300.0  # Seconds; a command that takes longer hangs.
PRINTED = re.compile(r"^(OK|NG|ERROR)\s+(\S+?#?\d*)\s", re.MULTILINE)


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, what it printed, and its largest memory in MiB."""

    code: int
    printed: list[tuple[str, str]]
    error: str
    mib: float


def _run(
    detector: Path, source: Path, out: Path, end: Callable[[subprocess.Popen[bytes]], None] | None = None
) -> Ended:
    words = ["inspect", "--engine", detector, "--source", source, "--out", out, "--heat-maps", "all"]
    words += ["--backend", "onnxruntime", "--threads", "1", "--readers", "2"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "EDGEKD_CACHE": str(source.parent / "cache")}
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context((source.parent / name).open("w+b")) for name in ("stdout", "stderr")]
        command = [sys.executable, "-m", "edgekd", *map(str, words)]
        process = subprocess.Popen(command, stdout=files[0], stderr=files[1], env=environment)
        killer = threading.Timer(ENDS_AFTER, process.kill)
        killer.daemon = True
        killer.start()
        if end is not None:
            end(process)
        _, status, usage = os.wait4(process.pid, 0)
        killer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in files:
            file.seek(0)
        printed, error = (file.read().decode(errors="replace") for file in files)
    rows = [(name, verdict) for verdict, name in PRINTED.findall(printed)]
    return Ended(process.returncode, rows, error, usage.ru_maxrss / 1024)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process has ended; what it used is read later."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _await_output(place: Path, process: subprocess.Popen[bytes]) -> None:
    """Waits until a command has printed the first verdicts."""
    while (place / "stdout").stat().st_size < PRINTED_BEFORE and not _has_ended(process):
        time.sleep(0.002)


def read_log(out: Path) -> list[tuple[str, str]]:
    """Names and verdicts of a folder's log, in their order."""
    database = out / "verdicts.sqlite"
    if database.exists():
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return [
                (str(name), str(verdict))
                for name, verdict in connection.execute("SELECT name, verdict FROM verdict ORDER BY id")
            ]
    return []


def _check(what: str, rows: list[tuple[str, str]], expected: dict[str, str], failures: Failures, whole: bool) -> None:
    """Every row once, with its verdict; every frame a row, where the command came to its end."""
    for name, count in Counter(name for name, _ in rows).items():
        if count > 1:
            failures.add(what, f"{name} has {count} rows")
    for name, verdict in rows:
        if expected.get(name) != verdict:
            failures.add(what, f"{name} is {verdict}, not {expected.get(name)}")
    if whole and (missing := expected.keys() - {name for name, _ in rows}):
        failures.add(what, f"{len(missing)} of {len(expected)} frames have no row, such as {min(missing)}")


def _check_ended(what: str, ended: Ended, codes: tuple[int, ...], failures: Failures) -> None:
    if ended.code not in codes:
        failures.add(what, f"exit code {ended.code}, not {codes}: {ended.error[-200:].strip()}")
    if "Traceback" in ended.error or "internal error" in ended.error:
        failures.add(what, f"{ended.error[-300:].strip()}")


def folder_that_grows(detector: Path, place: Path, random: np.random.Generator, failures: Failures) -> float:
    """A folder into which more files are written meanwhile; those that were there at the start are accounted for."""
    expected = write_frames(place / "source", FRAMES, random)
    stop = threading.Event()

    def feed() -> None:
        number = 0
        while not stop.wait(0.02):
            (place / "source" / f"later_{number:05}.png").write_bytes(b"half of a file")
            number += 1

    feeder = threading.Thread(target=feed)
    feeder.start()
    ended = _run(detector, place / "source", place / "out")
    stop.set()
    feeder.join()
    rows = [row for row in read_log(place / "out") if not row[0].startswith("later_")]
    _check("folder", rows, expected, failures, whole=True)
    _check(
        "folder, printed", [row for row in ended.printed if not row[0].startswith("later_")], expected, failures, True
    )
    _check_ended("folder", ended, (0,), failures)
    return ended.mib


def video(detector: Path, place: Path, random: np.random.Generator, failures: Failures) -> float:
    """A whole video."""
    place.mkdir()
    expected = write_video(place / "line.avi", FRAMES, random)
    ended = _run(detector, place / "line.avi", place / "out")
    _check("video", read_log(place / "out"), expected, failures, whole=True)
    _check_ended("video", ended, (0,), failures)
    return ended.mib


def stopped(detector: Path, place: Path, random: np.random.Generator, failures: Failures) -> float:
    """A command that is stopped, by SIGTERM or SIGKILL: what it printed is in its log, and running again adds to it."""
    expected = write_frames(place / "source", FRAMES, random)
    number = signal.SIGTERM if random.random() < 0.5 else signal.SIGKILL
    what = f"stopped by {number.name}"

    def end(process: subprocess.Popen[bytes]) -> None:
        _await_output(place, process)
        process.send_signal(number)

    ended = _run(detector, place / "source", place / "out", end)
    before = read_log(place / "out")
    _check(what, before, expected, failures, whole=False)
    if lost := set(ended.printed) - set(before):
        failures.add(what, f"{len(lost)} of {len(ended.printed)} verdicts that were printed are not in the log")
    _check_ended(what, ended, (0, 143) if number is signal.SIGTERM else (0, -9), failures)
    again = _run(detector, place / "source", place / "out")
    after = read_log(place / "out")
    _check(f"{what}, again", after[len(before) :], expected, failures, whole=True)
    if after[: len(before)] != before:
        failures.add(what, "running again changed the rows of before")
    _check_ended(f"{what}, again", again, (0,), failures)
    return max(ended.mib, again.mib)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A disk of one MiB; None where this user may not make one."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_KIB}k", "tmpfs", str(folder)], capture_output=True
    )
    try:
        yield folder if mounted.returncode == 0 else None
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", str(folder)], check=True)


def full_disk(detector: Path, place: Path, random: np.random.Generator, failures: Failures) -> float:
    """A disk that is full for a while: what was printed is in the log, and no frame is passed unseen."""
    expected = write_frames(place / "source", FRAMES, random)
    with small_disk(place / "disk") as disk:
        if disk is None:
            return 0.0
        kept_full, freed = float(random.uniform(0.3, 3)), bool(random.random() < 0.5)

        def fill(process: subprocess.Popen[bytes]) -> None:
            _await_output(place, process)
            end = time.monotonic() + kept_full
            with (disk / "filler").open("wb", buffering=0) as file:
                while not _has_ended(process) and not (freed and time.monotonic() > end):
                    with contextlib.suppress(OSError):  # What is freed meanwhile is taken too.
                        file.write(b"\0" * 4096)
                        continue
                    time.sleep(0.002)
            (disk / "filler").unlink()

        ended = _run(detector, place / "source", disk / "out", fill)
        rows = read_log(disk / "out")
        _check("full disk", rows, expected, failures, whole=ended.code == 0)
        if lost := set(ended.printed) - set(rows):
            failures.add(
                "full disk", f"{len(lost)} of {len(ended.printed)} verdicts that were printed are not in the log"
            )
        _check_ended("full disk", ended, (0, 3), failures)
    return ended.mib


COMMANDS = (
    ("folder that grows", folder_that_grows),
    ("full disk", full_disk),
    ("video", video),
    ("stopped", stopped),
)
