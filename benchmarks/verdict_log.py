"""What the log of verdicts costs a frame, and whether memory stays flat over a folder of many images.

    python benchmarks/verdict_log.py [--rounds 15] [--many 20000] [--out DIR] [--json FILE]

The runner inspects frames that lie in memory, with an engine that takes 5 ms a frame and no processor time: 200 frames
a second. Blocks with the log, with it in full synchronisation, and without it, are measured in turn. Then --many small
image files go through readers, log and images, one in twenty of them NG.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgekd.artifact import write_json
from edgekd.engines import EVERY_MAP, EngineSpec, Frames, Outputs
from edgekd.engines.host import HostEngine
from edgekd.profiling.timing import device_record
from edgekd.runner import Answer, Frame, inspect_stream, open_source
from edgekd.runner.sinks import ImageSink, Wanted
from edgekd.verdicts.limits import Limits
from edgekd.verdicts.log import Session, VerdictLog
from edgekd.verdicts.retention import KeepImages

SIDE, SECONDS_A_FRAME, NG_EVERY = 256, 0.005, 20
SESSION = Session("benchmark", "none", "0" * 64)


class TimedEngine(HostEngine):
    """Answers after a given time a frame, one frame after the other, as a GPU would; its scores are not computed."""

    slots = 4

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.spec = EngineSpec("none", "0", "none", SIDE, SIDE, 1)
        self._seconds, self._free_at, self._count = seconds, 0.0, 0

    def submit(self, frames: Frames, maps_above: float = EVERY_MAP) -> tuple[Frames, float]:
        self._free_at = max(self._free_at, time.perf_counter()) + self._seconds
        return frames, self._free_at

    def collect(self, ticket: Any) -> Outputs:
        frames, ready = ticket
        time.sleep(max(0.0, ready - time.perf_counter()))
        self.release(frames)
        self._count += 1
        bad = self._count % NG_EVERY == 0
        maps = np.zeros((1, SIDE, SIDE), np.float32) if bad else np.zeros((0, 0, 0), np.float32)
        return Outputs(np.full(1, 2.0 if bad else 0.5, np.float32), maps)

    def close(self) -> None:
        """Holds nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=600, help="of a block")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--many", type=int, default=20_000, help="image files; 0 to leave them out")
    parser.add_argument("--out", type=Path, default=Path(), help="on the disk that the log shall be measured on")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.out) as folder:
        figures: dict[str, Any] = {"device": device_record(len(os.sched_getaffinity(0)))}
        figures["load_average"] = os.getloadavg()[0]
        figures["frame"] = cost(Path(folder), arguments.frames, arguments.rounds)
        if arguments.many:
            figures["memory"] = memory(Path(folder), arguments.many)
    if arguments.json:
        write_json(arguments.json, figures)


def cost(folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """Wall and processor time a frame, with and without the log."""
    kinds: tuple[str | None, ...] = (None, "NORMAL", "FULL")
    measured: dict[str, list[dict[str, float]]] = {str(kind): [] for kind in kinds}
    for turn in range(rounds):
        for kind in kinds if turn % 2 else reversed(kinds):
            measured[str(kind)].append(block(folder / f"{kind}.sqlite", kind, count))
    figures: dict[str, Any] = {}
    for name in measured["None"][0]:
        without = np.array([each[name] for each in measured["None"]])
        for kind in ("NORMAL", "FULL"):
            extra = np.array([each[name] for each in measured[kind]]) - without
            low, median, high = (float(value) for value in np.quantile(extra, (0.1, 0.5, 0.9)))
            row = {"without": float(np.median(without)), "extra": median, "extra_10": low, "extra_90": high}
            figures[f"{name}, {kind}"] = row
            share = 100 * median / (1000 * SECONDS_A_FRAME)
            print(
                f"{name}, {kind}: {row['without']:.3f} ms without, {median:+.3f} ms with the log "
                f"({low:+.3f} to {high:+.3f}): {share:+.2f} % of a frame of {1000 * SECONDS_A_FRAME:g} ms"
            )
    return figures


def block(path: Path, kind: Any, count: int) -> dict[str, float]:
    """Milliseconds a frame of one block."""
    images = np.random.default_rng(0).integers(0, 256, (8, 480, 640, 3), np.uint8)
    frames = (Frame(f"part_{number:06}.png", partial(images.__getitem__, number % 8)) for number in range(count))
    log = VerdictLog(path, SESSION, "0", synchronous=kind) if kind else None
    waited: list[float] = []

    def keep(answer: Answer) -> None:
        start = time.perf_counter()
        if log is not None:
            log.write(answer.name, answer.result, 1.0, answer.notices, answer.seen, answer.dropped)
        waited.append(time.perf_counter() - start)

    wall, processor, own = time.perf_counter(), time.process_time(), time.thread_time()
    run(TimedEngine(SECONDS_A_FRAME), frames, keep)
    spent = {
        "wall": (time.perf_counter() - wall) / count,
        "processor": (time.process_time() - processor) / count,
        "processor, submitting thread": (time.thread_time() - own) / count,
        "writing a row, median": float(np.median(waited)),
        "writing a row, p99": float(np.quantile(waited, 0.99)),
    }
    if log is not None:
        log.close()
    return {name: 1000 * seconds for name, seconds in spent.items()}


def run(engine: TimedEngine, frames: Iterable[Frame], keep: Callable[[Answer], None], images: bool = False) -> None:
    """Inspects frames and hands the answers on."""
    for answer in inspect_stream(engine, frames, Limits(1.0), maps_above=1.0, keep_images=images):
        keep(answer)


def memory(folder: Path, count: int) -> list[dict[str, float]]:
    """Resident memory while many small images are read, logged and, where they are NG, drawn."""
    source = folder / "source"
    source.mkdir()
    random = np.random.default_rng(0)
    cv2.imwrite(str(source / "part_0.png"), random.integers(0, 256, (64, 64, 3), np.uint8))
    for number in range(1, count):
        shutil.copy(source / "part_0.png", source / f"part_{number}.png")
    rows: list[dict[str, float]] = []
    with VerdictLog(folder / "many.sqlite", SESSION, "0") as log:
        sink = ImageSink(log, Limits(1.0), Wanted(), KeepImages())

        def keep(answer: Answer) -> None:
            row = log.write(answer.name, answer.result, 1.0, answer.notices, answer.seen, answer.dropped)
            sink.write(answer, row)
            if row % (count // 10) == 0:
                rows.append({"frames": row, "resident_mib": resident_mib()})
                print(f"{row:8} frames  {rows[-1]['resident_mib']:.1f} MiB", flush=True)

        run(TimedEngine(0.0), open_source(source).frames, keep, images=True)
    size = (folder / "many.sqlite").stat().st_size / count
    print(f"{size:.0f} bytes a verdict; {sink.not_written} images not written")
    return rows


def resident_mib() -> float:
    """What the process holds of the machine's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


if __name__ == "__main__":
    main()
