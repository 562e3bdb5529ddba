"""What the station adds: from the PLC's trigger to its result on Modbus, beside the bare detector on the same images.

    python benchmarks/station_cycle.py DETECTOR --images FOLDER [--cycles 10000] [--block 100] [--threads N] [--json F]

A whole station (`edgekd station`) runs in a process of its own; its camera plays images, and a simulated PLC triggers
it. The bare detector is called in this process on the same images, decoded before. Both in turn, a block each. The
times of the station are those of the PLC: from the write of the trigger until the result is read, so with the PLC's
own polling.

Each image carries a number, drawn into it. It is read back twice: out of the score, which no two images share, for
every result; and out of the images that the station keeps, which are named after their results. Exits with code 1
where a result is lost, doubled or swapped, the station violates the handshake, or it costs more than allowed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgekd.artifact import write_json
from edgekd.data.images import list_images, read_image
from edgekd.profiling.timing import device_record
from edgekd.run_folder import HEAT_MAP_SUFFIX
from edgekd.runner import Inspector
from edgekd.station.parts import Part
from edgekd.station.recipe_making import make_recipe
from edgekd.station.recipe_release import release
from edgekd.station.simulated_plc import PlcResult, SimulatedPlc

BITS, SIDE = 12, 8  # The number's bits, and how many pixels a side each takes.
IMAGES = 400  # With as many numbers.
WARM_UP = 50
PERCENTILES = (50, 95, 99)
MEDIAN_LIMIT_MS, P99_LIMIT_MS = 8.0, 25.0
JOB, STATION, CAMERA = 1, "measured", "camera"


def numbered(image: np.ndarray, number: int) -> np.ndarray:
    """A copy of an image with a number in its upper left corner, a row of black and white squares."""
    marked = image.copy()
    for place in range(BITS):
        marked[:SIDE, place * SIDE : (place + 1) * SIDE] = 255 * (number >> place & 1)
    return marked


def number_in(image: np.ndarray) -> int:
    """The number that an image carries; compression does not harm it."""
    squares = [image[1 : SIDE - 1, place * SIDE + 1 : (place + 1) * SIDE - 1].mean() for place in range(BITS)]
    return sum(1 << place for place, mean in enumerate(squares) if mean > 127)


@dataclass
class Measured:
    """What one run gave.

    Attributes:
        bare_ms, station_ms, inside_ms: Of the bare detector, of the PLC, and of the station by its own register.
        wrong: What must not happen, with how often.
        results: Of the PLC, one a part.
    """

    bare_ms: list[float] = field(default_factory=list)
    station_ms: list[float] = field(default_factory=list)
    inside_ms: list[float] = field(default_factory=list)
    wrong: dict[str, int] = field(default_factory=dict)
    results: list[PlcResult] = field(default_factory=list)

    def count(self, what: str, times: int = 1) -> None:
        if times:
            self.wrong[what] = self.wrong.get(what, 0) + times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector", type=Path)
    parser.add_argument("--images", type=Path, required=True, help="good images of the detector's product")
    parser.add_argument("--cycles", type=int, default=10_000)
    parser.add_argument("--block", type=int, default=100, help="cycles before it is the other's turn")
    parser.add_argument("--backend")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--poll-ms", type=float, default=2.0, help="of the PLC")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgekd-cycle-") as temporary:
        folder = Path(temporary)
        images = _write_images(arguments.images, folder / "images")
        port = free_port()
        _write_station(arguments, folder, port)
        with Inspector(arguments.detector, backend=arguments.backend, threads=arguments.threads) as inspector:
            scores = [float(np.float32(inspector(image).score)) for image in images]
            if len(set(scores)) < len(scores):
                sys.exit("two images have one score, so that it cannot tell them apart: name a folder of other images")
            measured = _measure(arguments, folder, port, inspector, images, scores)
        number_of = {result.result_id: place % IMAGES for place, result in enumerate(measured.results)}
        check_kept(folder / "data", measured, number_of)
    _report(arguments, measured)


def _write_images(source: Path, folder: Path) -> list[np.ndarray]:
    """Images with their numbers, written as the camera plays them, and as the bare detector gets them."""
    folder.mkdir()
    images = []
    for number, path in enumerate(islice(cycle(list_images(source)), IMAGES)):
        images.append(numbered(read_image(path), number))
        cv2.imwrite(str(folder / f"{number:05}.png"), images[-1])
    return images


def _write_station(arguments: argparse.Namespace, folder: Path, port: int) -> None:
    """A recipe of the detector, and a station that inspects with it."""
    import tomlkit

    recipe = make_recipe(
        arguments.detector, recipes=folder / "recipes", id="cycle", job=JOB, cameras=(CAMERA,), good=arguments.images,
        deadline_ms=5000,
    )  # fmt: skip
    document = tomlkit.parse((recipe / "recipe.toml").read_text())
    for name, value in (("backend", arguments.backend), ("threads", arguments.threads)):
        if value is not None:
            document["detector"][name] = value
    (recipe / "recipe.toml").write_text(tomlkit.dumps(document))
    release(recipe, "benchmark", "to measure")
    content: dict[str, Any] = {
        "data": "data",
        "recipes": "recipes",
        "cameras": {CAMERA: {"kind": "video", "source": "images"}},
        "stations": [{"name": STATION, "cameras": [CAMERA], "trigger": "modbus", "job": JOB}],
        "modbus": {"port": port},
    }
    (folder / "station.toml").write_text(tomlkit.dumps(content))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _measure(
    arguments: argparse.Namespace,
    folder: Path,
    port: int,
    inspector: Inspector,
    images: list[np.ndarray],
    scores: list[float],
) -> Measured:
    words = [sys.executable, "-m", "edgekd", "station", str(folder / "station.toml")]
    with subprocess.Popen(words) as station:
        wait_for(station, port)
        try:
            measured = asyncio.run(_in_turn(arguments, port, inspector, images, scores))
        finally:
            station.send_signal(signal.SIGTERM)
        code = station.wait(60)
        if code not in (-signal.SIGTERM, 128 + signal.SIGTERM):
            measured.count(f"the station ended with code {code}")
    return measured


def wait_for(station: subprocess.Popen[bytes], port: int) -> None:
    """Returns when the station listens; it has to load its engine first."""
    while station.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    sys.exit(f"the station ended with code {station.returncode}")


async def _in_turn(
    arguments: argparse.Namespace,
    port: int,
    inspector: Inspector,
    images: list[np.ndarray],
    scores: list[float],
) -> Measured:
    measured = Measured()
    plc = SimulatedPlc("127.0.0.1", port, poll_s=arguments.poll_ms / 1000, step_s=120)
    async with plc:
        await plc.start()
        for number in range(1, WARM_UP + 1):
            await _one(plc, number, measured)
        for image in images[:WARM_UP]:
            inspector(image)
        measured.station_ms.clear()
        measured.inside_ms.clear()
        done = WARM_UP
        last = WARM_UP + arguments.cycles
        while done < last:
            block = min(arguments.block, last - done)
            for number in range(done + 1, done + block + 1):
                await _one(plc, number, measured)
            for number in range(block):
                start = time.perf_counter()
                inspector(images[(done + number) % IMAGES])
                measured.bare_ms.append(1000 * (time.perf_counter() - start))
            done += block
            print(f"\r{done - WARM_UP}/{arguments.cycles}", end="", flush=True)
        print()
        inputs = await plc.read()
        measured.count("parts that were counted twice or not at all", abs(inputs.number("TOTAL") - last))
        measured.count("missed triggers", inputs.number("MISSED_TRIGGERS"))
        measured.count("connections lost", plc.reconnected)
        for what, times in plc.violations.items():
            measured.count(what, times)
    _check_results(measured, scores)
    return measured


async def _one(plc: SimulatedPlc, number: int, measured: Measured) -> None:
    result = await plc.inspect(Part(number, f"S-{number}"))
    measured.results.append(result)
    measured.station_ms.append(result.waited_ms)
    measured.inside_ms.append(result.station_ms)


def _check_results(measured: Measured, scores: list[float]) -> None:
    """Each part's result must be that of the image that was played for it: the camera plays them in their order."""
    image_of = {score: number for number, score in enumerate(scores)}
    for place, result in enumerate(measured.results):
        read = image_of.get(result.score)
        if read is None:
            measured.count(f"results without the score of an image ({result.error.name})")
        elif read != place % IMAGES:
            measured.count("results of another part's image")
    ids = [result.result_id for result in measured.results]
    measured.count("doubled result ids", len(ids) - len(set(ids)))


