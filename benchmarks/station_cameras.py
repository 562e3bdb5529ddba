"""Several cameras at once on one engine: a station each, triggered by a PLC each, in one process.

    python benchmarks/station_cameras.py DETECTOR --images FOLDER [--cameras 4] [--cycles 500] [--json F]

A whole station (`edgekd station`) runs in a process of its own, once with one camera and once with all of them; each
camera plays its own images as fast as it is triggered. The times are those of the PLCs. Each image carries a number,
which is read back out of the score, which no two images share, and out of the images that the station keeps. Exits with
code 1 where a result is lost, doubled or swapped between cameras, or a station violates the handshake.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from station_cycle import Measured, check_kept, free_port, numbered, percentiles

from edgekd.artifact import write_json
from edgekd.data.images import list_images, read_image
from edgekd.profiling.timing import device_record
from edgekd.runner import Inspector
from edgekd.station.parts import Part
from edgekd.station.recipe_making import make_recipe
from edgekd.station.recipe_release import release
from edgekd.station.simulated_plc import PlcResult, SimulatedPlc

IMAGES = 100  # Of each camera, with as many numbers.
WARM_UP = 20
JOB = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector", type=Path)
    parser.add_argument("--images", type=Path, required=True, help="good images of the detector's product")
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--cycles", type=int, default=500, help="of each camera")
    parser.add_argument("--backend")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--poll-ms", type=float, default=2.0, help="of each PLC")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    wrong: dict[str, int] = {}
    for cameras in dict.fromkeys((1, arguments.cameras)):
        with tempfile.TemporaryDirectory(prefix="edgekd-cameras-") as temporary:
            figures[f"{cameras} cameras"] = _run(arguments, Path(temporary), cameras, wrong)
    for name, values in figures.items():
        print(f"{name:10} {values['parts_per_s']:7.1f} parts/s  {values['trigger_to_result_ms']}")
    for what, times in wrong.items():
        print(f"WRONG: {what}: {times}")
    if arguments.json is not None:
        content = {"cycles": arguments.cycles, "poll_ms": arguments.poll_ms, **figures, "wrong": wrong}
        write_json(arguments.json, content | {"device": device_record(arguments.threads or 0)})
    sys.exit(1 if wrong else 0)


def _run(arguments: argparse.Namespace, folder: Path, cameras: int, wrong: dict[str, int]) -> dict[str, Any]:
    """Runs a station with so many cameras; what must not be is added to `wrong`."""
    names = [f"camera{place}" for place in range(cameras)]
    scores = _write_images(arguments, folder, names)
    port = _write_station(arguments, folder, names)
    measured = [Measured(wrong=wrong) for _ in names]
    words = [sys.executable, "-m", "edgekd", "station", str(folder / "station.toml")]
    with subprocess.Popen(words) as station:
        try:
            seconds = asyncio.run(_all_at_once(arguments, port, measured))
        finally:
            station.send_signal(signal.SIGTERM)
        if station.wait(60) not in (-signal.SIGTERM, 128 + signal.SIGTERM):
            measured[0].count("the station did not end by its signal")
    image_of = {score: number for number, score in enumerate(scores)}
    for camera, each in enumerate(measured):
        for place, result in enumerate(each.results):
            number = image_of.get(result.score)
            if number is None:
                each.count(f"results without the score of an image ({result.error.name})")
            elif number // IMAGES != camera:
                each.count("results of another camera's image")
            elif number % IMAGES != place % IMAGES:
                each.count("results of another part's image")
    every = Measured(wrong=wrong)
    every.results = [result for each in measured for result in each.results]
    ids = [result.result_id for result in every.results]
    every.count("doubled result ids", len(ids) - len(set(ids)))
    numbers = {
        result.result_id: camera * IMAGES + place % IMAGES
        for camera, each in enumerate(measured)
        for place, result in enumerate(each.results)
    }
    check_kept(folder / "data", every, numbers)
    times = [result.waited_ms for each in measured for result in each.results[WARM_UP:]]
    return {"parts_per_s": round(cameras * arguments.cycles / seconds, 2), "trigger_to_result_ms": percentiles(times)}


def _write_images(arguments: argparse.Namespace, folder: Path, names: list[str]) -> list[float]:
    """Images of each camera, each with a number of its own. Returns their scores, by number."""
    scores = []
    with Inspector(arguments.detector, backend=arguments.backend, threads=arguments.threads) as inspector:
        source = cycle(list_images(arguments.images))
        for camera, name in enumerate(names):
            (folder / name).mkdir()
            for number, path in enumerate(islice(source, IMAGES), camera * IMAGES):
                image = numbered(read_image(path), number)
                cv2.imwrite(str(folder / name / f"{number:05}.png"), image)
                scores.append(float(np.float32(inspector(image).score)))
    if len(set(scores)) < len(scores):
        sys.exit("two images have one score, so that it cannot tell them apart: name a folder of other images")
    return scores


def _write_station(arguments: argparse.Namespace, folder: Path, names: list[str]) -> int:
    """A recipe for all cameras, and a station for each. Returns the port."""
    import tomlkit

    recipe = make_recipe(
        arguments.detector, recipes=folder / "recipes", id="cameras", job=JOB, cameras=tuple(names),
        good=arguments.images, deadline_ms=10_000,
    )  # fmt: skip
    document = tomlkit.parse((recipe / "recipe.toml").read_text())
    for name, value in (("backend", arguments.backend), ("threads", arguments.threads)):
        if value is not None:
            document["detector"][name] = value
    for name in names:
        document["cameras"][name]["timeout_ms"] = 5000.0
    (recipe / "recipe.toml").write_text(tomlkit.dumps(document))
    release(recipe, "benchmark", "to measure")
    port = free_port()
    content: dict[str, Any] = {
        "data": "data",
        "recipes": "recipes",
        "cameras": {name: {"kind": "video", "source": name} for name in names},
        "stations": [
            {"name": name, "unit": unit, "cameras": [name], "trigger": "modbus", "job": JOB}
            for unit, name in enumerate(names, 1)
        ],
        "modbus": {"port": port},
    }
    (folder / "station.toml").write_text(tomlkit.dumps(content))
    return port


async def _all_at_once(arguments: argparse.Namespace, port: int, measured: list[Measured]) -> float:
    """Every PLC at full speed. Returns the seconds that it took."""
    plcs = [
        SimulatedPlc("127.0.0.1", port, unit, poll_s=arguments.poll_ms / 1000, step_s=120)
        for unit in range(1, len(measured) + 1)
    ]
    for plc in plcs:
        await plc.connect()
        await plc.start()
    await asyncio.gather(*map(_produce, plcs, measured, [WARM_UP] * len(plcs)))
    start = time.perf_counter()
    await asyncio.gather(*map(_produce, plcs, measured, [arguments.cycles] * len(plcs)))
    seconds = time.perf_counter() - start
    for plc, each in zip(plcs, measured, strict=True):
        inputs = await plc.read()
        each.count("parts that were counted twice or not at all", abs(inputs.number("TOTAL") - len(each.results)))
        each.count("missed triggers", inputs.number("MISSED_TRIGGERS"))
        each.count("connections lost", plc.reconnected)
        for what, times in plc.violations.items():
            each.count(what, times)
        await plc.close()
    return seconds


async def _produce(plc: SimulatedPlc, measured: Measured, parts: int) -> None:
    results: list[PlcResult] = measured.results
    for _ in range(parts):
        results.append(await plc.inspect(Part(len(results) + 1)))


if __name__ == "__main__":
    main()
