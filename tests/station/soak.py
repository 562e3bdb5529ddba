"""Two stations of one process for minutes, with their PLCs at full speed, while faults are injected at random.

    python -m tests.station.soak [--minutes 30] [--seed 0] [--json FILE]

`edgekd station` runs as a user starts it, with folder cameras, an MQTT broker where mosquitto is installed and, for
root, a disk of its own. The lines let good, defective, black, damaged and missing images come, change the job, start
self-tests, disconnect, and violate the handshake in every way. Meanwhile the inspector is killed and frozen, the broker
goes and comes, and the disk is full for a moment. Each trigger must be answered exactly once, with the verdict that its
own image gives by the recipe that was asked for; the record must agree; memory, open files and threads must stay flat.
Exit code 1 where anything was not so.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.artifact import write_json
from edgekd.profiling.timing import device_record
from edgekd.station.error_codes import ErrorCode

from .line.mosquitto import Mosquitto
from .whole.laid_out import WholeStation, alive
from .whole.line import wrong_in_record
from .whole.numbered import released_recipe
from .whole.soaking import RECOVERY_S, SoakLine, wrong_of

NAMES = ("left", "right")
DISK_MB = 400
SAMPLE_S = 5.0
PAUSE_S = (3.0, 8.0)  # Between two faults, the shortest and the longest.
GRACE_S = 5.0  # After a fault, in which what was begun before may still fail.
SETTLED_S = 30.0  # Of a process, after which it has loaded what it needs.
MOST_GROWTH_MIB, MOST_MORE_HANDLES, MOST_MORE_THREADS = 20.0, 4, 3
Fault = Callable[[], Awaitable[None]]


class Troubles:
    """Everything that breaks around a station.

    Args:
        station: The station.
        lines: What goes on meanwhile.
        broker: None where there is none.
        disk: Of its own; None where there is none.
        random: What breaks when.

    Attributes:
        did: What was broken, with how often.
        wrong: What did not recover.
    """

    def __init__(
        self,
        station: WholeStation,
        lines: list[SoakLine],
        broker: Mosquitto | None,
        disk: Path | None,
        random: np.random.Generator,
    ) -> None:
        self._station, self._lines, self._broker, self._disk, self._random = station, lines, broker, disk, random
        self._times: list[tuple[float, float]] = []
        self.did: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()

    async def work(self, end: float, recovered: asyncio.Event) -> None:
        """Breaks something now and then, waits until it has recovered, and tells when nothing more will break."""
        faults: list[Fault] = [self.inspector_killed, self.inspector_frozen]
        faults += [self.broker_gone] * 3 if self._broker is not None else []
        faults += [self.disk_full] * 2 if self._disk is not None else []
        while time.monotonic() + PAUSE_S[1] + GRACE_S < end:
            await asyncio.sleep(float(self._random.uniform(*PAUSE_S)))
            fault = faults[self._random.integers(len(faults))]
            self.did[fault.__name__] += 1
            print(f"{fault.__name__} ...", end="", flush=True)
            start = time.monotonic()
            await fault()
            print(f" {time.monotonic() - start:.1f} s", flush=True)
        await asyncio.sleep(max(0.0, end - time.monotonic()))
        recovered.set()

    def excused(self, began: float, ended: float) -> bool:
        """Whether something was broken at some moment of a time."""
        return any(began < last + GRACE_S and ended > first for first, last in self._times)

    async def inspector_killed(self) -> None:
        await self._signalled(signal.SIGKILL)

    async def inspector_frozen(self) -> None:
        await self._signalled(signal.SIGSTOP)

    async def broker_gone(self) -> None:
        """Which excuses nothing."""
        assert self._broker is not None
        self._broker.stop()
        await asyncio.sleep(float(self._random.uniform(0.2, 5)))
        await asyncio.to_thread(self._broker.start)

    async def disk_full(self) -> None:
        assert self._disk is not None
        filler = self._disk / "filler"
        start = time.monotonic()
        self._times.append((start, start + RECOVERY_S))
        await asyncio.to_thread(_fill, filler)
        await asyncio.sleep(float(self._random.uniform(0.5, 3)))
        filler.unlink()
        await self._recovered(start, "disk_full")

    async def _signalled(self, number: signal.Signals) -> None:
        pid = self._station.child()
        if pid is None:
            return
        start = time.monotonic()
        self._times.append((start, start + RECOVERY_S))
        os.kill(pid, number)
        while self._station.child() in (pid, None):
            await asyncio.sleep(0.05)
        await self._recovered(start, number.name)

    async def _recovered(self, start: float, what: str) -> None:
        """Waits until each line got verdicts again."""
        before = [line.judged for line in self._lines]
        while any(line.judged < count + 2 for line, count in zip(self._lines, before, strict=True)):
            await asyncio.sleep(0.05)
            if time.monotonic() > start + RECOVERY_S:
                self.wrong[f"no verdict in {RECOVERY_S:g} s after {what}"] += 1
                break
        self._times[-1] = (start, time.monotonic())


def _fill(filler: Path) -> None:
    """Leaves no room on a file's disk."""
    free = shutil.disk_usage(filler.parent).free
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free - (64 << 10)))
        file.seek(0, os.SEEK_END)
        while file.write(bytes(4096)):
            pass


