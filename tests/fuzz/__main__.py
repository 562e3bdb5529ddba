"""Fuzzes every reader of files for a while: `make fuzz MINUTES=30`.

    python -m tests.fuzz [TARGET ...] [--minutes 30] [--seed 0] [--out FOLDER]
    python -m tests.fuzz --replay FOLDER/TARGET-12345678/0

Each target runs in a process of its own, in turn. A finding is an exception that is not edgekd's, an answer that is
wrong, a crash, a case that takes more than 2 s of the processor (or waits for nothing), or 200 MiB above idle.
Its input is kept in OUT, with a line in OUT/findings.txt; OUT/report.json has the figures. Exit code 1 where there is
one. The same seed draws the same cases.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.judging import MOST_MIB, MOST_SECONDS, run_case, signature
from tests.fuzz.seeds import make_run, make_seeds
from tests.fuzz.targets import MODULES, find_target
from tests.fuzz.worker import CLOCK, READY

KEPT = 3  # Inputs of one kind.
HANGS_AFTER = 10.0  # Seconds of the processor.
BLOCKED_AFTER = 5.0  # Seconds without a thread that could compute.
KILLED_ABOVE_MIB = 2000.0  # Before the machine suffers.
WATCHED_EVERY = 0.05


@dataclass
class Figures:
    """What became of the cases of a target."""

    cases: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest_seconds: float = 0.0
    most_mib: float = 0.0
    findings: Counter[str] = field(default_factory=Counter)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(MODULES))
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz"))
    parser.add_argument("--run", type=Path, help="an exported run to take seeds from; by default one is trained")
    parser.add_argument("--replay", type=Path, help="run one case that was kept")
    arguments = parser.parse_args()
    if arguments.replay:
        sys.exit(replay(arguments.replay))
    arguments.out.mkdir(parents=True, exist_ok=True)
    names = arguments.targets or list(MODULES)
    if unknown := set(names) - set(MODULES):
        parser.error(f"unknown targets {', '.join(sorted(unknown))}: there are {', '.join(MODULES)}")
    report: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as temporary:
        seeds = make_seeds(arguments.run or make_run(Path(temporary)), Path(temporary, "seeds"))
        for name in names:
            seconds = 60 * arguments.minutes / len(names)
            report[name] = fuzz(name, seconds, arguments.seed, seeds, arguments.out)
            print(line_of(name, report[name]), flush=True)
    found = sum(sum(figures.findings.values()) for figures in report.values())
    content = {
        name: {"code": find_target(name).code, **vars(figures), "findings": dict(figures.findings)}
        for name, figures in report.items()
    }
    limits = {"seconds": MOST_SECONDS, "mib": MOST_MIB}
    text = json.dumps(
        {"minutes": arguments.minutes, "seed": arguments.seed, "limits": limits, "targets": content}, indent=2
    )
    (arguments.out / "report.json").write_text(text + "\n")
    print(f"{sum(figures.cases for figures in report.values())} cases, {found} findings")
    sys.exit(1 if found else 0)


def line_of(name: str, figures: Figures) -> str:
    """The figures of a target, for people."""
    rest = f"slowest {figures.slowest_seconds:.2f} s, most memory {figures.most_mib:.0f} MiB"
    kinds, found = len(figures.findings), sum(figures.findings.values())
    return f"{name:17} {figures.cases:7} cases, {figures.refused:7} refused, {rest}, {found} findings of {kinds} kinds"


def fuzz(name: str, seconds: float, seed: int, seeds: Path, out: Path) -> Figures:
    """Fuzzes one target; a worker that dies is replaced until the time is over."""
    figures = Figures()
    starts = 0
    while figures.seconds < seconds:
        with tempfile.TemporaryDirectory(prefix="edgekd-fuzz-", ignore_cleanup_errors=True) as work:
            watched = _Worker(name, seconds - figures.seconds, seed + 1_000_000 * starts, seeds, Path(work))
            figures.seconds += watched.run(out, figures)
        starts += 1
    return figures


class _Worker:
    """A process that runs cases, and what watches it."""

    def __init__(self, name: str, seconds: float, seed: int, seeds: Path, work: Path) -> None:
        self._name, self._work = name, work
        words = [sys.executable, "-m", "tests.fuzz.worker", name, "--seeds", seeds, "--work", work]
        words += ["--seconds", f"{seconds:.1f}", "--seed", seed]
        self._process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True)
        self._ready: float | None = None

    def run(self, out: Path, figures: Figures) -> float:
        """Waits until it ends, or ends it; returns the seconds that it fuzzed for."""
        reader = threading.Thread(target=self._count, args=(out, figures))
        reader.start()
        killed = self._watch()
        code = self._process.wait()
        reader.join()
        if self._ready is None:
            raise RuntimeError(f"the worker for {self._name} does not start: exit code {code}")
        if killed is None and code != 0:
            killed = f"crash: {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
        if killed is not None:
            stacks = (self._work / "stacks").read_text(errors="replace")
            _keep(self._name, killed, stacks, self._work / "case", out, figures)
        return max(0.1, time.monotonic() - self._ready)

    def _watch(self) -> str | None:
        """Waits for the process, and kills it when its case does not end or takes too much memory; returns why."""
        pid, idle, last, moved = self._process.pid, 0.0, 0.0, time.monotonic()
        while self._process.poll() is None:
            time.sleep(WATCHED_EVERY)
            began, resident, processor = self._began(), _resident_mib(pid), _processor_seconds(pid)
            if processor != last or not began or _is_runnable(pid):  # It may wait for a processor that is busy.
                last, moved = processor, time.monotonic()
            if not began:
                idle = resident
            elif idle and resident - idle > KILLED_ABOVE_MIB:
                return self._kill("memory: killed")
            elif processor - began > HANGS_AFTER:
                return self._kill("hang: computes without end")
            elif time.monotonic() - moved > BLOCKED_AFTER:
                return self._kill("hang: blocked")
        return None

    def _kill(self, why: str) -> str:
        self._process.send_signal(signal.SIGUSR1)  # Its stacks, into WORK/stacks.
        time.sleep(0.5)
        self._process.kill()
        return why

    def _began(self) -> float:
        """Processor seconds at which the present case began; 0 where none runs."""
        try:
            return float(CLOCK.unpack((self._work / "clock").read_bytes())[0])
        except (OSError, struct.error):  # Not yet there, or half written.
            return 0.0

    def _count(self, out: Path, figures: Figures) -> None:
        """Reads how the cases ended."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == READY:
                self._ready = time.monotonic()
                continue
            outcome = json.loads(line)
            figures.cases += 1
            figures.refused += outcome["refused"]
            figures.slowest_seconds = max(figures.slowest_seconds, outcome["seconds"])
            figures.most_mib = max(figures.most_mib, outcome["mib"])
            if outcome["finding"] is not None:
                case = self._work / outcome["kept"]
                _keep(self._name, outcome["finding"], outcome["detail"], case, out, figures)
                shutil.rmtree(os.fsencode(case), ignore_errors=True)


