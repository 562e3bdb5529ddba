"""A folder of large JPEGs through edgekd, beside what OpenVINO's own benchmark_app gives on the same graph.

    python benchmarks/folder_throughput.py ARTIFACT --images FOLDER [--count 500] [--rounds 5] [--json FILE]

Images of the folder are enlarged to a camera's size, given a sensor's noise and written as JPEGs. Then in turn, round
by round: benchmark_app in its throughput mode, which neither reads nor decodes nor resizes; edgekd's inspection of the
folder; and reading, decoding and resizing alone, on all cores. Where the engine computes on the cores that decode, a
frame takes the time of both: `both` is what the two figures alone allow together.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from edgekd.artifact import read_manifest, write_json
from edgekd.data.good_images import read_frames
from edgekd.data.images import list_images, read_image
from edgekd.engines.cores import usable_cores
from edgekd.preprocessing import Preprocessing, preprocessing_of
from edgekd.profiling.timing import device_record
from edgekd.result import Verdict
from edgekd.runner import Answer
from edgekd.workflows.inspect import inspect

NOISE = 3.0  # Grey levels, the standard deviation of a sensor's.
QUALITY = 90
SECONDS = 15  # Of benchmark_app, a round.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path, help="an .onnx file for one frame at a time")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--height", type=int, default=2048)
    parser.add_argument("--width", type=int, default=2448)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    manifest = read_manifest(arguments.artifact)
    rates: dict[str, list[float]] = {"benchmark_app": [], "edgekd": [], "decoding": []}
    with tempfile.TemporaryDirectory() as folder:
        paths = write_jpegs(arguments.images, Path(folder), arguments.count, arguments.height, arguments.width)
        measures = {
            "benchmark_app": lambda: benchmark_app(arguments.artifact),
            "edgekd": lambda: inspected(arguments.artifact, Path(folder), len(paths)),
            "decoding": lambda: decoded(paths, preprocessing_of(manifest)),
        }
        inspected(arguments.artifact, Path(folder), len(paths))  # What is measured once and remembered is known then.
        for turn in range(arguments.rounds):
            for name in list(measures) if turn % 2 else reversed(measures):
                rates[name].append(measures[name]())
                print(f"{turn + 1}: {name} {rates[name][-1]:.2f} frames a second", flush=True)
    edgekd, network, reading = (np.array(rates[name]) for name in ("edgekd", "benchmark_app", "decoding"))
    both = 1 / (1 / network + 1 / reading)
    shares = {name: edgekd / of for name, of in {"benchmark_app": network, "decoding": reading, "both": both}.items()}
    for name, share in shares.items():
        low, median, high = np.quantile(share, [0, 0.5, 1])
        print(f"edgekd gives {median:.3f} ({low:.3f} to {high:.3f}) of {name}")
    if arguments.json:
        figures = {
            "system": manifest["system"],
            "precision": manifest["precision"],
            "images": f"{len(paths)} JPEGs of {arguments.height} x {arguments.width}, quality {QUALITY}",
            "frames_per_second": rates | {"both": both.tolist()},
            "edgekd_of": {name: share.tolist() for name, share in shares.items()},
        }
        write_json(arguments.json, figures | {"device": device_record(usable_cores())})


def write_jpegs(source: Path, folder: Path, count: int, height: int, width: int) -> list[Path]:
    """Enlarged images as a camera would give them."""
    random, paths = np.random.default_rng(0), []
    originals = list_images(source)
    for number, path in enumerate(originals[index % len(originals)] for index in range(count)):
        image = cv2.resize(read_image(path), (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        noisy = image + NOISE * random.standard_normal(image.shape, dtype=np.float32)
        paths.append(folder / f"{number:04}.jpg")
        cv2.imwrite(str(paths[-1]), noisy.round().clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return paths


def benchmark_app(artifact: Path) -> float:
    """Frames a second that OpenVINO's tool reports in its throughput mode."""
    tool = Path(sys.executable).with_name("benchmark_app")
    command = [tool, "-m", artifact, "-d", "CPU", "-hint", "throughput", "-t", str(SECONDS), "-infer_precision", "f32"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Throughput:\s+([\d.]+) FPS", done.stdout)
    assert found is not None, done.stdout[-500:]
    return float(found[1])


def inspected(artifact: Path, folder: Path, count: int) -> float:
    """Frames a second of a folder, from the first verdict to the last."""
    times: list[float] = []

    def note(answer: Answer) -> None:
        assert answer.result.verdict is not Verdict.ERROR, answer.result.error
        times.append(time.perf_counter())

    inspect(artifact, folder, keep_frames=False, ignored_checks=("size",), on_answer=note)
    assert len(times) == count
    return (count - 1) / (times[-1] - times[0])


def decoded(paths: list[Path], preprocessing: Preprocessing) -> float:
    """Images a second that all cores read, decode and resize."""
    start = time.perf_counter()
    with ThreadPoolExecutor(usable_cores()) as pool:
        for _ in islice(pool.map(lambda path: read_frames([path], preprocessing), paths), len(paths)):
            pass
    return len(paths) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
