"""What the runner costs: a stream of image files to verdicts, beside the bare engine on frames that lie ready.

    python benchmarks/runner_throughput.py ENGINE --images FOLDER [--count 200] [--rounds 5] [--readers N] [--json F]

Both in turn, round by round. The runner reads, decodes and resizes every file; the bare engine is given frames that
were read before, one after the other, and none waits for another. A ratio is the runner's frames a second over the
bare engine's.
"""

from __future__ import annotations

import argparse
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from edgekd.artifact import read_manifest, write_json
from edgekd.data.good_images import read_frames
from edgekd.data.images import list_images
from edgekd.engines import Engine, Frames, open_engine
from edgekd.profiling.timing import device_record
from edgekd.result import Verdict
from edgekd.runner import inspect_stream
from edgekd.runner.reading import default_readers
from edgekd.runner.sources import image_frames
from edgekd.verdicts.limits import Limits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--backend")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--readers", type=int, help="of the runner (default: its own)")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    paths = list(islice(cycle(list_images(arguments.images)), arguments.count))
    with open_engine(arguments.engine, arguments.backend) as engine:
        readers = arguments.readers or default_readers(engine.spec)
        frames = read_frames(paths, engine.preprocessing)
        bare_fps, runner_fps = [], []
        _bare(engine, frames[:10])
        for turn in range(arguments.rounds):
            measures = [
                (bare_fps, lambda: _bare(engine, frames)),
                (runner_fps, lambda: _streamed(engine, paths, readers)),
            ]
            for rates, measure in measures if turn % 2 else reversed(measures):
                start = time.perf_counter()
                measure()
                rates.append(len(paths) / (time.perf_counter() - start))
        ratios = np.asarray(runner_fps) / np.asarray(bare_fps)
        spec = engine.spec
    low, median, high = np.quantile(ratios, [0, 0.5, 1])
    print(f"{spec.backend} {spec.version}, {len(paths)} images, {arguments.rounds} rounds in turn")
    print(f"bare engine {np.median(bare_fps):.2f}, runner with decoding {np.median(runner_fps):.2f} frames a second")
    print(f"ratio {median:.3f} ({low:.3f} to {high:.3f})")
    if arguments.json:
        manifest = read_manifest(arguments.engine)
        figures = {
            "system": manifest["system"],
            "precision": manifest["precision"],
            "backend": f"{spec.backend} {spec.version}",
            "images": len(paths),
            "size": spec.height,
            "readers": readers,
            "bare_fps": bare_fps,
            "runner_fps": runner_fps,
            "ratio": {"min": low, "median": median, "max": high},
        }
        write_json(arguments.json, figures | {"device": device_record(spec.threads or 0)})


def _bare(engine: Engine, frames: Frames) -> None:
    for index in range(len(frames)):
        engine.infer(frames[index : index + 1])


def _streamed(engine: Engine, paths: list[Path], readers: int) -> None:
    for answer in inspect_stream(engine, image_frames(paths), Limits(0.0), readers=readers):
        assert answer.result.verdict is not Verdict.ERROR


if __name__ == "__main__":
    main()