def check_kept(data: Path, measured: Measured, number_of: dict[int, int]) -> None:
    """The images that the station kept carry the numbers of the parts whose results name them.

    Args:
        data: Of the station.
        measured: Gets what is wrong.
        number_of: The number of each result's image.
    """
    files = [path for path in (data / "images").rglob("*") if path.suffix in (".png", ".jpg")]
    kept = [path for path in files if not path.name.endswith(HEAT_MAP_SUFFIX)]
    checked = 0
    for path in kept:
        result_id = path.name.partition("_")[0]
        if result_id.isdigit() and int(result_id) in number_of:
            checked += 1
            read, expected = number_in(cv2.imread(str(path))), number_of[int(result_id)]
            if read != expected:
                measured.count("kept images that carry another number")
                print(f"{path.name} carries {read} and not {expected}")
    measured.count("no kept image carries a number", not checked)
    print(f"{checked} kept images read back")


def percentiles(times: list[float]) -> dict[str, float]:
    values = np.percentile(times, PERCENTILES)
    return {f"p{percent}": round(float(value), 3) for percent, value in zip(PERCENTILES, values, strict=True)}


def _report(arguments: argparse.Namespace, measured: Measured) -> None:
    bare, station = percentiles(measured.bare_ms), percentiles(measured.station_ms)
    more = {name: round(station[name] - bare[name], 3) for name in bare}
    if more["p50"] > MEDIAN_LIMIT_MS:
        measured.count(f"the median exceeds the bare detector's by more than {MEDIAN_LIMIT_MS:g} ms")
    if more["p99"] > P99_LIMIT_MS:
        measured.count(f"the 99th percentile exceeds the bare detector's by more than {P99_LIMIT_MS:g} ms")
    print(f"{len(measured.station_ms)} cycles in turn with as many calls of the bare detector, milliseconds")
    for name, values in (("bare detector", bare), ("trigger to result", station), ("more", more)):
        print(f"{name:18}", "  ".join(f"{key} {value:8.2f}" for key, value in values.items()))
    print("by its own register", "  ".join(f"{k} {v:8.2f}" for k, v in percentiles(measured.inside_ms).items()))
    for what, times in measured.wrong.items():
        print(f"WRONG: {what}: {times}")
    if arguments.json is not None:
        content = {
            "cycles": len(measured.station_ms),
            "poll_ms": arguments.poll_ms,
            "bare_ms": bare,
            "trigger_to_result_ms": station,
            "difference_ms": more,
            "wrong": measured.wrong,
            "device": device_record(arguments.threads or 0),
        }
        write_json(arguments.json, content)
    sys.exit(1 if measured.wrong else 0)


if __name__ == "__main__":
    main()
