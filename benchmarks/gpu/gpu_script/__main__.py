"""Runs the parts one after the other, each with its share of the minutes; the exit code says whether all went well."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from edgekd.errors import EdgekdError
from gpu_script.children import last_line, run_child
from gpu_script.record import DONE, FAILED, OUT_OF_TIME, RUNNING, Record
from gpu_script.settings import (
    REHEARSAL_SHARES,
    SECONDS_TO_END,
    SHARES,
    Settings,
    environment,
    make_settings,
    part_command,
)

DEVICE_SECONDS = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.sh", description="Measures and trains everything that wants a GPU.")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for the results; a second run goes on in it")
    parser.add_argument("minutes", metavar="MINUTES", nargs="?", type=float, default=12.0, help="in all (default: 12)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu rehearses at small sizes")
    parser.add_argument("--iterations", type=int, help="of every training and timing (default: what the time allows)")
    parser.add_argument("--only", nargs="+", choices=tuple(SHARES), default=tuple(SHARES), help="parts to run")
    arguments = parser.parse_args()
    if arguments.minutes <= 0 or (arguments.iterations is not None and arguments.iterations < 1):
        parser.error("MINUTES and --iterations must be positive")
    settings = make_settings(arguments.out.resolve(), arguments.device, arguments.iterations)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Either way the child's group is killed on the way out.
    start = time.monotonic()
    settings.write()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - start:6.1f} s] {line}", flush=True)

    green = run_part("device", DEVICE_SECONDS, settings, say)
    end = start + 60 * arguments.minutes
    shares = SHARES if settings.on_gpu else REHEARSAL_SHARES
    parts = [part for part in SHARES if part in arguments.only]
    for index, part in enumerate(parts):
        left = sum(shares[later] for later in parts[index:])
        seconds = (end - time.monotonic()) * shares[part] / left - SECONDS_TO_END / 2
        green = run_part(part, max(seconds, 5.0), settings, say) and green
    say(f"{'all parts are green' if green else 'not all parts are green'}; results in {settings.out}")
    return 0 if green else 1


def run_part(part: str, seconds: float, settings: Settings, say: Callable[[str], None]) -> bool:
    """Runs a part and sees to it that its file tells how it ended.

    Args:
        part: The module, whose file is OUT/PART.json.
        seconds: After which it should have ended; a little later it is killed.
        settings: Of the run.
        say: Prints a line.

    Returns:
        Whether it went well.
    """
    path, log = settings.out / f"{part}.json", settings.work / "logs" / f"{part}.log"
    for old in (path, log):
        old.unlink(missing_ok=True)
    say(f"{part}: up to {seconds:.0f} s")
    begun = time.monotonic()
    command = part_command(part, settings, f"{seconds:.1f}")
    code = run_child(command, seconds + SECONDS_TO_END, log, environment(settings))
    record = Record(path)
    if code is None:
        record.end(OUT_OF_TIME, f"killed after {time.monotonic() - begun:.0f} s; what was measured before stands")
    elif code != 0 and record.content["status"] in (RUNNING, DONE):
        record.end(FAILED, f"ended with exit code {code}: {last_line(log)}")
    elif record.content["status"] == RUNNING:
        record.end(FAILED, f"ended without a result: {last_line(log)}")
    record.put("seconds", value=round(time.monotonic() - begun, 1))
    status, problems = record.content["status"], record.content["problems"]
    reason = record.content["reason"] or (problems[0] if problems else "")
    say(f"{part}: {status}{f', {len(problems)} problems' if problems else ''}{f': {reason}' if reason else ''}")
    return record.green


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        try:
            sys.exit(main())
        except EdgekdError as error:
            print(f"run.sh: {error}", file=sys.stderr)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            sys.exit(130)