def _resident_mib(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, IndexError):
        return 0.0


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _is_runnable(pid: int) -> bool:
    """Whether any thread of a process computes, or would if there were a processor for it."""
    try:
        stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:  # A thread that ended meanwhile.
        return True
    return any(stat.rpartition(")")[2].split()[0] == "R" for stat in stats)


def _keep(name: str, finding: str, detail: str, case: Path, out: Path, figures: Figures) -> None:
    """Keeps the first few inputs of each kind of finding, and counts the others."""
    kind = signature(name, finding)
    folder = out / kind
    number = len(list(folder.glob("[0-9]*"))) if folder.exists() else 0
    figures.findings[f"{kind} {finding}"[:200]] += 1
    if number >= KEPT:
        return
    if case.exists():
        shutil.copytree(os.fsencode(case), os.fsencode(folder / str(number)))
        (folder / str(number) / "detail.txt").write_text(f"{finding}\n{detail}\n", errors="backslashreplace")
    if number == 0:
        text = f"{folder}/0: {finding} ({find_target(name).code})"
        with (out / "findings.txt").open("a", errors="backslashreplace") as file:
            file.write(" ".join(text.split()) + "\n")
        print(" ".join(text.split()).encode(errors="backslashreplace").decode(), flush=True)


def replay(case: Path) -> int:
    """Runs one case that was kept, in this process.

    Returns:
        1 where it still is a finding.
    """
    name = case.resolve().parent.name.rpartition("-")[0]
    with tempfile.TemporaryDirectory() as temporary:
        files = Path(temporary, "files")
        shutil.copytree(os.fsencode(case / "files"), os.fsencode(files))
        outcome = run_case(find_target(name), case, files)
    print(f"{'refused' if outcome.refused else 'accepted'}; {outcome.finding or 'no finding'}")
    print(f"{outcome.seconds:.2f} s, {outcome.mib:.0f} MiB\n{outcome.detail}")
    return 1 if outcome.finding else 0


if __name__ == "__main__":
    main()