class Samples:
    """What the processes hold, measured again and again.

    Args:
        station: Whose.

    Attributes:
        rows: Of each time.
        seen: The processes that there were.
    """

    def __init__(self, station: WholeStation) -> None:
        self._station = station
        self._began = time.monotonic()
        self.rows: list[dict[str, Any]] = []
        self.seen: set[int] = set()

    async def work(self, lines: list[SoakLine]) -> None:
        while True:
            await asyncio.sleep(SAMPLE_S)
            seconds = round(time.monotonic() - self._began, 1)
            row: dict[str, Any] = {"seconds": seconds, "parts": sum(len(line.sent) for line in lines)}
            family = {"control": self._station.pid, "inspector": self._station.child()}
            for name, pid in family.items():
                if pid is not None and (held := held_by(pid)) is not None:
                    row[name] = held
                    self.seen.add(pid)
            self.rows.append(row)
            if len(self.rows) % 6 == 0:
                print(row, flush=True)

    def growth(self) -> tuple[list[dict[str, float]], Counter[str]]:
        """By how much each life of a process grew from when it had settled, and what was too much."""
        lives: dict[tuple[str, int], list[dict[str, float]]] = {}
        for row in self.rows:
            for name in ("control", "inspector"):
                if name in row:
                    lives.setdefault((name, row[name]["pid"]), []).append({**row[name], "seconds": row["seconds"]})
        grown, wrong = [], Counter[str]()
        most = {"resident_mib": MOST_GROWTH_MIB, "handles": MOST_MORE_HANDLES, "threads": MOST_MORE_THREADS}
        for (name, _), rows in lives.items():
            settled = [row for row in rows if row["seconds"] > rows[0]["seconds"] + SETTLED_S]
            third = len(settled) // 3
            if not third:
                continue
            entry: dict[str, Any] = {"process": name, "seconds": settled[-1]["seconds"] - settled[0]["seconds"]}
            for key, limit in most.items():
                first, last = ([row[key] for row in part] for part in (settled[:third], settled[-third:]))
                entry[key] = statistics.median(last) - statistics.median(first)
                if entry[key] > limit:
                    wrong[f"{key} of {name} grew by {entry[key]:.1f}"] += 1
            grown.append(entry)
        return grown, wrong


