"""The whole road on real images: solar cells from the package elpv-dataset, in minutes on two cores."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from edgekd.cli.arguments import positive
from edgekd.cli.main import show_command
from edgekd.cli.output import answer, notes, print_table
from edgekd.run_folder import DETECTOR_FILE

SYSTEM, SIZE, BATCH, LEARNING_RATE = "hkt", 128, 4, "1e-3"
ITERATIONS, SHUFFLE_SEED = 240, 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="default: demo")
    parser.add_argument("--shuffle", action="store_true", help="cells of all modules, which is harder: see benchmarks")
    parser.add_argument("--iterations", type=positive, default=ITERATIONS, help=f"of training (default: {ITERATIONS})")


def run(arguments: argparse.Namespace) -> int:
    from edgekd.data.elpv import write_category

    start = time.monotonic()
    out: Path = arguments.out
    data, folder, report = out / "solar_cells", out / "run", out / "report.html"
    notes.print(f"laying out solar cells in {data}: sound ones to train on, defective ones only to test")
    write_category(data, SHUFFLE_SEED if arguments.shuffle else None)
    _train(folder, data, arguments.iterations)
    engine = folder / DETECTOR_FILE
    show_command("export", folder)
    show_command("bench", "--engine", engine, "--images", data / "test", "--duration", 5, "--json", out / "bench.json")
    show_command("evaluate", "--engine", folder, "--data", data, "--html", report, "--json", out / "evaluation.json")
    _summary(out, report, time.monotonic() - start)
    return 0


def _train(folder: Path, data: Path, iterations: int) -> None:
    if (folder / "student.safetensors").exists():
        notes.print(f"{folder} is trained already; remove {folder.parent} to begin anew")
        return
    words: list[object] = ["train", SYSTEM, "--run", folder]
    if (folder / "recipe.json").exists():
        show_command(*words, "--resume")
        return
    words += ["--data", data, "--size", SIZE, "--batch", BATCH, "--learning-rate", LEARNING_RATE]
    show_command(*words, "--schedule", "step", "--iterations", iterations)


def _summary(out: Path, report: Path, seconds: float) -> None:
    bench, evaluation = (_read(out / name) for name in ("bench.json", "evaluation.json"))
    engine, verdicts, defective = bench["engine"], evaluation["verdicts"], evaluation["test_defective"]
    rows = [
        ("image AUROC", f"{evaluation['image_auroc']:.3f}"),
        ("defects found", f"{defective - verdicts['missed_defects']} of {defective}"),
        ("good cells rejected", f"{verdicts['false_rejects']} of {evaluation['test_good']}"),
        ("image to verdict, median", f"{bench['latency_ms']['end_to_end']['median']:.1f} ms"),
        (
            "engine",
            f"{engine['backend']}, {engine['precision']}, {engine['threads']} threads",
        ),
        ("share of this device's float32 peak", f"{bench['peak_share']:.0%}"),
        ("all of it took", f"{seconds / 60:.1f} minutes"),
    ]
    print_table("HKT on monocrystalline solar cells", ("what", "value"), rows)
    answer.print(f"report with heat maps: {report.resolve()}", soft_wrap=True)


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
