"""How long an earlier version of edgekd and this one take to the same image AUROC, system by system, in turn.

    python compare.py --before COMMIT --data NAME=CATEGORY... --work FOLDER --json FILE [--systems ...] [--seeds ...]

Each pair trains the earlier version for the minutes of CPU time on one core, then this one for the same minutes, on
the same images and with the same teachers. Rows that the file holds are not measured again, so that it can be
interrupted at any time. This version's runs stay in WORK/runs, for
benchmarks/thresholds/collect.py --runs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgekd.artifact import write_json
from edgekd.profiling.timing import device_record

HERE = Path(__file__).resolve().parent
SYSTEMS = ("mthf", "dskd", "hkt", "pfadseg", "mhkd", "hkt_plus")
TEACHERS = {"mthf": ["efficientnet_lite0", "efficientnet_lite1"]}  # The same on both sides, and no download.
LIGHT = ["efficientnet_lite1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, metavar="COMMIT")
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=CATEGORY")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--systems", nargs="+", default=SYSTEMS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--core", type=int, default=0, help="the one to train on")
    arguments = parser.parse_args()
    data = dict(entry.split("=", 1) for entry in arguments.data)
    before, device = _earlier(arguments.before, arguments.work), device_record(1)
    for seed in arguments.seeds:
        for system in arguments.systems:
            for name, folder in data.items():
                key = f"{system} {name} {seed}"
                if key in _rows(arguments.json):
                    continue
                row = {"system": system, "data": name, "seed": seed, "device": device}
                kept = arguments.work / "runs" / f"{system}_{name}_{seed}"
                for side, tree, run in (("before", before, arguments.work / "run"), ("after", HERE.parents[1], kept)):
                    row[side] = _train(tree, system, folder, run, seed, arguments)
                    print(key, side, [round(point["image_auroc"], 3) for point in row[side]["curve"]], flush=True)
                write_json(arguments.json, _rows(arguments.json) | {key: row})


def _rows(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def _earlier(commit: str, work: Path) -> Path:
    """A working tree of an earlier commit."""
    tree = (work / f"before_{commit}").resolve()
    if not tree.exists():
        subprocess.run(["git", "worktree", "add", "--detach", str(tree), commit], cwd=HERE, check=True)
    return tree


def _train(tree: Path, system: str, data: str, run: Path, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    result = (arguments.work / "curve.json").resolve()
    shutil.rmtree(run, ignore_errors=True)
    result.unlink(missing_ok=True)
    command = [sys.executable, str(HERE / "one.py"), system, "--data", data, "--run", str(run), "--seed", str(seed)]
    command += ["--minutes", str(arguments.minutes), "--json", str(result), "--teachers", *TEACHERS.get(system, LIGHT)]
    command = ["taskset", "-c", str(arguments.core), *command]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(tree)}, check=True)
    return dict(json.loads(result.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
