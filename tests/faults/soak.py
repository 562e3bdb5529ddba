"""Inspects for minutes while faults are injected at random: every frame accounted for, memory flat.

    python -m tests.faults.soak [--minutes 10] [--seed 0] [--json FILE]

A small detector, whose real engine fails where a frame asks for it, inspects a stream without an end in this process:
good and marked frames, cut, damaged, empty and slow ones, cameras that are gone, arrays of a wrong type, inferences
that fail, an engine that is closed under way. In between, the command `edgekd inspect` inspects folders that grow
meanwhile and videos, is stopped by SIGTERM and SIGKILL, and writes to a disk that is full for a while (a small tmpfs:
needs root). Each frame must be answered exactly once, with the verdict that it must get; memory, handles and threads
must stay flat.
Exit code 1 where anything was not so.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from edgekd.artifact import write_json
from edgekd.profiling.timing import device_record
from tests.faults.commands import COMMANDS
from tests.faults.detector import make_detector
from tests.faults.failures import Failures
from tests.faults.streaming import EndlessStream

STREAM_SECONDS = 20.0  # Between two commands.
MOST_GROWTH_MIB, MOST_MORE_HANDLES, MOST_MORE_THREADS = 20.0, 2, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = soak(60 * arguments.minutes, arguments.seed)
    if arguments.json:
        write_json(arguments.json, figures | {"device": device_record(1)})
    for failure in figures["failures"]:
        print(f"FAILED: {failure}")
    print("".join(f"{count:6} x {kind}\n" for kind, count in figures["failure_counts"].items()), end="")
    sys.exit(1 if figures["failures"] else 0)


def soak(seconds: float, seed: int, stream_seconds: float = STREAM_SECONDS) -> dict:
    """Streams and runs commands in turn, and measures this process.

    Returns:
        The figures, as JSON has them; `failures` lists what was not as it must be, a line each.
    """
    random = np.random.default_rng(seed)
    failures = Failures()
    runs: Counter[str] = Counter()
    samples: list[dict[str, float]] = []
    peaks: dict[str, list[float]] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="edgekd-soak-") as temporary:
        detector = make_detector(Path(temporary))
        stream = EndlessStream(detector, Path(temporary, "frames"), random, failures)
        turn = 0
        while time.monotonic() - began < seconds:
            stream.run(min(stream_seconds, seconds))
            samples.append({"seconds": time.monotonic() - began, "frames": stream.frames, **measured()})
            print(_line(samples[-1], stream.verdicts, failures.counts.total()), flush=True)
            name, command = COMMANDS[turn % len(COMMANDS)]
            mib = command(detector, Path(temporary, f"command_{turn}"), random, failures)
            runs[name] += 1
            peaks.setdefault(name, []).append(mib)
            turn += 1
        stream.close()
    # Libraries keep what they allocate at their first use: memory is compared from when each command has run once.
    settled = samples[len(COMMANDS) :] or samples[-1:]
    growth = {name: settled[-1][name] - settled[0][name] for name in ("resident_mib", "handles", "threads")}
    most = {"resident_mib": MOST_GROWTH_MIB, "handles": MOST_MORE_HANDLES, "threads": MOST_MORE_THREADS}
    for name, limit in most.items():
        if growth[name] > limit:
            failures.add("not flat", f"{name} grew by {growth[name]:.1f}")
    print(
        f"{stream.frames} frames ({', '.join(f'{count} {name}' for name, count in sorted(stream.verdicts.items()))}), "
        f"{stream.closed} engines closed under way, {sum(runs.values())} commands; memory grew by "
        f"{growth['resident_mib']:.1f} MiB, handles by {growth['handles']:.0f}, threads by {growth['threads']:.0f}"
    )
    return {
        "seconds": time.monotonic() - began,
        "seed": seed,
        "frames": stream.frames,
        "verdicts": dict(stream.verdicts),
        "kinds": dict(stream.kinds),
        "engines_closed": stream.closed,
        "commands": dict(runs),
        "command_peak_mib": peaks,
        "grew": growth,
        "samples": samples,
        "failures": failures.lines,
        "failure_counts": dict(failures.counts),
    }


def measured() -> dict[str, float]:
    """What this process holds: memory, open files, threads."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "resident_mib": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "handles": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
    }


def _line(row: dict[str, float], verdicts: Counter[str], failures: int) -> str:
    return (
        f"{row['seconds']:6.0f} s  {row['frames']:7.0f} frames  {row['resident_mib']:7.1f} MiB  "
        f"{row['handles']:.0f} handles  {row['threads']:.0f} threads  {dict(verdicts)}  {failures} failures"
    )


if __name__ == "__main__":
    main()
