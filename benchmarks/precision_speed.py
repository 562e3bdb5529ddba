"""What FP16 and INT8 gain in time: the artifacts of a run in turn, decoded image to verdict, each on every back end.

    python benchmarks/precision_speed.py RUN --images FOLDER [--rounds 25] [--json FILE]

A ratio is the best float32 back end's median over a row's, with the quartiles of the ratio taken round by round.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from edgekd.artifact import read_manifest, write_json
from edgekd.data.images import list_images, read_image
from edgekd.engines import BACKENDS, Engine, open_engine
from edgekd.profiling.peak import peak_macs_fp32, peak_macs_int8
from edgekd.profiling.timing import device_record
from edgekd.result import Verdict
from edgekd.runner.pipeline import inspect_image
from edgekd.verdicts.limits import Limits

WARM_UP = 3
FILES = {"fp32": "detector.onnx", "fp16": "detector_fp16.onnx", "int8": "detector_int8.onnx"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    images = [read_image(path) for path in list_images(arguments.images)[:16]]
    artifacts = {name: arguments.run / file for name, file in FILES.items() if (arguments.run / file).is_file()}
    engines = {
        (precision, backend): open_engine(path, backend)
        for precision, path in artifacts.items()
        for backend in BACKENDS
    }
    peaks = {"fp32": peak_macs_fp32(), "int8": peak_macs_int8()}
    times = _in_turn(engines, images, arguments.rounds)
    peaks = {"fp32": max(peaks["fp32"], peak_macs_fp32()), "int8": max(peaks["int8"] or 0, peak_macs_int8() or 0)}
    manifest = read_manifest(artifacts["fp32"])
    rows = _rows(times, int(manifest["macs"]), peaks)
    _print(rows)
    if arguments.json:
        record = device_record(next(iter(engines.values())).spec.threads or 0) | {"peak_macs_per_second": peaks}
        figures = {"system": manifest["system"], "macs": manifest["macs"], "rounds": arguments.rounds, "rows": rows}
        write_json(arguments.json, figures | {"device": record})


def _in_turn(engines: dict[Any, Engine], images: list[Any], rounds: int) -> dict[Any, np.ndarray]:
    """Milliseconds from decoded image to verdict, one a round, by engine."""
    times: dict[Any, list[float]] = {name: [] for name in engines}
    for turn in range(WARM_UP + rounds):
        for name, engine in engines.items():
            start = time.perf_counter()
            result = inspect_image(engine, images[turn % len(images)], Limits(0.0))
            assert result.verdict is not Verdict.ERROR
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: np.asarray(entry[WARM_UP:]) for name, entry in times.items()}


def _rows(times: dict[Any, np.ndarray], macs: int, peaks: dict[str, float]) -> list[dict[str, Any]]:
    best = min((name for name in times if name[0] == "fp32"), key=lambda name: float(np.median(times[name])))
    rows = []
    for (precision, backend), own in times.items():
        low, high = np.quantile(times[best] / own, [0.25, 0.75])
        median = float(np.median(own))
        peak = peaks["int8" if precision == "int8" else "fp32"]
        rows.append(
            {
                "precision": precision,
                "backend": backend,
                "median_ms": median,
                "ratio": float(np.median(times[best])) / median,
                "ratio_quartiles": [float(low), float(high)],
                "peak_share": macs / (median / 1e3) / peak,
            }
        )
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table("precision", "back end", "median, ms", "ratio to best fp32", "quartiles", "share of its peak")
    for row in rows:
        low, high = row["ratio_quartiles"]
        table.add_row(
            row["precision"],
            row["backend"],
            f"{row['median_ms']:.1f}",
            f"{row['ratio']:.2f}",
            f"{low:.2f} to {high:.2f}",
            f"{row['peak_share']:.0%}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
