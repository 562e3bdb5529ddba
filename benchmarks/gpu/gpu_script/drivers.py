"""The CUDA driver, the ring and the networks on it: tests/gpu, each file in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from gpu_script import part
from gpu_script.children import last_line, run_child
from gpu_script.part import Clock
from gpu_script.record import SKIPPED, Record
from gpu_script.settings import Settings

TESTS = Path(__file__).resolve().parents[3] / "tests" / "gpu"
# What depends on least comes first.
FILES = ("test_driver.py", "test_torch.py", "test_ring.py", "test_faults.py", "test_networks.py", "test_tensorrt.py")
NO_TESTS_RAN = 5  # Of pytest's exit codes.


def run_tests(settings: Settings, clock: Clock, record: Record) -> None:
    """Runs pytest; its plugin gpu_script.outcomes writes every outcome into the record's file as it comes."""
    record.put("tests", value={})
    record.put("left_out", value=[])
    # Without a GPU every test skips itself, and one process will do.
    groups = [[TESTS / name] for name in FILES] if settings.on_gpu else [[TESTS]]
    for index, files in enumerate(groups):
        if clock.left < 3:
            record.problem(f"{files[0].name}: not run, no time left")
            continue
        seconds = clock.left if index == len(groups) - 1 else clock.left * 0.6
        log = settings.work / "logs" / f"{files[0].stem}.log"
        log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "gpu_script.outcomes"]
        command += ["--outcomes", str(record.path), "--rootdir", str(TESTS), "--confcutdir", str(TESTS)]
        command += ["--basetemp", str(settings.work / "tmp" / "pytest"), "-m", "gpu", "-v", "-rs", *map(str, files)]
        code = run_child(command, seconds, log)
        record.reload()
        if code is None:
            record.problem(
                f"{files[0].name}: killed after {seconds:.0f} s, in {_unfinished(record) or 'its beginning'}"
            )
        elif code not in (0, 1, NO_TESTS_RAN):  # 1: a test failed, which its own outcome tells.
            record.problem(f"{files[0].name}: ended with exit code {code}: {last_line(log)}")
    outcomes = [test["outcome"] for test in record.content["tests"].values()]
    counts = {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}
    record.put("counts", value=counts)
    for name, test in record.content["tests"].items():
        if test["outcome"] in ("failed", "error"):
            record.problem(f"{name}: {test['reason']}")
    if "passed" not in counts and not record.content["problems"]:
        if settings.on_gpu:
            record.problem("no test could run; each one's reason is beside it")
        else:
            record.end(SKIPPED, "needs a GPU: all tests skipped themselves")


def _unfinished(record: Record) -> str | None:
    return next((name for name, test in record.content["tests"].items() if test["outcome"] == "running"), None)


if __name__ == "__main__":
    part.run("drivers", run_tests)