def held_by(pid: int) -> dict[str, float] | None:
    """What a process holds; None where it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        handles, threads = (len(os.listdir(f"/proc/{pid}/{what}")) for what in ("fd", "task"))
    except OSError:
        return None
    resident = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return {"pid": pid, "resident_mib": round(resident, 2), "handles": handles, "threads": threads}


async def soak(folder: Path, seconds: float, seed: int, broker: Mosquitto | None, disk: Path | None) -> dict[str, Any]:
    """Runs the station and everything around it.

    Returns:
        The figures, as JSON has them; `wrong` holds what must not be.
    """
    random = np.random.default_rng(seed)
    recipes = folder / "recipes"
    for job in (1, 2):
        released_recipe(recipes, job, cameras=NAMES, preload=True, deadline_ms=4000, keep={"ok_every": 20})
    sections = {} if broker is None else {"mqtt": {"host": "127.0.0.1", "port": broker.port, "tls": False}}
    station = WholeStation(folder, recipes, NAMES, data=disk and disk / "data", **sections)
    station.start()
    lines = [SoakLine(station, name, unit, random.spawn(1)[0]) for unit, name in enumerate(NAMES, 1)]
    troubles, samples = Troubles(station, lines, broker, disk, random), Samples(station)
    try:
        for line in lines:
            await line.connect()
        sampling = asyncio.create_task(samples.work(lines))
        recovered = asyncio.Event()  # Lines go on until then: whether a station judges again is seen on parts alone.
        await asyncio.gather(
            troubles.work(time.monotonic() + seconds, recovered), *(line.work(recovered) for line in lines)
        )
        sampling.cancel()
        await asyncio.sleep(1)
        wrong = Counter(troubles.wrong)
        for line in lines:
            wrong.update(wrong_of(line, station, troubles.excused))
            wrong.update({f"{what} (seen by the PLC)": times for what, times in line.violations.items()})
            wrong.update(line.wrong)
            wrong.update(await _miscounted(station, line))
            await line.close()
        station.ask_to_end()
        code = await asyncio.to_thread(station.wait)
        wrong["the station did not end by its signal"] = code not in (-signal.SIGTERM, 128 + signal.SIGTERM)
        wrong["processes left behind"] = sum(map(alive, samples.seen))
    finally:
        station.close()
        (folder / "station.log").replace(Path(tempfile.gettempdir()) / "edgekd-station-soak.log")
    wrong.update(wrong_in_record(station, [result for line in lines for result in line.results]))
    grown, too_much = samples.growth()
    results = [result for line in lines for result in line.results]
    errors = Counter(result.error.name for result in results if result.error is not ErrorCode.NONE)
    return {
        "seconds": seconds,
        "seed": seed,
        "triggers": sum(len(line.sent) for line in lines),
        "verdicts": dict(station.counted()),
        "errors": dict(errors),
        "did": dict(sum((line.did for line in lines), Counter())),
        "faults": dict(troubles.did),
        "reconnected": sum(line.reconnected for line in lines),
        "median_ms": statistics.median(result.waited_ms for result in results),
        "grew": grown,
        "samples": samples.rows,
        "wrong": dict(+(wrong + too_much)),
    }


async def _miscounted(station: WholeStation, line: SoakLine) -> Counter[str]:
    """What the station's counters do not have as its record has it."""
    inputs = await line.read()
    late = "SELECT verdict_id FROM delivery WHERE how = 'late'"
    query = f"""SELECT verdict, count(*) FROM verdict JOIN session ON session.id = session_id
        WHERE session.station = ? AND verdict.id NOT IN ({late}) GROUP BY verdict"""
    counted = dict(station.rows(query, line.name))
    wrong: Counter[str] = Counter()
    for name in ("OK", "NG", "ERROR"):
        shown = inputs.number(f"COUNT_{name}")
        wrong[f"{name} of {line.name}: {shown} counted, {counted.get(name, 0)} on record"] += shown != counted.get(
            name, 0
        )
    wrong[f"more or fewer triggers of {line.name} counted than sent"] += inputs.number("TOTAL") != len(line.sent)
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # It reports each connection that a line cuts.
    with tempfile.TemporaryDirectory(prefix="edgekd-station-soak-") as temporary:
        folder, disk = Path(temporary), Path(temporary) / "disk"
        disk.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(disk)]
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
        broker = Mosquitto(folder) if shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin") else None
        try:
            if broker is not None:
                broker.start()
            work = soak(folder, 60 * arguments.minutes, arguments.seed, broker, disk if mounted else None)
            figures = asyncio.run(work)
        finally:
            if broker is not None:
                broker.stop()
            if mounted:
                subprocess.run(["umount", "--lazy", str(disk)], check=True)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(arguments.json, figures | {"device": device_record(1)})
    for name, value in figures.items():
        if name not in ("samples", "wrong"):
            print(f"{name}: {value}")
    for what, times in figures["wrong"].items():
        print(f"WRONG: {times} x {what}")
    sys.exit(1 if figures["wrong"] else 0)


if __name__ == "__main__":
    main()
