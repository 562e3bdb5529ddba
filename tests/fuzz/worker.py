"""The process that runs the cases of one target, for `tests.fuzz.__main__`, which watches it.

    python -m tests.fuzz.worker TARGET --seeds FOLDER --work FOLDER --seconds N --seed N

Each case lies in WORK/case before it is run, so that a crash leaves it there. Lines of JSON on standard output tell how
each ended; WORK/clock holds when the present one began.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import shutil
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.case import Case, Target, write_case
from tests.fuzz.judging import Outcome, run_case
from tests.fuzz.targets import MODULES, find_target

CLOCK = struct.Struct("<d")  # Seconds of the processor at which the present case began; zero between cases.
ROUND = 100  # Cases of one seed.
READY = "ready"  # The first line; what takes time before it is not fuzzing.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(MODULES))
    parser.add_argument("--seeds", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    stacks = (arguments.work / "stacks").open("w")
    faulthandler.enable(stacks, all_threads=True)
    faulthandler.register(signal.SIGUSR1, stacks, all_threads=True)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Decoders write to standard output and error.
    os.dup2(1, 2)
    os.environ["EDGEKD_CACHE"] = str(arguments.work / "cache")
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1")
    target = find_target(arguments.target)
    warm_up(target, arguments.seeds, arguments.work)
    answers.write(READY + "\n")
    end = time.monotonic() + arguments.seconds
    number = arguments.seed
    while time.monotonic() < end:
        run_round(target, arguments.seeds, arguments.work, number, end, answers)
        number += 1
    sys.exit(0)


def warm_up(target: Target, seeds: Path, work: Path) -> None:
    """Runs the simplest case, which is mostly a valid one: importing what it needs is nobody's fault."""

    @settings(
        max_examples=1, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(target.cases(seeds))
    def run(case: Case) -> None:
        run_kept(target, case, work)

    run()
    (work / "clock").unlink(missing_ok=True)


def run_round(target: Target, seeds: Path, work: Path, number: int, end: float, answers: Any) -> None:
    """Runs the cases of one seed, in an order that does not depend on what they do."""

    @seed(number)
    @settings(
        max_examples=ROUND,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.cases(seeds))
    def run(case: Case) -> None:
        if time.monotonic() < end:
            outcome, kept = run_kept(target, case, work)
            answers.write(json.dumps(outcome.__dict__ | {"kept": kept}) + "\n")

    run()


def run_kept(target: Target, case: Case, work: Path) -> tuple[Outcome, str]:
    """Runs a case whose files are in WORK/case meanwhile.

    Returns:
        How it ended, and the folder in WORK that keeps a case that is a finding.
    """
    folder, files, clock = work / "case", work / "running", work / "clock"
    for each in (folder, files):
        shutil.rmtree(os.fsencode(each), ignore_errors=True)
    # Targets may write beside their files: what is kept is the case as it was drawn.
    shutil.copytree(os.fsencode(write_case(case, folder)), os.fsencode(files))
    clock.write_bytes(CLOCK.pack(time.process_time()))
    outcome = run_case(target, folder, files)
    clock.write_bytes(CLOCK.pack(0.0))
    kept = f"finding-{time.monotonic_ns()}" if outcome.finding is not None else ""
    if kept:
        os.rename(folder, work / kept)
    return outcome, kept


if __name__ == "__main__":
    main()
